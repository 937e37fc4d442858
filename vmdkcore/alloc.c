/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "fill.h"
#include "gtable-write.h"
#include "places.h"
#include "recover.h"
#include "recycling.h"

/* So many grains are looked up, and get places, at once, at most.  If more
 * were, and little of that could be used since what is below is in small
 * pieces, a request would look at the same entries again and again; even
 * more so where zeroes have to be written to each grain that hides some.
 */
#define MAX_RUN 1024
#define MAX_HIDING_RUN 64

/* Grains that one thread is giving places to. */
struct claim {
  uint64_t grain, n;
  struct claim *next;
};

struct alloc {
  struct grains *g;
  struct gtable_layout layout;
  const struct alloc_kind *kind;
  uint64_t first;               /* sector that a grain may have */

  pthread_mutex_t lock;
  pthread_cond_t unclaimed;
  bool unclean;                 /* the file has the mark */
  bool begun;
  bool tried;                   /* to put something right, in vain */
  struct claim *claims;
  struct places places;
  uint64_t original_end;        /* sectors, when it was begun */
  atomic_size_t noted;          /* bytes of changes, by alloc_note_pending */

  /* Of who publishes. */
  struct recycling recycling;
  struct gtable_collected collected;
  bool has_collected;           /* and is not done with that */
  uint64_t collected_next, written_next;
};

struct alloc *
alloc_new (struct grains *g, const struct gtable_layout *layout,
           const struct alloc_kind *kind, uint64_t first, bool unclean,
           struct vmdk_error *error)
{
  struct alloc *a = calloc (1, sizeof *a);

  if (!a) {
    error_nomem (error);
    return NULL;
  }
  a->g = g;
  a->layout = *layout;
  a->kind = kind;
  a->first = first;
  a->places.io = g->io;
  a->places.budget = g->env->rooms;
  a->places.grain_size = g->grain_size;
  a->places.aligned = kind->aligned;
  a->unclean = unclean;
  pthread_mutex_init (&a->lock, NULL);
  pthread_cond_init (&a->unclaimed, NULL);
  a->recycling.places = &a->places;
  a->recycling.lock = &a->lock;
  return a;
}

void
alloc_free (struct alloc *a)
{
  if (!a)
    return;
  gtable_collected_free (a->g->gt, &a->collected, false);
  recycling_clear (&a->recycling);
  places_destroy (&a->places);
  pthread_cond_destroy (&a->unclaimed);
  pthread_mutex_destroy (&a->lock);
  free (a);
}

bool
alloc_is_unclean (const struct alloc *a)
{
  return a->unclean;
}

/* What lies between things in use may be given to grains. */
static void
add_unused (void *opaque, uint64_t sector, uint64_t end)
{
  struct alloc *a = opaque;
  const uint64_t place =
    places_align (&a->places, max_u64 (sector, a->first));

  if (place < end && (end - place) / a->g->grain_size > 0)
    places_add (&a->places, place, (end - place) / a->g->grain_size);
}

/* Where the last writer had to give up because a sync had failed, the page
 * cache may show tables that are not on the disk, and never would be.  Who tries
 * again may find in it what has been put right, and was not synced.
 */
static int
forget_lies (struct alloc *a, struct vmdk_error *error)
{
  struct io *io = a->g->io;

  if (!a->unclean && !a->tried)
    return 0;
  if (io_sync_now (io, error) == -1)
    return -1;
  if (a->unclean)
    io_drop_cache (io);
  return 0;
}

/* *reread is set if the tables may not be what readers have seen.  Locked. */
static int
begin (struct alloc *a, bool *reread, struct vmdk_error *error)
{
  const struct recover_unused unused = { add_unused, a };
  const bool again = a->tried;
  struct recover_report report;

  if (a->begun)
    return 0;
  places_forget (&a->places);
  if (gtable_begin_changes (a->g->gt, error) == -1 ||
      forget_lies (a, error) == -1)
    return -1;
  if (recover_tables (&a->layout, a->unclean, true, a->g->env->checks,
                      &unused, &report, error) == -1) {
    a->tried |= report.nr_mended > 0;
    return -1;
  }
  recover_log (&report, a->g->io->name, a->g->logger);
  /* Without locks others may have changed what was read before. */
  if (report.nr_mended > 0 || a->unclean || again ||
      a->g->io->without_locks) {
    gtable_forget (a->g->gt);
    *reread = true;
  }
  if (a->kind->set_unclean (a->g, true, error) == -1)
    return -1;
  a->unclean = true;

  /* What lies behind the last grain belongs to nothing, but need not be
   * zeroes.
   */
  places_begin (&a->places, max_u64 (report.end, a->first));
  a->original_end = grains_file_sectors (a->g);
  a->written_next = 0;
  a->begun = true;
  a->tried = false;
  return 0;
}

int
alloc_begin (struct alloc *a, bool *reread, struct vmdk_error *error)
{
  int r;

  pthread_mutex_lock (&a->lock);
  r = begin (a, reread, error);
  pthread_mutex_unlock (&a->lock);
  return r;
}

/* The first claim that meets the grains.  Locked. */
static struct claim *
find_claim (const struct alloc *a, uint64_t grain, uint64_t n)
{
  struct claim *c;

  for (c = a->claims; c; c = c->next)
    if (grain < c->grain + c->n && c->grain < grain + n)
      break;
  return c;
}

static void
add_claim (struct alloc *a, struct claim *claim)
{
  claim->next = a->claims;
  a->claims = claim;
}

static void
drop_claim (struct alloc *a, const struct claim *claim)
{
  struct claim **p = &a->claims;

  while (*p != claim)
    p = &(*p)->next;
  *p = claim->next;
  pthread_cond_broadcast (&a->unclaimed);
}

/* Make the table that the entry of 'grain' is in.  Locked. */
static int
make_table (struct alloc *a, uint64_t grain, struct vmdk_error *error)
{
  const bool redundant =
    a->layout.directory[0] != 0 && a->layout.directory[1] != 0;
  const uint64_t size = a->layout.table_size;
  const uint64_t both = redundant ? 2 * size : size;
  uint64_t place;

  if (places_take_end (&a->places, both, &place, error) == -1)
    return -1;
  if (io_write_zeroes (a->g->io, place * SECTOR_SIZE, both * SECTOR_SIZE,
                       error) == 0 &&
      gtable_add_table (a->g->gt, grain, place, redundant ? place + size : 0,
                        error) == 0) {
    logger_trace (a->g->logger, VMDK_TRACE_GRAINS, "%s: grain %" PRIu64
                  ": new table at sector %" PRIu64, a->g->io->name, grain,
                  place);
    return 0;
  }
  places_return_end (&a->places, place);
  return -1;
}

/* Make those tables of 'n' grains that do not exist.  Locked. */
static int
make_tables (struct alloc *a, uint64_t grain, uint64_t n,
             struct vmdk_error *error)
{
  const uint64_t per_table = a->layout.entries_per_table;
  uint64_t table = grain / per_table;

  for (; table * per_table < grain + n; ++table) {
    int r = gtable_has_table (a->g->gt, table * per_table, error);

    if (r == 0)
      r = make_table (a, table * per_table, error);
    if (r == -1)
      return -1;
  }
  return 0;
}

/* Write to grains that have places. */
static int
write_place (const struct alloc *a, uint64_t place, const void *buf,
             uint64_t count, struct vmdk_error *error)
{
  return buf ? io_pwrite (a->g->io, buf, count, place, error) :
    io_write_zeroes (a->g->io, place, count, error);
}

/* Wait until nobody gives places to the grain.  Locked. */
static void
wait_for_claim (struct alloc *a, uint64_t grain)
{
  while (find_claim (a, grain, 1))
    pthread_cond_wait (&a->unclaimed, &a->lock);
}

/* A run of grains at 'offset', of at most 'count' bytes, that nobody is giving
 * places to.  Locked.
 */
static int
look_up (struct alloc *a, uint64_t offset, uint64_t count, uint64_t *code,
         uint64_t *n, struct vmdk_error *error)
{
  const uint64_t grain_size = a->g->extent.grain_size;
  const uint64_t grain = offset / grain_size;
  struct claim *c;

  wait_for_claim (a, grain);
  *n = min_u64 (div_up (offset % grain_size + count, grain_size),
                min_u64 (a->layout.nr_grains - grain, MAX_RUN));
  while ((c = find_claim (a, grain, *n)) != NULL)
    *n = c->grain - grain;
  if (gtable_run (a->g->gt, grain, *n, false, code, n, error) == -1)
    return -1;
  return *code == ENTRY_BAD ? gtable_explain (a->g->gt, grain, error) : 0;
}

int
alloc_write (struct alloc *a, const struct below *below, const void *buf,
             uint64_t count, uint64_t offset, uint64_t *done,
             struct vmdk_error *error)
{
  const uint64_t grain_size = a->g->extent.grain_size;
  const uint64_t grain = offset / grain_size;
  struct filling f = { .buf = buf, .offset = offset };
  struct claim claim = { .grain = grain };
  enum origin origin;
  uint64_t code, place;
  int r;

  *done = 0;
  pthread_mutex_lock (&a->lock);
  if (look_up (a, offset, count, &code, &claim.n, error) == -1)
    goto err;
  if (entry_is_place (code)) {
    pthread_mutex_unlock (&a->lock);
    *done = min_u64 (claim.n * grain_size - offset % grain_size, count);
    return write_place (a, code * SECTOR_SIZE + offset % grain_size, buf,
                        *done, error);
  }
  if (make_tables (a, grain, claim.n, error) == -1 ||
      places_find (&a->places, grain, &claim.n, &place, &origin,
                   error) == -1)
    goto err;
  add_claim (a, &claim);
  pthread_mutex_unlock (&a->lock);
  logger_trace (a->g->logger, VMDK_TRACE_GRAINS, "%s: grain %" PRIu64
                ": %" PRIu64 " written to sector %" PRIu64 "%s",
                a->g->io->name, grain, claim.n, place,
                origin == ORIGIN_CLEAN ? "" : ", used before");

  f.start = grain * grain_size;
  f.end = f.start + claim.n * grain_size;
  f.count = min_u64 (count, f.end - offset);
  f.place = place * SECTOR_SIZE;
  f.clean = origin == ORIGIN_CLEAN;
  f.below = code == ENTRY_HOLE && below->exists ? below : NULL;
  r = fill_grains (a->g, &f, error);

  pthread_mutex_lock (&a->lock);
  if (r == 0)
    r = gtable_change (a->g->gt, grain, claim.n, place, error);
  if (r == -1)
    places_return (&a->places, grain, claim.n, place, origin);
  drop_claim (a, &claim);
  pthread_mutex_unlock (&a->lock);
  if (r == 0)
    *done = f.count;
  return r;

 err:
  pthread_mutex_unlock (&a->lock);
  return -1;
}

/* What the entries of grains become that are freed, if they can be. */
static bool
freed_code (const struct alloc *a, const struct below *below, uint64_t *code)
{
  *code = a->kind->zero_entries ? ENTRY_ZERO : ENTRY_HOLE;
  return a->kind->zero_entries || !below->exists;
}

/* The whole grains from 'offset' on in the next 'count' bytes.  The last
 * one may end with the extent.
 */
static uint64_t
whole_grains (const struct alloc *a, uint64_t offset, uint64_t count)
{
  const uint64_t grain_size = a->g->extent.grain_size;

  if (offset % grain_size != 0)
    return 0;
  return offset + count == a->g->extent.length ?
    div_up (count, grain_size) : count / grain_size;
}

/* Free grains that lie at 'place'.  Locked. */
static int
free_grains (struct alloc *a, uint64_t grain, uint64_t n, uint64_t place,
             uint64_t code, struct vmdk_error *error)
{
  if (freed_add (&a->places.freed, grain, n, place, error) == -1)
    return -1;
  if (gtable_change (a->g->gt, grain, n, code, error) == 0) {
    logger_trace (a->g->logger, VMDK_TRACE_GRAINS, "%s: grain %" PRIu64
                  ": %" PRIu64 " freed at sector %" PRIu64, a->g->io->name,
                  grain, n, place);
    return 0;
  }
  freed_remove (&a->places.freed, grain, n);
  return -1;
}

/* Make grains without a place read as zeroes that hides what is below. */
static int
hide_below (struct alloc *a, const struct below *below, uint64_t n,
            uint64_t count, uint64_t offset, uint64_t *done,
            struct vmdk_error *error)
{
  const uint64_t grain_size = a->g->extent.grain_size;
  const uint64_t grain = offset / grain_size;
  uint64_t zeroes, code;
  int r;

  if (below->count_zeroes (below, count, offset, &zeroes, error) == -1)
    return -1;
  if (zeroes == count || zeroes >= grain_size) {
    *done = zeroes == count ? count : zeroes - (offset + zeroes) % grain_size;
    return 0;
  }
  n = min_u64 (n, whole_grains (a, offset, count));
  if (!a->kind->zero_entries || n == 0)
    return alloc_write (a, below, NULL, min_u64 (count, grain_size -
                                                 offset % grain_size),
                        offset, done, error);
  *done = 0;
  pthread_mutex_lock (&a->lock);
  r = look_up (a, offset, n * grain_size, &code, &n, error);
  if (r == 0 && code == ENTRY_HOLE) {
    r = make_tables (a, grain, n, error);
    if (r == 0)
      r = gtable_change (a->g->gt, grain, n, ENTRY_ZERO, error);
    if (r == 0)
      *done = min_u64 (n * grain_size, count);
  }
  pthread_mutex_unlock (&a->lock);
  return r;
}

/* Write zeroes into grains, or give back their storage in the file. */
static int
zero_place (struct alloc *a, bool may_punch, uint64_t place, uint64_t count,
            struct vmdk_error *error)
{
  const int r = may_punch ? io_punch (a->g->io, place, count, error) : 0;

  return r == 0 ? io_write_zeroes (a->g->io, place, count, error) :
    r == 1 ? 0 : -1;
}

int
alloc_zero (struct alloc *a, const struct below *below, bool may_free,
            uint64_t count, uint64_t offset, uint64_t *done,
            struct vmdk_error *error)
{
  const uint64_t grain_size = a->g->extent.grain_size;
  const uint64_t in_grain = offset % grain_size;
  const uint64_t whole = whole_grains (a, offset, count);
  const uint64_t max = below->exists && !a->kind->zero_entries ?
    min_u64 (count, MAX_HIDING_RUN * grain_size) : count;
  uint64_t code, n, new_code, length;
  int r = 0;

  pthread_mutex_lock (&a->lock);
  if (look_up (a, offset, max, &code, &n, error) == -1) {
    pthread_mutex_unlock (&a->lock);
    return -1;
  }
  if (entry_is_place (code) && may_free && whole > 0 &&
      freed_code (a, below, &new_code)) {
    n = min_u64 (n, whole);
    r = free_grains (a, offset / grain_size, n, code, new_code, error);
    pthread_mutex_unlock (&a->lock);
    *done = min_u64 (n * grain_size, count);
    return r;
  }
  pthread_mutex_unlock (&a->lock);

  /* Grains that are covered whole come next, and may be freed. */
  if (in_grain != 0 && may_free)
    n = 1;
  length = min_u64 (n * grain_size - in_grain, count);
  if (entry_is_place (code)) {
    *done = length;
    return zero_place (a, may_free, code * SECTOR_SIZE + in_grain, length,
                       error);
  }
  if (code == ENTRY_HOLE && below->exists)
    return hide_below (a, below, n, length, offset, done, error);
  *done = length;
  return 0;
}

int
alloc_trim (struct alloc *a, const struct below *below, uint64_t count,
            uint64_t offset, uint64_t *done, struct vmdk_error *error)
{
  const uint64_t grain_size = a->g->extent.grain_size;
  const uint64_t to_next = grain_size - offset % grain_size;
  const uint64_t whole = whole_grains (a, offset, count);
  uint64_t code, n, new_code;
  int r = 0;

  *done = count;
  if (!freed_code (a, below, &new_code))
    return 0;
  if (whole == 0) {
    *done = min_u64 (to_next, count);
    return 0;
  }
  pthread_mutex_lock (&a->lock);
  r = look_up (a, offset, whole * grain_size, &code, &n, error);
  if (r == 0) {
    if (entry_is_place (code))
      r = free_grains (a, offset / grain_size, n, code, new_code, error);
    *done = min_u64 (n * grain_size, count);
  }
  pthread_mutex_unlock (&a->lock);
  return r;
}

void
alloc_note_pending (struct alloc *a, atomic_size_t *total)
{
  const size_t now = gtable_changed_bytes (a->g->gt) +
    atomic_load (&a->places.freed.nr) * FREED_MEMORY;
  const size_t before = atomic_exchange (&a->noted, now);

  if (now != before)
    atomic_fetch_add (total, now - before);
}

/* Write where the file is free before anything that has been collected is
 * named by a table: who believes that after a power cut must not give away the
 * place of a grain.
 */
static int
write_end (struct alloc *a, struct vmdk_error *error)
{
  if (!a->kind->set_end || a->collected.nr == 0 ||
      a->written_next == a->collected_next)
    return 0;
  if (a->kind->set_end (a->g, a->collected_next, error) == -1)
    return -1;
  a->written_next = a->collected_next;
  return 0;
}

int
alloc_collect (struct alloc *a, struct vmdk_error *error)
{
  int r = 0;

  pthread_mutex_lock (&a->lock);
  if (a->begun && !a->has_collected) {
    r = gtable_collect (a->g->gt, &a->collected, error);
    if (r == 0) {
      recycling_collect (&a->recycling);
      a->collected_next = a->places.next;
      a->has_collected = true;
    }
  }
  pthread_mutex_unlock (&a->lock);
  return r == 0 ? write_end (a, error) : -1;
}

int
alloc_write_tables (struct alloc *a, bool *wrote, struct vmdk_error *error)
{
  if (a->collected.nr == 0)
    return 0;
  *wrote = true;
  logger_trace (a->g->logger, VMDK_TRACE_FLUSH, "%s: writing %zu pages of "
                "grain tables", a->g->io->name, a->collected.nr);
  return gtable_write (a->g->gt, &a->collected, error);
}

bool
alloc_has_freed (const struct alloc *a)
{
  return recycling_has_collected (&a->recycling);
}

bool
alloc_has_left (const struct alloc *a)
{
  return recycling_has_left (&a->recycling);
}

void
alloc_done (struct alloc *a, bool durable, bool unused)
{
  gtable_collected_free (a->g->gt, &a->collected, durable);
  recycling_done (&a->recycling, durable, unused);
  a->has_collected = false;
}

int
alloc_end (struct alloc *a, struct vmdk_error *error)
{
  struct io *io = a->g->io;
  uint64_t end;

  if (!a->begun)
    return 0;
  end = max_u64 (a->places.next, a->original_end);
  /* It stays longer after a crash too. */
  if (end * SECTOR_SIZE < io->size &&
      io_truncate (io, end * SECTOR_SIZE, error) == -1)
    logger_note (a->g->logger, "%s: what lies behind the last grain "
                 "stays in the file: %s", io->name, error->message);
  if (a->kind->set_end && a->kind->set_end (a->g, a->places.next, error) == -1)
    return -1;
  if (a->kind->set_unclean (a->g, false, error) == -1 ||
      io_sync (io, error) == -1)
    return -1;
  a->unclean = false;
  a->begun = false;
  recycling_clear (&a->recycling);
  places_forget (&a->places);
  return 0;
}
