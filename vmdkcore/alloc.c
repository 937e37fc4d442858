/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <search.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "gtable-write.h"
#include "recover.h"

/* The file is made larger in steps of so many sectors. */
#define GROWTH (UINT64_C (16) * 1024 * 1024 / SECTOR_SIZE)

/* So many grains get places at once, at most. */
#define MAX_CLAIM 1024

/* Entries have 32 bits, and the largest number is not used. */
#define MAX_SECTOR UINT64_C (0xfffffffe)

/* So many pieces of room are remembered; what is forgotten is found when
 * the file is checked the next time.
 */
#define MAX_ROOMS 65536

/* What a node of a tree of freed grains takes, about. */
#define FREED_MEMORY 96

/* Memory for the check of the tables. */
#define CHECK_BUDGET (16 * 1024 * 1024)

/* Grains that one thread is giving places to. */
struct claim {
  uint64_t grain, n;
  struct claim *next;
};

/* Grains that followed each other in the file until they were freed. */
struct freed {
  uint64_t grain, n;
  uint64_t place;               /* sector of the first */
};

/* Places that can be given away. */
struct room {
  uint64_t place, n;            /* sector, grains */
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
  struct claim *claims;
  uint64_t next;                /* sector: the first that was never given */
  uint64_t untouched;           /* sector: from here on the file has never
                                   been written and reads as zeroes */
  uint64_t original_end;        /* sectors, when it was begun */
  struct room *rooms;
  size_t nr_rooms, max_rooms;
  void *freed;                  /* tree, by grain: since the last collect */
  atomic_size_t nr_freed;

  /* Of who publishes. */
  void *collected_freed;
  struct gtable_collected collected;
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
  a->unclean = unclean;
  pthread_mutex_init (&a->lock, NULL);
  pthread_cond_init (&a->unclaimed, NULL);
  return a;
}

void
alloc_free (struct alloc *a)
{
  if (!a)
    return;
  tdestroy (a->freed, free);
  tdestroy (a->collected_freed, free);
  free (a->rooms);
  pthread_cond_destroy (&a->unclaimed);
  pthread_mutex_destroy (&a->lock);
  free (a);
}

bool
alloc_is_unclean (const struct alloc *a)
{
  return a->unclean;
}

static uint64_t
align (const struct alloc *a, uint64_t sector)
{
  return a->kind->aligned ?
    div_up (sector, a->g->grain_size) * a->g->grain_size : sector;
}

/* Locked. */
static int
begin (struct alloc *a, struct vmdk_error *error)
{
  struct recover_report report;

  if (a->begun)
    return 0;
  if (recover_tables (&a->layout, a->unclean, true, CHECK_BUDGET, &report,
                      error) == -1)
    return -1;
  if (report.nr_mended > 0)
    logger_warn (a->g->logger, "%s: was not closed cleanly by its last writer; "
                 "%" PRIu64 " entries of its tables have been put right",
                 a->g->io->name, report.nr_mended);
  else if (a->unclean)
    logger_note (a->g->logger, "%s: was not closed cleanly by its last writer; "
                 "its tables are in order", a->g->io->name);
  if (gtable_begin_changes (a->g->gt, report.nr_mended > 0, error) == -1 ||
      a->kind->set_unclean (a->g, true, error) == -1)
    return -1;
  a->unclean = true;

  /* What lies behind the last grain belongs to nothing, but need not be
   * zeroes.
   */
  a->next = align (a, max_u64 (report.end, a->first));
  a->original_end = a->untouched = grains_file_sectors (a->g);
  a->written_next = 0;
  a->begun = true;
  return 0;
}

int
alloc_begin (struct alloc *a, struct vmdk_error *error)
{
  int r;

  pthread_mutex_lock (&a->lock);
  r = begin (a, error);
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

/* Trees of freed grains: those that meet are the same to them. */
static int
compare_freed (const void *a, const void *b)
{
  const struct freed *x = a, *y = b;

  if (x->grain + x->n <= y->grain)
    return -1;
  return x->grain >= y->grain + y->n;
}

/* Remember that 'n' grains have left their places.  Locked. */
static int
add_freed (struct alloc *a, uint64_t grain, uint64_t n, uint64_t place,
           struct vmdk_error *error)
{
  struct freed *f = malloc (sizeof *f);

  if (f) {
    *f = (struct freed) { .grain = grain, .n = n, .place = place };
    if (tsearch (f, &a->freed, compare_freed)) {
      a->nr_freed++;
      return 0;
    }
  }
  free (f);
  return error_nomem (error);
}

/* A grain that was freed and is written again before that is published
 * returns to its place (invariant 4).  Returns 1 with the place, 0 if it
 * was not freed, -1 if memory is short.  Locked.
 */
static int
take_freed (struct alloc *a, uint64_t grain, uint64_t *place,
            struct vmdk_error *error)
{
  const struct freed key = { .grain = grain, .n = 1 };
  struct freed **found = tfind (&key, &a->freed, compare_freed);
  struct freed *f, whole;

  if (!found)
    return 0;
  f = *found;
  whole = *f;
  tdelete (&key, &a->freed, compare_freed);
  free (f);
  a->nr_freed--;
  *place = whole.place + (grain - whole.grain) * a->g->grain_size;

  /* What does not fit into memory any more is forgotten, too. */
  if (grain > whole.grain &&
      add_freed (a, whole.grain, grain - whole.grain, whole.place,
                 error) == -1)
    return -1;
  if (grain + 1 < whole.grain + whole.n &&
      add_freed (a, grain + 1, whole.grain + whole.n - grain - 1,
                 *place + a->g->grain_size, error) == -1)
    return -1;
  return 1;
}

/* Locked. */
static void
add_room (struct alloc *a, uint64_t place, uint64_t n)
{
  if (a->nr_rooms == MAX_ROOMS)
    return;
  if (a->nr_rooms == a->max_rooms) {
    const size_t max = a->max_rooms * 2 + 16;
    struct room *rooms = reallocarray (a->rooms, max, sizeof *rooms);

    if (!rooms)
      return;
    a->rooms = rooms;
    a->max_rooms = max;
  }
  a->rooms[a->nr_rooms++] = (struct room) { .place = place, .n = n };
}

/* Make the file reach to 'end' (sectors).  Locked. */
static int
grow (struct alloc *a, uint64_t end, struct vmdk_error *error)
{
  if (end <= a->g->io->size / SECTOR_SIZE)
    return 0;
  return io_truncate (a->g->io, min_u64 (end + GROWTH, MAX_SECTOR) *
                      SECTOR_SIZE, error);
}

/* Take 'sectors' sectors from the end of the file.  Locked. */
static int
take_end (struct alloc *a, uint64_t sectors, uint64_t *place,
          struct vmdk_error *error)
{
  if (sectors > MAX_SECTOR - min_u64 (a->next, MAX_SECTOR))
    return error_set (error, VMDK_ERROR_IO, ENOSPC,
                      "%s: the file cannot become larger than 2 TiB",
                      a->g->io->name);
  if (grow (a, a->next + sectors, error) == -1)
    return -1;
  *place = a->next;
  a->next += sectors;
  return 0;
}

/* Make the table that the entry of 'grain' is in.  Locked. */
static int
make_table (struct alloc *a, uint64_t grain, struct vmdk_error *error)
{
  const uint64_t size = a->layout.table_size;
  const bool redundant =
    a->layout.directory[0] != 0 && a->layout.directory[1] != 0;
  const uint64_t next = a->next;
  uint64_t place, twin;

  if (take_end (a, redundant ? 2 * size : size, &place, error) == -1)
    return -1;
  twin = redundant ? place + size : 0;
  a->next = align (a, a->next);
  if (io_write_zeroes (a->g->io, place * SECTOR_SIZE,
                       (redundant ? 2 * size : size) * SECTOR_SIZE,
                       error) == -1) {
    /* It has been touched now. */
    a->untouched = max_u64 (a->untouched, a->next);
    a->next = next;
    return -1;
  }
  return gtable_add_table (a->g->gt, grain, place, twin, error);
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

/* Where a place for grains comes from. */
enum origin {
  ORIGIN_CLEAN,                 /* never used, reads as zeroes */
  ORIGIN_USED,                  /* by others, who have left it for good */
  ORIGIN_OWN                    /* the entry in the file may still name it */
};

/* Find a place for the first of the grains, and as many of the others as
 * can follow it; *n is changed.  Locked.
 */
static int
find_place (struct alloc *a, uint64_t grain, uint64_t *n, uint64_t *place,
            enum origin *origin, struct vmdk_error *error)
{
  const uint64_t grain_size = a->g->grain_size;
  uint64_t i;
  int r;

  r = a->freed ? take_freed (a, grain, place, error) : 0;
  if (r != 0) {
    *origin = ORIGIN_OWN;
    *n = 1;
    return r == 1 ? 0 : -1;
  }
  for (i = 1; a->freed && i < *n; ++i) {
    const struct freed key = { .grain = grain + i, .n = 1 };

    if (tfind (&key, &a->freed, compare_freed))
      *n = i;
  }
  if (a->nr_rooms > 0) {
    struct room *room = &a->rooms[a->nr_rooms - 1];

    *n = min_u64 (*n, room->n);
    *place = room->place;
    room->place += *n * grain_size;
    room->n -= *n;
    a->nr_rooms -= room->n == 0;
    *origin = ORIGIN_USED;
    return 0;
  }
  if (take_end (a, *n * grain_size, place, error) == -1)
    return -1;
  *origin = *place >= a->untouched ? ORIGIN_CLEAN : ORIGIN_USED;
  return 0;
}

/* Nothing has come of writing to a place.  Locked. */
static void
return_place (struct alloc *a, uint64_t grain, uint64_t n, uint64_t place,
              enum origin origin)
{
  struct vmdk_error ignored;

  if (origin == ORIGIN_OWN)
    (void) add_freed (a, grain, n, place, &ignored);
  else
    add_room (a, place, n);
}

static bool
is_zero (const uint8_t *p, uint64_t len)
{
  return len == 0 || (p[0] == 0 && memcmp (p, p + 1, (size_t) len - 1) == 0);
}

/* Data on their way into fresh grains. */
struct filling {
  const struct below *below;    /* NULL if zeroes are around the data */
  const uint8_t *buf;           /* NULL: zeroes */
  uint64_t offset, count;       /* of the data */
  uint64_t start, end;          /* of the grains */
  uint64_t place;               /* bytes in the file */
  bool clean;
};

/* What the range of grains must hold outside of the data. */
static int
read_around (const struct alloc *a, const struct filling *f, uint8_t *p,
             uint64_t offset, uint64_t count, struct vmdk_error *error)
{
  const uint64_t length = a->g->extent.length;
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
fill_grain (const struct alloc *a, const struct filling *f,
            struct vmdk_error *error)
{
  const uint64_t head = f->offset - f->start;
  const uint64_t behind = head + f->count;
  const uint64_t size = f->end - f->start;
  uint8_t *grain = malloc (size);
  int r = -1;

  if (!grain)
    return error_nomem (error);
  if (read_around (a, f, grain, f->start, head, error) == -1 ||
      read_around (a, f, grain + behind, f->start + behind, size - behind,
                   error) == -1)
    goto out;
  if (f->clean && is_zero (grain, head) &&
      is_zero (grain + behind, size - behind))
    r = f->buf ?
      io_pwrite (a->g->io, f->buf, f->count, f->place + head, error) : 0;
  else {
    if (f->buf)
      memcpy (grain + head, f->buf, f->count);
    else
      memset (grain + head, 0, f->count);
    r = io_pwrite (a->g->io, grain, size, f->place, error);
  }

 out:
  free (grain);
  return r;
}

/* Write the data and what is around them. */
static int
fill (const struct alloc *a, const struct filling *f,
      struct vmdk_error *error)
{
  const uint64_t grain_size = a->g->extent.grain_size;
  const uint64_t data_end = f->offset + f->count;
  struct filling part = *f;

  if (f->clean && !f->below)
    return f->buf ?
      io_pwrite (a->g->io, f->buf, f->count,
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
      if (fill_grain (a, &part, error) == -1)
        return -1;
    }
    else if (part.buf) {
      if (io_pwrite (a->g->io, part.buf, part.count, part.place,
                     error) == -1)
        return -1;
    }
    else if (!f->clean &&
             io_write_zeroes (a->g->io, part.place, part.count, error) == -1)
      return -1;
    part.start = part.end;
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

/* The longest run of grains at 'offset', of at most 'count' bytes, that
 * nobody is giving places to.  Locked.
 */
static int
look_up (struct alloc *a, uint64_t offset, uint64_t count, uint64_t *code,
         uint64_t *n, struct vmdk_error *error)
{
  const uint64_t grain_size = a->g->extent.grain_size;
  const uint64_t grain = offset / grain_size;
  struct claim *c;

  if (begin (a, error) == -1)
    return -1;
  wait_for_claim (a, grain);
  *n = min_u64 (div_up (offset % grain_size + count, grain_size),
                a->layout.nr_grains - grain);
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
  claim.n = min_u64 (claim.n, MAX_CLAIM);
  if (make_tables (a, grain, claim.n, error) == -1 ||
      find_place (a, grain, &claim.n, &place, &origin, error) == -1)
    goto err;
  add_claim (a, &claim);
  pthread_mutex_unlock (&a->lock);

  f.start = grain * grain_size;
  f.end = f.start + claim.n * grain_size;
  f.count = min_u64 (count, f.end - offset);
  f.place = place * SECTOR_SIZE;
  f.clean = origin == ORIGIN_CLEAN;
  f.below = code == ENTRY_HOLE && below->exists ? below : NULL;
  r = fill (a, &f, error);

  pthread_mutex_lock (&a->lock);
  if (r == 0)
    r = gtable_change (a->g->gt, grain, claim.n, place, error);
  else
    return_place (a, grain, claim.n, place, origin);
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
  const struct freed key = { .grain = grain, .n = n };
  struct freed **found;

  if (add_freed (a, grain, n, place, error) == -1)
    return -1;
  if (gtable_change (a->g->gt, grain, n, code, error) == 0)
    return 0;

  /* Some of them may still be there, so none of the places is free. */
  found = tfind (&key, &a->freed, compare_freed);
  if (found) {
    struct freed *f = *found;

    tdelete (&key, &a->freed, compare_freed);
    free (f);
    a->nr_freed--;
  }
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
  uint64_t code, n, new_code, length;
  int r = 0;

  pthread_mutex_lock (&a->lock);
  if (look_up (a, offset, count, &code, &n, error) == -1) {
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

int
alloc_zero_is_fast (struct alloc *a, const struct below *below,
                    bool may_free, uint64_t count, uint64_t offset,
                    struct vmdk_error *error)
{
  const uint64_t grain_size = a->g->extent.grain_size;
  uint64_t done, code, n, new_code;
  const bool can_free = freed_code (a, below, &new_code) && may_free;

  for (done = 0; done < count;) {
    const uint64_t at = offset + done, left = count - done;
    const uint64_t whole = whole_grains (a, at, left);
    bool reads_zero;
    int r;

    pthread_mutex_lock (&a->lock);
    r = look_up (a, at, left, &code, &n, error);
    pthread_mutex_unlock (&a->lock);
    if (r == -1)
      return -1;
    reads_zero = code == ENTRY_ZERO ||
      (code == ENTRY_HOLE && !below->exists);
    if (!reads_zero) {
      if (whole == 0 || !can_free)
        return 0;
      n = min_u64 (n, whole);
    }
    done += min_u64 (n * grain_size - at % grain_size, left);
  }
  return 1;
}

size_t
alloc_pending (struct alloc *a)
{
  return gtable_changed_bytes (a->g->gt) + a->nr_freed * FREED_MEMORY;
}

int
alloc_collect (struct alloc *a, struct vmdk_error *error)
{
  int r = 0;

  pthread_mutex_lock (&a->lock);
  if (a->begun) {
    r = gtable_collect (a->g->gt, &a->collected, error);
    a->collected_freed = a->freed;
    a->freed = NULL;
    a->nr_freed = 0;
    a->collected_next = a->next;
  }
  pthread_mutex_unlock (&a->lock);
  return r;
}

int
alloc_write_tables (struct alloc *a, bool *wrote, struct vmdk_error *error)
{
  if (a->collected.nr == 0)
    return 0;
  *wrote = true;
  if (gtable_write (a->g->gt, &a->collected, error) == -1)
    return -1;
  if (a->kind->set_end && a->written_next != a->collected_next) {
    if (a->kind->set_end (a->g, a->collected_next, error) == -1)
      return -1;
    a->written_next = a->collected_next;
  }
  return 0;
}

bool
alloc_has_freed (const struct alloc *a)
{
  return a->collected_freed != NULL;
}

/* The place of freed grains is free now: give its storage back, if that is
 * possible, and the place to the next who needs one.
 */
static void
recycle (const void *node, VISIT visit, void *closure)
{
  const struct freed *f = *(const struct freed *const *) node;
  struct alloc *a = closure;
  struct vmdk_error ignored;

  if (visit != postorder && visit != leaf)
    return;
  (void) io_punch (a->g->io, f->place * SECTOR_SIZE,
                   f->n * a->g->extent.grain_size, &ignored);
  pthread_mutex_lock (&a->lock);
  add_room (a, f->place, f->n);
  pthread_mutex_unlock (&a->lock);
}

void
alloc_done (struct alloc *a, bool durable)
{
  gtable_collected_free (a->g->gt, &a->collected, durable);
  if (durable)
    twalk_r (a->collected_freed, recycle, a);
  tdestroy (a->collected_freed, free);
  a->collected_freed = NULL;
}

int
alloc_end (struct alloc *a, struct vmdk_error *error)
{
  struct io *io = a->g->io;
  uint64_t end;

  if (!a->begun)
    return 0;
  end = max_u64 (a->next, a->original_end);
  if (end * SECTOR_SIZE < io->size &&
      io_truncate (io, end * SECTOR_SIZE, error) == -1)
    return -1;
  if (a->kind->set_end && a->kind->set_end (a->g, a->next, error) == -1)
    return -1;
  if (a->kind->set_unclean (a->g, false, error) == -1 ||
      io_sync (io, error) == -1)
    return -1;
  a->unclean = false;
  a->begun = false;
  a->nr_rooms = 0;
  return 0;
}
