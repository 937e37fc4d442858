/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "fill.h"

static bool
is_zero (const uint8_t *p, uint64_t len)
{
  return len == 0 || (p[0] == 0 && memcmp (p, p + 1, (size_t) len - 1) == 0);
}

/* What the range of grains must hold outside of the data. */
static int
read_around (const struct grains *g, const struct filling *f, uint8_t *p,
             uint64_t offset, uint64_t count, struct vmdk_error *error)
{
  const uint64_t length = g->extent.length;
  uint64_t n = 0;

  if (f->below && offset < length) {
    n = min_u64 (count, length - offset);
    if (f->below->read (f->below, p, n, offset, error) == -1)
      return -1;
  }
  memset (p + n, 0, count - n);
  return 0;
}

/* Fill one grain with one write. */
static int
fill_grain (const struct grains *g, const struct filling *f,
            struct vmdk_error *error)
{
  const uint64_t head = f->offset - f->start;
  const uint64_t behind = head + f->count;
  const uint64_t size = f->end - f->start;
  uint8_t *grain = malloc (size);
  int r = -1;

  if (!grain)
    return error_nomem (error);
  if (read_around (g, f, grain, f->start, head, error) == -1 ||
      read_around (g, f, grain + behind, f->start + behind, size - behind,
                   error) == -1)
    goto out;
  if (f->clean && is_zero (grain, head) &&
      is_zero (grain + behind, size - behind))
    r = f->buf ?
      io_pwrite (g->io, f->buf, f->count, f->place + head, error) : 0;
  else {
    if (f->buf)
      memcpy (grain + head, f->buf, f->count);
    else
      memset (grain + head, 0, f->count);
    r = io_pwrite (g->io, grain, size, f->place, error);
  }

 out:
  free (grain);
  return r;
}

int
fill_grains (const struct grains *g, const struct filling *f,
             struct vmdk_error *error)
{
  const uint64_t grain_size = g->extent.grain_size;
  const uint64_t data_end = f->offset + f->count;
  struct filling part = *f;

  if (f->clean && !f->below)
    return f->buf ?
      io_pwrite (g->io, f->buf, f->count,
                 f->place + f->offset - f->start, error) : 0;

  /* The first and the last grain may be filled in part, those between
   * are whole.
   */
  while (part.start < f->end) {
    const bool whole = f->offset <= part.start &&
      part.start + grain_size <= data_end;

    part.end = part.start + grain_size;
    if (whole)
      part.end = part.start +
        (data_end - part.start) / grain_size * grain_size;
    part.offset = max_u64 (f->offset, part.start);
    part.count = min_u64 (data_end, part.end) - part.offset;
    part.buf = f->buf ? f->buf + (part.offset - f->offset) : NULL;
    part.place = f->place + (part.start - f->start);
    if (!whole) {
      if (fill_grain (g, &part, error) == -1)
        return -1;
    }
    else if (part.buf) {
      if (io_pwrite (g->io, part.buf, part.count, part.place,
                     error) == -1)
        return -1;
    }
    else if (!f->clean &&
             io_write_zeroes (g->io, part.place, part.count, error) == -1)
      return -1;
    part.start = part.end;
  }
  return 0;
}
