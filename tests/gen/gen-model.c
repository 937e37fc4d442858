/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The model: the bytes that a guest must see, and the allocation map.
 * It starts as the parent's, and each link is laid over it.
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen.h"

#define CHUNK 2048              /* sectors */

void
model_init (struct model *m, const char *raw)
{
  *m = (struct model) { .have_raw = raw != NULL };
  if (raw)
    file_create (&m->raw, raw);
}

static const char *
type_name (enum run_type type)
{
  switch (type) {
  case RUN_DATA:
  case RUN_BLANK:
    return "data";
  case RUN_ERROR:
    return "error";
  default:
    return "hole,zero";
  }
}

static void
load_raw (struct model *m, const char *path)
{
  uint8_t *buf = xcalloc (CHUNK, SECTOR);
  struct file f;
  uint64_t pos = 0, end;

  file_open_readonly (&f, path);
  file_truncate (&m->raw, file_size (&f));
  while (file_next_data (&f, pos, &pos, &end))
    while (pos < end) {
      size_t n = (size_t) min_u64 (end - pos, CHUNK * SECTOR);

      file_read (&f, buf, n, pos);
      file_write (&m->raw, buf, n, pos);
      pos += n;
    }
  file_close (&f);
  free (buf);
}

static void
load_map (struct model *m, const char *path)
{
  FILE *fp = fopen (path, "r");
  uint64_t offset, len;
  char type[16];

  if (fp == NULL)
    die ("open: %s: %s", path, strerror (errno));
  while (fscanf (fp, "%" SCNu64 " %" SCNu64 " %15s", &offset, &len, type)
         == 3) {
    if (offset != runs_end (&m->map) * SECTOR || len % SECTOR != 0)
      die ("%s: the runs do not follow each other", path);
    runs_append (&m->map, len / SECTOR,
                 strcmp (type, "data") == 0 ? RUN_DATA :
                 strcmp (type, "error") == 0 ? RUN_ERROR : RUN_HOLE);
  }
  if (ferror (fp) || !feof (fp))
    die ("%s: this is not a map", path);
  fclose (fp);
}

void
model_load_parent (struct model *m, const char *raw, const char *map)
{
  load_map (m, map);
  if (m->have_raw) {
    if (raw == NULL)
      die ("--model of a child needs --parent-model");
    load_raw (m, raw);
  }
}

static void
write_data (struct model *m, const struct link *l, uint64_t s, uint64_t end)
{
  uint8_t *buf = xcalloc (CHUNK, SECTOR);

  while (s < end) {
    size_t n = (size_t) min_u64 (end - s, CHUNK);

    content_fill (&l->content, s, n, buf);
    file_write (&m->raw, buf, n * SECTOR, s * SECTOR);
    s += n;
  }
  free (buf);
}

/* What damage has made unreadable keeps the bytes it had: a reader that
 * gets at them in another way must get them right.
 */
static void
apply_raw (struct model *m, const struct link *l, bool fresh)
{
  size_t i, hint = 0;

  file_truncate (&m->raw, l->sectors * SECTOR);
  for (i = 0; i < l->plan.n; i++) {
    const struct run *r = &l->plan.run[i];
    uint64_t s = r->start, end = r->start + r->len, stop;

    for (; s < end; s = stop) {
      enum run_type type = r->type;

      stop = end;
      if (type == RUN_ERROR) {
        const struct run *was = runs_find (&l->intact, s, &hint);

        stop = min_u64 (end, was->start + was->len);
        type = was->type;
      }
      if (type == RUN_DATA)
        write_data (m, l, s, stop);
      else if (type != RUN_HOLE && !fresh)
        file_zero (&m->raw, s * SECTOR, (stop - s) * SECTOR);
    }
  }
}

void
model_apply (struct model *m, const struct link *l)
{
  struct runs out = { .n = 0 };
  bool fresh = m->map.n == 0;
  size_t i;

  if (m->have_raw)
    apply_raw (m, l, fresh);
  runs_resize (&m->map, l->sectors);
  runs_overlay (&m->map, &l->plan);

  /* The next link must not take a marked zero for its own, and need not
   * know about blank data.
   */
  for (i = 0; i < m->map.n; i++) {
    enum run_type type = m->map.run[i].type;

    runs_append (&out, m->map.run[i].len,
                 type == RUN_BLANK ? RUN_DATA :
                 type == RUN_ZERO ? RUN_HOLE : type);
  }
  runs_free (&m->map);
  m->map = out;
}

void
model_save_map (const struct model *m, const char *path)
{
  FILE *fp = fopen (path, "w");
  size_t i;

  if (fp == NULL)
    die ("open: %s: %s", path, strerror (errno));
  for (i = 0; i < m->map.n; i++) {
    const struct run *r = &m->map.run[i];

    fprintf (fp, "%" PRIu64 " %" PRIu64 " %s\n", r->start * SECTOR,
             r->len * SECTOR, type_name (r->type));
  }
  if (fclose (fp) == EOF)
    die ("write: %s: %s", path, strerror (errno));
}

void
model_free (struct model *m)
{
  runs_free (&m->map);
  if (m->have_raw)
    file_close (&m->raw);
}
