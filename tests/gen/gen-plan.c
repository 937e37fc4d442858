/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The plan: what every sector of a link is.
 *
 * First a pattern is made without regard to extents.  Then it is
 * rounded to what each extent can express: a grain is allocated as a
 * whole, and a hole in a flat file is made of whole pages.
 */

#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "gen.h"

/* Seeds of the independent random streams. */
#define SEED_PATTERN 0x7061747465726eu
#define SEED_SHUFFLE 0x73687566666c65u

static void
pattern_random (const struct link *l, struct runs *raw)
{
  uint64_t state = prng_hash (l->opt->seed, SEED_PATTERN);
  const uint64_t lengths[] = {
    8, l->opt->grain, 8 * l->opt->grain, 64 * l->opt->grain,
    l->sectors / 8 + 1
  };
  static const enum run_type types[] = {
    RUN_DATA, RUN_DATA, RUN_DATA, RUN_DATA, RUN_BLANK,
    RUN_HOLE, RUN_HOLE, RUN_HOLE, RUN_ZERO, RUN_ZERO
  };

  while (runs_end (raw) < l->sectors) {
    uint64_t len = 1 + prng_below (&state, lengths[prng_below (&state, 5)]);
    enum run_type type = types[prng_below (&state, 10)];

    runs_append (raw, min_u64 (len, l->sectors - runs_end (raw)), type);
  }
}

static int
compare_u64 (const void *a, const void *b)
{
  const uint64_t *x = a, *y = b;

  return *x < *y ? -1 : *x > *y;
}

static uint64_t
table_span (const struct link *l, const struct extent *e)
{
  if (e->type == EXT_SPARSE)
    return e->grain * l->opt->gtes;
  return e->grain * (l->opt->old_cowd ? 512 : 4096);
}

/* Data on both sides of every place where a reader changes from one
 * table to another: the ends of the disk, of the extents, and of the
 * first few grain tables and the last one.
 */
static void
pattern_edges (const struct link *l, struct runs *raw)
{
  uint64_t *at = xcalloc (l->nr_extents * 8, sizeof *at);
  size_t i, n = 0;

  for (i = 0; i < l->nr_extents; i++) {
    const struct extent *e = &l->extent[i];
    uint64_t span = table_span (l, e), k;

    at[n++] = e->start;
    at[n++] = e->start + e->sectors;
    for (k = 1; k <= 8 && k * span < e->sectors; k *= 2)
      at[n++] = e->start + k * span;
    if (span < e->sectors)
      at[n++] = e->start + (e->sectors - 1) / span * span;
  }
  qsort (at, n, sizeof *at, compare_u64);
  for (i = 0; i < n; i++) {
    uint64_t from = at[i] > 0 ? at[i] - 1 : 0;
    uint64_t to = min_u64 (at[i] + 1, l->sectors);

    if (from > runs_end (raw))
      runs_append (raw, from - runs_end (raw), RUN_HOLE);
    if (to > runs_end (raw))
      runs_append (raw, to - runs_end (raw), RUN_DATA);
  }
  free (at);
}

/* Every sector of the raw file that is not zero. */
static void
pattern_from (const struct link *l, struct runs *raw)
{
  static const uint8_t zeros[SECTOR];
  const size_t chunk = 2048;
  uint8_t *buf = xcalloc (chunk, SECTOR);
  struct file *f = l->content.from;
  uint64_t start, end;

  while (runs_end (raw) < l->sectors &&
         file_next_data (f, runs_end (raw) * SECTOR, &start, &end)) {
    uint64_t s = start / SECTOR;
    uint64_t stop = min_u64 (div_up (end, SECTOR), l->sectors);

    runs_append (raw, min_u64 (s, l->sectors) - runs_end (raw), RUN_HOLE);
    while (s < stop) {
      size_t n = (size_t) min_u64 (chunk, stop - s), i;

      file_read (f, buf, n * SECTOR, s * SECTOR);
      for (i = 0; i < n; i++)
        runs_append (raw, 1, memcmp (buf + i * SECTOR, zeros, SECTOR) == 0
                     ? RUN_HOLE : RUN_DATA);
      s += n;
    }
  }
  free (buf);
}

/* Where the allocation unit that holds SECTOR ends. */
static uint64_t
unit_end (const struct extent *e, uint64_t sector)
{
  uint64_t shift = extent_is_flat (e) ? e->offset : 0;
  uint64_t in_file = sector - e->start + shift;

  return min_u64 (e->start + e->sectors,
                  e->start + round_up (in_file + 1, e->grain) - shift);
}

/* A page of a flat file that holds something else too cannot be a
 * hole.
 */
static bool
unit_is_shared (const struct extent *e, uint64_t start, uint64_t end)
{
  if (!extent_is_flat (e))
    return false;
  if (start == e->start && e->offset % e->grain != 0)
    return true;
  return end == e->start + e->sectors && !e->first_line &&
    (e->offset + e->sectors) % e->grain != 0;
}

static void
pattern_every_other (const struct link *l, struct runs *raw)
{
  size_t i;

  for (i = 0; i < l->nr_extents; i++) {
    const struct extent *e = &l->extent[i];
    uint64_t s = e->start;
    bool data = true;

    while (s < e->start + e->sectors) {
      uint64_t end = unit_end (e, s);

      runs_append (raw, end - s, data ? RUN_DATA : RUN_HOLE);
      data = !data;
      s = end;
    }
  }
}

/* Can the extent say that a grain is zero? */
bool
extent_has_zeros (const struct link *l, const struct extent *e)
{
  switch (e->type) {
  case EXT_SPARSE:
  case EXT_VMFSSPARSE:
    return l->opt->zeroed;
  case EXT_SESPARSE:
    return true;
  default:
    return false;
  }
}

/* One allocation unit, in which the pattern is not uniform. */
static void
round_unit (struct runs *plan, const struct runs *raw, uint64_t start,
            uint64_t end, bool allocate, bool zeros, size_t *hint)
{
  bool all_zero = zeros;
  uint64_t s, next;

  for (s = start; s < end; s = next) {
    const struct run *r = runs_find (raw, s, hint);

    next = min_u64 (end, r->start + r->len);
    if (r->type == RUN_DATA || r->type == RUN_BLANK)
      allocate = true;
    if (r->type != RUN_ZERO)
      all_zero = false;
  }
  if (!allocate) {
    runs_append (plan, end - start, all_zero ? RUN_ZERO : RUN_HOLE);
    return;
  }
  for (s = start; s < end; s = next) {
    const struct run *r = runs_find (raw, s, hint);

    next = min_u64 (end, r->start + r->len);
    runs_append (plan, next - s, r->type == RUN_DATA ? RUN_DATA : RUN_BLANK);
  }
}

static void
round_extent (const struct link *l, const struct extent *e,
              struct runs *plan, const struct runs *raw)
{
  bool zeros = extent_has_zeros (l, e);
  uint64_t s = e->start, end = e->start + e->sectors;
  size_t hint = 0;

  if (e->access == NOACCESS) {
    runs_append (plan, e->sectors, RUN_ERROR);
    return;
  }
  if (e->type == EXT_ZERO) {
    runs_append (plan, e->sectors, RUN_ZERO);
    return;
  }
  while (s < end) {
    const struct run *r = runs_find (raw, s, &hint);
    uint64_t stop = unit_end (e, s);
    bool shared = unit_is_shared (e, s, stop);

    /* As many whole units as the run holds, but the last of the extent
     * alone since it may be shared.
     */
    if (!shared && r->start + r->len > stop && stop < end) {
      enum run_type type = r->type;

      stop += (min_u64 (r->start + r->len, end - 1) - stop) / e->grain *
        e->grain;
      if (type == RUN_ZERO && !zeros)
        type = RUN_HOLE;
      runs_append (plan, stop - s, type);
    }
    else
      round_unit (plan, raw, s, stop, shared, zeros, &hint);
    s = stop;
  }
}

/* A flat extent never shows the parent: its holes are zeros. */
static void
hide_parent (struct link *l)
{
  struct runs out = { .n = 0 };
  size_t i;

  for (i = 0; i < l->nr_extents; i++) {
    const struct extent *e = &l->extent[i];
    size_t hint = 0;
    uint64_t s = e->start;

    while (s < e->start + e->sectors) {
      const struct run *r = runs_find (&l->plan, s, &hint);
      uint64_t end = min_u64 (r->start + r->len, e->start + e->sectors);
      enum run_type type = r->type;

      if (type == RUN_HOLE && extent_is_flat (e))
        type = RUN_ZERO;
      runs_append (&out, end - s, type);
      s = end;
    }
  }
  runs_free (&l->plan);
  l->plan = out;
}

void
plan_make (struct link *l)
{
  struct runs raw = { .n = 0 };
  size_t i;

  if (l->content.from)
    pattern_from (l, &raw);
  else
    switch (l->opt->fill) {
    case FILL_RANDOM:
      pattern_random (l, &raw);
      break;
    case FILL_FULL:
      runs_append (&raw, l->sectors, RUN_DATA);
      break;
    case FILL_EMPTY:
      break;
    case FILL_EVERY_OTHER:
      pattern_every_other (l, &raw);
      break;
    case FILL_EDGES:
      pattern_edges (l, &raw);
      break;
    }
  runs_resize (&raw, l->sectors);
  for (i = 0; i < l->nr_extents; i++)
    round_extent (l, &l->extent[i], &l->plan, &raw);
  runs_free (&raw);
  hide_parent (l);
}

void
plan_fill (const struct link *l, const struct extent *e, uint64_t sector,
           uint64_t n, uint8_t pad, uint8_t *buf)
{
  uint64_t end = e->start + e->sectors;
  size_t hint = 0;

  while (n > 0 && sector < end) {
    const struct run *r = runs_find (&l->plan, sector, &hint);
    uint64_t len = min_u64 (n, min_u64 (end, r->start + r->len) - sector);

    if (r->type == RUN_DATA)
      content_fill (&l->content, sector, len, buf);
    else
      memset (buf, 0, (size_t) len * SECTOR);
    buf += len * SECTOR;
    sector += len;
    n -= len;
  }
  memset (buf, pad, (size_t) n * SECTOR);
}

struct grains
plan_grains (const struct link *l, const struct extent *e)
{
  struct grains gs = { .n = 0 };
  uint64_t s = e->start, end = e->start + e->sectors;
  size_t hint = 0, alloc = 0;

  while (s < end) {
    const struct run *r = runs_find (&l->plan, s, &hint);
    uint64_t stop = unit_end (e, s);

    if (r->type == RUN_HOLE || r->type == RUN_ERROR) {
      /* The run ends where a grain does, or the extent. */
      s = min_u64 (r->start + r->len, end);
      continue;
    }
    if (gs.n == alloc) {
      alloc = alloc ? alloc * 2 : 1024;
      gs.grain = xreallocarray (gs.grain, alloc, sizeof gs.grain[0]);
    }
    gs.grain[gs.n++] = (struct grain) {
      .number = (s - e->start) / e->grain,
      .zero = r->type == RUN_ZERO
    };
    s = stop;
  }
  return gs;
}

void
grains_shuffle (struct grains *gs, uint64_t seed)
{
  uint64_t state = prng_hash (seed, SEED_SHUFFLE);
  size_t i;

  for (i = gs->n; i > 1; i--) {
    size_t j = (size_t) prng_below (&state, i);
    struct grain t = gs->grain[i - 1];

    gs->grain[i - 1] = gs->grain[j];
    gs->grain[j] = t;
  }
}
