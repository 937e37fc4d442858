/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "state.h"
#include "tables.h"
#include "util.h"

struct replay {
  const struct record *rec;
  struct disk base;             /* after the first 'nr_base' events */
  size_t nr_base;
  uint64_t *durable_at;         /* for each event: the seq from which on it
                                   is durable, or UINT64_MAX */
};

/* How one state is made. */
struct choice {
  const struct record *rec;
  enum strategy strategy;
  uint64_t seed;
  size_t picked;                /* number of an event */
  uint64_t odds;                /* of 8 */
  uint8_t **metadata;           /* for each file, a byte for each sector */
  uint64_t *nr_sectors;         /* of the same */
};

const char *
strategy_name (enum strategy strategy)
{
  static const char *const names[] = {
    "none", "all", "tables", "data", "last missing", "first missing",
    "one missing", "one", "early", "late", "whole", "torn", "sectors"
  };

  return names[strategy];
}

static bool
is_change (const struct event *e)
{
  return e->kind <= EVENT_TRUNCATE;
}

/* From which event on is a change durable? */
static uint64_t
find_durable (const struct record *rec, size_t number)
{
  const struct event *change = &rec->events[number];
  size_t i;

  for (i = number + 1; i < rec->nr; ++i) {
    const struct event *e = &rec->events[i];

    if (e->kind != EVENT_SYNC_END || e->file != change->file)
      continue;
    if (e->failed)
      return UINT64_MAX;
    if (e->begin > change->seq)
      return e->seq;
  }
  return UINT64_MAX;
}

struct replay *
replay_new (const struct record *rec, const struct disk *base)
{
  struct replay *r = must_alloc (sizeof *r);
  size_t i;

  r->rec = rec;
  disk_copy (&r->base, base);
  r->durable_at = must_alloc (rec->nr * sizeof *r->durable_at);
  for (i = 0; i < rec->nr; ++i)
    r->durable_at[i] = is_change (&rec->events[i]) ?
      find_durable (rec, i) : 0;
  return r;
}

void
replay_free (struct replay *replay)
{
  disk_free (&replay->base);
  free (replay->durable_at);
  free (replay);
}

static struct disk_file *
file_of (const struct record *rec, const struct disk *disk,
         const struct event *e)
{
  return disk_find (disk, rec->files[e->file]);
}

static void
apply (const struct record *rec, struct disk *disk, const struct event *e)
{
  struct disk_file *f;

  if (!is_change (e))
    return;
  f = file_of (rec, disk, e);
  if (e->kind == EVENT_TRUNCATE)
    file_resize (f, e->offset);
  else
    file_write (f, e->data, e->count, e->offset);
}

static bool
is_metadata (const struct choice *c, const struct event *e, uint64_t sector)
{
  return e->kind == EVENT_TRUNCATE ||
    (sector < c->nr_sectors[e->file] && c->metadata[e->file][sector]);
}

/* Has this sector of a change, that need not have, reached the disk? */
static bool
keeps (const struct choice *c, size_t number, uint64_t sector)
{
  const struct event *e = &c->rec->events[number];
  const uint64_t whole = mix (c->seed, number);
  const uint64_t part = mix (whole, sector);

  switch (c->strategy) {
  case STATE_NONE: return false;
  case STATE_ALL: return true;
  case STATE_TABLES: return is_metadata (c, e, sector);
  case STATE_DATA: return !is_metadata (c, e, sector);
  case STATE_LAST_MISSING:
  case STATE_FIRST_MISSING:
  case STATE_ONE_MISSING: return number != c->picked;
  case STATE_ONE: return number == c->picked;
  case STATE_EARLY: return number < c->picked;
  case STATE_LATE: return number >= c->picked;
  case STATE_WHOLE: return whole % 8 < c->odds;
  case STATE_TORN:
    return whole % 8 < c->odds && (whole / 8 % 2 == 0 || part % 2 == 0);
  default: return part % 8 < c->odds;
  }
}

/* Do what a change may have done: 'full' has it already. */
static void
apply_some (const struct choice *c, struct disk *state,
            const struct disk *full, size_t number, bool durable)
{
  const struct event *e = &c->rec->events[number];
  struct disk_file *to = file_of (c->rec, state, e);
  const struct disk_file *from = file_of (c->rec, full, e);
  uint64_t sector;

  if (e->kind == EVENT_TRUNCATE) {
    if (durable || keeps (c, number, 0))
      file_resize (to, e->offset);
    return;
  }
  for (sector = e->offset / SECTOR; sector * SECTOR < e->offset + e->count;
       ++sector)
    if (durable || keeps (c, number, sector)) {
      const uint64_t start = sector * SECTOR;
      uint8_t buf[SECTOR];

      /* 'full' ends in this sector, or behind it. */
      file_read (from, buf, SECTOR, start);
      file_write (to, buf, from->size - start < SECTOR ?
                  from->size - start : SECTOR, start);
    }
}

/* Choose the event that the strategy is about. */
static void
pick (struct choice *c, const size_t *pending, size_t nr)
{
  uint64_t state = c->seed;
  size_t i = 0;

  c->odds = 1 + random_below (&state, 7);
  if (nr == 0)
    return;
  if (c->strategy == STATE_LAST_MISSING)
    i = nr - 1;
  else if (c->strategy != STATE_FIRST_MISSING)
    i = (size_t) random_below (&state, nr);
  c->picked = pending[i];
}

static void
find_metadata (struct choice *c, const struct disk *full)
{
  size_t i;

  for (i = 0; i < c->rec->nr_files; ++i) {
    const struct disk_file *f = disk_find (full, c->rec->files[i]);

    c->nr_sectors[i] = (f->size + SECTOR - 1) / SECTOR;
    c->metadata[i] = tables_find (f);
  }
}

void
replay_state (struct replay *replay, uint64_t cut, enum strategy strategy,
              uint64_t seed, struct disk *state)
{
  const struct record *rec = replay->rec;
  struct choice c = { .rec = rec, .strategy = strategy, .seed = seed };
  size_t *pending = must_alloc (rec->nr * sizeof *pending);
  size_t nr_pending = 0, end, i;
  struct disk full;

  while (replay->nr_base < rec->nr &&
         rec->events[replay->nr_base].seq <= cut &&
         replay->durable_at[replay->nr_base] <= cut)
    apply (rec, &replay->base, &rec->events[replay->nr_base++]);
  disk_copy (&full, &replay->base);
  for (end = replay->nr_base; end < rec->nr && rec->events[end].seq <= cut;
       ++end) {
    apply (rec, &full, &rec->events[end]);
    if (replay->durable_at[end] > cut)
      pending[nr_pending++] = end;
  }
  pick (&c, pending, nr_pending);
  free (pending);

  c.metadata = must_alloc (rec->nr_files * sizeof *c.metadata);
  c.nr_sectors = must_alloc (rec->nr_files * sizeof *c.nr_sectors);
  if (strategy == STATE_TABLES || strategy == STATE_DATA)
    find_metadata (&c, &full);

  disk_free (&full);
  disk_copy (&full, &replay->base);
  disk_copy (state, &replay->base);
  for (i = replay->nr_base; i < end; ++i)
    if (is_change (&rec->events[i])) {
      apply (rec, &full, &rec->events[i]);
      apply_some (&c, state, &full, i, replay->durable_at[i] <= cut);
    }
  disk_free (&full);
  for (i = 0; i < rec->nr_files; ++i)
    free (c.metadata[i]);
  free (c.metadata);
  free (c.nr_sectors);
}
