/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Flat extents.  Several may share one file. */

#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "gen.h"

#define CHUNK 2048              /* sectors */

/* The sectors in front of the first extent of the file are no part of
 * the disk.  Fill them, so that a reader that ignores the offset, or
 * takes it for bytes, is found out.
 */
static void
write_front (struct file *f, uint64_t sectors)
{
  uint8_t *buf = xcalloc (CHUNK, SECTOR);
  uint64_t s = 0;

  memset (buf, 0xa5, CHUNK * SECTOR);
  while (s < sectors) {
    uint64_t n = min_u64 (CHUNK, sectors - s);

    file_write (f, buf, (size_t) n * SECTOR, s * SECTOR);
    s += n;
  }
  free (buf);
}

void
flat_write (struct link *l, struct extent *e)
{
  uint8_t *buf = xcalloc (CHUNK, SECTOR);
  uint64_t s = e->start, end = e->start + e->sectors;
  struct file f;
  size_t hint = 0;

  if (e->first_line) {
    file_create (&f, e->path);
    write_front (&f, min_u64 (e->offset, l->opt->flat_offset));
    file_truncate (&f, (e->offset + e->sectors) * SECTOR);
  }
  else
    file_open (&f, e->path);

  while (s < end) {
    const struct run *r = runs_find (&l->plan, s, &hint);
    uint64_t n = min_u64 (CHUNK, min_u64 (end, r->start + r->len) - s);

    if (r->type == RUN_DATA || r->type == RUN_BLANK) {
      plan_fill (l, e, s, n, 0, buf);
      file_write (&f, buf, (size_t) n * SECTOR,
                  (e->offset + s - e->start) * SECTOR);
    }
    else
      n = min_u64 (end, r->start + r->len) - s;
    s += n;
  }
  file_close (&f);
  free (buf);
}
