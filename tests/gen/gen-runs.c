/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Lists of runs.  A list covers a disk from sector 0 to its end without
 * gaps, and neighbours are of different types.
 */

#include <config.h>

#include <assert.h>
#include <stdlib.h>

#include "gen.h"

uint64_t
runs_end (const struct runs *rs)
{
  if (rs->n == 0)
    return 0;
  return rs->run[rs->n - 1].start + rs->run[rs->n - 1].len;
}

void
runs_append (struct runs *rs, uint64_t len, enum run_type type)
{
  uint64_t start = runs_end (rs);

  if (len == 0)
    return;
  if (rs->n > 0 && rs->run[rs->n - 1].type == type) {
    rs->run[rs->n - 1].len += len;
    return;
  }
  if (rs->n == rs->alloc) {
    rs->alloc = rs->alloc ? rs->alloc * 2 : 64;
    rs->run = xreallocarray (rs->run, rs->alloc, sizeof rs->run[0]);
  }
  rs->run[rs->n++] = (struct run) {
    .start = start, .len = len, .type = type
  };
}

static void
runs_replace (struct runs *rs, struct runs *by)
{
  free (rs->run);
  *rs = *by;
}

/* The part of RS from START to END, added to TO. */
static void
copy_range (struct runs *to, const struct runs *rs, uint64_t start,
            uint64_t end)
{
  size_t hint = 0;

  while (start < end) {
    const struct run *r = runs_find (rs, start, &hint);
    uint64_t stop = min_u64 (end, r->start + r->len);

    runs_append (to, stop - start, r->type);
    start = stop;
  }
}

void
runs_copy (struct runs *to, const struct runs *rs)
{
  copy_range (to, rs, 0, runs_end (rs));
}

void
runs_set (struct runs *rs, uint64_t start, uint64_t len, enum run_type type)
{
  struct runs out = { .n = 0 };

  assert (start + len <= runs_end (rs));
  copy_range (&out, rs, 0, start);
  runs_append (&out, len, type);
  copy_range (&out, rs, start + len, runs_end (rs));
  runs_replace (rs, &out);
}

/* Lay OVER on top of UNDER: where OVER has a hole, UNDER shows. */
void
runs_overlay (struct runs *under, const struct runs *over)
{
  struct runs out = { .n = 0 };
  size_t i, hint = 0;

  assert (runs_end (under) == runs_end (over));
  for (i = 0; i < over->n; i++) {
    const struct run *o = &over->run[i];
    uint64_t p = o->start;

    if (o->type != RUN_HOLE) {
      runs_append (&out, o->len, o->type);
      continue;
    }
    while (p < o->start + o->len) {
      const struct run *u = runs_find (under, p, &hint);
      uint64_t end = min_u64 (o->start + o->len, u->start + u->len);

      runs_append (&out, end - p, u->type);
      p = end;
    }
  }
  runs_replace (under, &out);
}

/* Cut the list, or make it longer with a hole. */
void
runs_resize (struct runs *rs, uint64_t len)
{
  struct runs out = { .n = 0 };

  if (len >= runs_end (rs)) {
    runs_append (rs, len - runs_end (rs), RUN_HOLE);
    return;
  }
  copy_range (&out, rs, 0, len);
  runs_replace (rs, &out);
}

const struct run *
runs_find (const struct runs *rs, uint64_t sector, size_t *hint)
{
  size_t lo = 0, hi = rs->n;

  assert (sector < runs_end (rs));

  /* The answer is nearly always this run or the next one. */
  if (*hint < rs->n && rs->run[*hint].start <= sector) {
    lo = *hint;
    if (sector >= rs->run[lo].start + rs->run[lo].len)
      lo++;
    if (sector < rs->run[lo].start + rs->run[lo].len)
      hi = lo + 1;
  }
  while (hi - lo > 1) {
    size_t mid = lo + (hi - lo) / 2;

    if (rs->run[mid].start <= sector)
      lo = mid;
    else
      hi = mid;
  }
  *hint = lo;
  return &rs->run[lo];
}

void
runs_free (struct runs *rs)
{
  free (rs->run);
  *rs = (struct runs) { .n = 0 };
}
