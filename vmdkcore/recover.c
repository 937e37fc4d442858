/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The tables are gone over once to check and compare them, once more for
 * each further window of the file that the bits for its sectors are too few
 * for, and, where something is to be put right, at last to write it.
 *
 * A writer that keeps the invariants of alloc.h lets an entry go from or to
 * "no place" only, so where it was killed between two syncs and the copies
 * differ, both answers are right.
 *
 * A power cut during the repair leaves something that the next one puts
 * right in the same way, because each answer is one of the two that stand
 * in the file: whichever of the two writes has reached the disk, there is
 * either the pair that there was or twice the answer.  A table that is made
 * anew lies where nothing was, and is synced before a directory names it;
 * otherwise it is lost, and is made again.
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recover-tables.h"

/* Tables of fewer entries are not made, and would take long. */
#define MIN_ENTRIES 128

/* Enough for 2 TiB in grains of a sector. */
#define MAX_TABLES (4 * 1024 * 1024)

/* No entry names a sector that is further behind, and what lies there cannot
 * be passed by a writer: checking ends, however large the file is.
 */
#define MAX_SECTOR UINT32_MAX

#define MIN_WINDOW_BYTES 4096

/* Every table must be there in one copy, or in none. */
static int
check_directories (struct check *c)
{
  uint64_t i;

  for (i = 0; i < c->nr_tables; ++i) {
    const struct table *t = &c->tables[i];
    const bool a = has_table (t, 0);
    const bool b = c->nr_copies == 2 ? has_table (t, 1) : a;

    if (!a && !b && (t->at[0] == BAD_ENTRY || t->at[1] == BAD_ENTRY))
      return recover_damaged (c, "no directory says where grain table %"
                              PRIu64 " is", i);
    c->nr_missing += a != b;
  }
  c->report->nr_differing += c->nr_missing;
  return 0;
}

/* Note what a table is like that was merged the first time. */
static void
note_table (struct check *c, struct table *t)
{
  t->state |= CHECKED;
  if (c->differing > 0)
    t->state |= DIFFERS;
  t->low = (uint16_t) (c->low / STEP);
  t->high = (uint16_t) min_u64 (c->high / STEP, UINT16_MAX);
  c->report->nr_differing += c->differing;
  c->report->nr_allocated += c->allocated;
  c->report->end = max_u64 (c->report->end, c->high);
}

static void
describe (const struct user *u, char *text, size_t size)
{
  const char *redundant = u->copy == 1 ? "redundant " : "";

  switch (u->kind) {
  case DIRECTORY:
    snprintf (text, size, "the %sgrain directory at sector %" PRIu64,
              redundant, u->sector);
    break;
  case TABLE:
  case GRAIN:
    snprintf (text, size, "%sgrain %s%" PRIu64 " at sector %" PRIu64,
              redundant, u->kind == TABLE ? "table " : "", u->number,
              u->sector);
    break;
  default:
    snprintf (text, size, "something else");
    break;
  }
}

static int visit_all (struct check *c);

/* A sector that 'user' wants is in use.  By whom, says another look. */
static int
overlapping (struct check *c, const struct user *user, uint64_t sector)
{
  char text[2][80];

  c->searching = true;
  c->window = sector;
  c->window_end = sector + 1;
  visit_all (c);
  describe (user, text[0], sizeof text[0]);
  describe (&c->found, text[1], sizeof text[1]);
  return recover_damaged (c, "%s overlaps %s", text[0], text[1]);
}

/* Take sectors, in this window, which nothing else may use. */
static int
take (struct check *c, enum user_kind kind, unsigned copy, uint64_t number,
      uint64_t sector, uint64_t n)
{
  const uint64_t end = min_u64 (sector + n, c->window_end);
  const struct user user = { kind, copy, number, sector };
  uint64_t s = max_u64 (sector, c->window);

  if (s < end && c->searching) {
    c->found = user;
    return -1;
  }
  while (s < end) {
    const uint64_t bit = s - c->window;
    const uint64_t in_word = bit % 64;
    const uint64_t count = min_u64 (64 - in_word, end - s);
    const uint64_t mask = UINT64_MAX >> (64 - count) << in_word;
    const uint64_t taken = c->bits[bit / 64] & mask;

    if (taken)
      return overlapping (c, &user, s - in_word +
                          (uint64_t) __builtin_ctzll (taken));
    c->bits[bit / 64] |= mask;
    s += count;
  }
  return 0;
}

/* Can grains of a table be in the window?  Yes, if it is not known. */
static bool
meets_window (const struct check *c, const struct table *t)
{
  return !(t->state & CHECKED) ||
    (t->low * STEP < c->window_end &&
     (t->high == UINT16_MAX ||
      (t->high + 1) * STEP > c->window));
}

static int
visit_table (struct check *c, uint64_t number)
{
  const uint64_t first = number * c->l->entries_per_table;
  const uint64_t n = nr_entries (c, number);
  struct table *t = &c->tables[number];
  const uint8_t *raw[2];
  bool exists = false;
  uint64_t i;
  unsigned k;

  for (k = 0; k < c->nr_copies; ++k)
    if (has_table (t, k)) {
      exists = true;
      if (take (c, TABLE, k, number, t->at[k], c->l->table_size) == -1)
        return -1;
      c->report->end =
        max_u64 (c->report->end, t->at[k] + c->l->table_size);
    }
  if (!exists || !meets_window (c, t))
    return 0;
  if (recover_read_table (c, number, raw) == -1)
    return -1;
  if (!(t->state & CHECKED) && !c->searching)
    note_table (c, t);
  for (i = 0; i < n; ++i)
    if (entry_is_place (c->merged[i]) &&
        take (c, GRAIN, 0, first + i, c->merged[i], c->l->grain_size) == -1)
      return -1;
  return 0;
}

/* All tables are gone over for each window. */
static int
note_progress (struct check *c, uint64_t number)
{
  if (c->searching)
    return 0;
  return progress_at (&c->progress,
                      (c->window / c->window_size * c->nr_tables + number) *
                      c->table_bytes * c->nr_copies, c->error);
}

static int
visit_all (struct check *c)
{
  const uint64_t directory = div_up (c->nr_tables * 4, SECTOR_SIZE);
  uint64_t i;
  unsigned k;

  for (k = 0; k < c->nr_copies; ++k) {
    const uint64_t sector = c->copies[k].directory;

    if (take (c, DIRECTORY, k, 0, sector, directory) == -1)
      return -1;
    c->report->end = max_u64 (c->report->end, sector + directory);
  }
  for (i = 0; i < c->nr_tables; ++i)
    if (visit_table (c, i) == -1 || note_progress (c, i) == -1)
      return -1;
  return 0;
}

/* The first sector for tables that have to be made. */
static uint64_t
first_free (const struct check *c)
{
  return max_u64 (c->report->end, div_up (c->l->io->size, SECTOR_SIZE));
}

/* Tell what is not in use in this window, and ends in it. */
static void
tell_unused (struct check *c)
{
  uint64_t s = max_u64 (c->window, c->unused_from);

  while (s < c->window_end) {
    const uint64_t bit = s - c->window;
    const uint64_t taken = c->bits[bit / 64] >> bit % 64;
    const uint64_t skip = taken ? (uint64_t) __builtin_ctzll (taken) :
      64 - bit % 64;

    s += skip;
    if (!taken)
      continue;
    if (s > c->unused_from)
      c->unused->tell (c->unused->opaque, c->unused_from, s);
    c->unused_from = ++s;
  }
}

static int
check_all (struct check *c)
{
  uint64_t end = div_up (c->l->io->size, SECTOR_SIZE);

  progress_begin (&c->progress, c->l->logger, c->l->io->name,
                  "checking the grain tables",
                  div_up (end, c->window_size) * c->nr_tables *
                  c->table_bytes * c->nr_copies);
  c->report->end = c->l->plain_from;
  for (c->window = 0; c->window < end; c->window = c->window_end) {
    c->window_end = c->window + c->window_size;
    memset (c->bits, 0, (size_t) c->window_size / 8);
    if (visit_all (c) == -1)
      return -1;
    if (c->unused)
      tell_unused (c);
    /* All tables have been seen: nothing is in use behind this. */
    end = min_u64 (end, c->report->end);
  }
  if (c->nr_missing > 0 &&
      first_free (c) + c->nr_missing * c->l->table_size >= BAD_ENTRY)
    return recover_damaged (c, "there is no place for %" PRIu64
                            " missing grain tables", c->nr_missing);
  return 0;
}

/* Write those sectors of a copy of a table, whose raw entries are given if
 * they are known, that do not say what they must.
 */
static int
write_table (struct check *c, unsigned copy, uint64_t number,
             const uint8_t *raw)
{
  const uint64_t start = c->tables[number].at[copy] * SECTOR_SIZE;
  const uint64_t n = nr_entries (c, number);
  uint8_t *image = c->image;
  size_t from, to;
  uint64_t i;

  /* Behind the last grain stays what is there. */
  memset (image, 0, c->table_bytes);
  if (raw)
    memcpy (image, raw, c->table_bytes);
  for (i = 0; i < n; ++i)
    if (!raw || load_le32 (image + 4 * i) != c->merged[i]) {
      store_le32 (image + 4 * i, c->merged[i]);
      c->report->nr_mended++;
    }
  for (from = 0; from < c->table_bytes; from = to) {
    to = from;
    while (to < c->table_bytes &&
           (!raw || memcmp (image + to, raw + to, SECTOR_SIZE) != 0))
      to += SECTOR_SIZE;
    if (to == from)
      to += SECTOR_SIZE;
    else if (io_pwrite (c->l->io, image + from, to - from, start + from,
                        c->error) == -1)
      return -1;
  }
  return 0;
}

/* Make the tables that one of the directories does not have. */
static int
make_tables (struct check *c)
{
  uint64_t place = first_free (c), i;
  const uint8_t *raw[2];

  if (c->nr_missing == 0)
    return 0;
  for (i = 0; i < c->nr_tables; ++i) {
    struct table *t = &c->tables[i];
    const unsigned copy = has_table (t, 0);
    const uint64_t mended = c->report->nr_mended;

    if (has_table (t, 0) == has_table (t, 1))
      continue;
    if (recover_read_table (c, i, raw) == -1)
      return -1;
    t->at[copy] = (uint32_t) place;
    t->state |= (uint8_t) (MADE << copy);
    if (write_table (c, copy, i, NULL) == -1)
      return -1;
    c->report->nr_mended = mended + 1; /* the one in the directory */
    place += c->l->table_size;
  }
  c->report->end = place;
  /* Clients flush other extents of the disk meanwhile. */
  return io_sync_now (c->l->io, c->error);
}

/* Name the tables that have been made, a sector of the directory at once.
 */
static int
name_tables (struct check *c, unsigned copy)
{
  uint8_t sector[SECTOR_SIZE];
  uint64_t first, i;

  for (first = 0; first < c->nr_tables; first += SECTOR_SIZE / 4) {
    const uint64_t end = min_u64 (c->nr_tables, first + SECTOR_SIZE / 4);
    const uint64_t offset =
      c->copies[copy].directory * SECTOR_SIZE + first * 4;
    const size_t size = (size_t) (end - first) * 4;
    bool changed = false;

    for (i = first; i < end; ++i)
      changed |= (c->tables[i].state & MADE << copy) != 0;
    if (!changed)
      continue;
    if (io_pread (c->l->io, sector, size, offset, c->error) == -1)
      return -1;
    for (i = first; i < end; ++i)
      if (c->tables[i].state & MADE << copy)
        store_le32 (sector + 4 * (i - first), c->tables[i].at[copy]);
    if (io_pwrite (c->l->io, sector, size, offset, c->error) == -1)
      return -1;
  }
  return 0;
}

static int
mend_all (struct check *c)
{
  const uint8_t *raw[2];
  uint64_t i;
  unsigned k;

  if (make_tables (c) == -1)
    return -1;
  for (i = 0; i < c->nr_tables; ++i) {
    if (!(c->tables[i].state & DIFFERS))
      continue;
    if (recover_read_table (c, i, raw) == -1)
      return -1;
    for (k = 0; k < c->nr_copies; ++k)
      if (write_table (c, k, i, raw[k]) == -1)
        return -1;
  }
  for (k = 0; k < c->nr_copies; ++k)
    if (name_tables (c, k) == -1)
      return -1;
  /* Clients flush other extents of the disk meanwhile. */
  return io_sync_now (c->l->io, c->error);
}

void
recover_memory_init (struct recover_memory *memory, uint64_t one,
                     uint64_t all)
{
  memory->one = one;
  memory->all = all;
  memory->taken[0] = memory->taken[1] = 0;
  pthread_mutex_init (&memory->lock, NULL);
  pthread_cond_init (&memory->returned, NULL);
}

void
recover_memory_destroy (struct recover_memory *memory)
{
  pthread_cond_destroy (&memory->returned);
  pthread_mutex_destroy (&memory->lock);
}

/* How much is taken by checks such as one that needs 'n'. */
static uint64_t *
taken_by_such (struct recover_memory *memory, uint64_t n)
{
  return &memory->taken[n <= memory->all / 8];
}

static int
take_memory (struct recover_memory *memory, uint64_t n, const struct io *io,
             const struct logger *logger, struct vmdk_error *error)
{
  uint64_t *taken = taken_by_such (memory, n);
  struct progress progress;
  struct timespec until;
  int r = 0;

  progress_begin (&progress, logger, io->name,
                  "waiting for other checks of grain tables", 0);
  pthread_mutex_lock (&memory->lock);
  while (r == 0 && *taken > 0 && *taken + n > memory->all) {
    clock_gettime (CLOCK_REALTIME, &until);
    until.tv_sec++;
    pthread_cond_timedwait (&memory->returned, &memory->lock, &until);
    r = progress_at (&progress, 0, error);
  }
  if (r == 0)
    *taken += n;
  pthread_mutex_unlock (&memory->lock);
  return r;
}

static void
return_memory (struct recover_memory *memory, uint64_t n)
{
  pthread_mutex_lock (&memory->lock);
  *taken_by_such (memory, n) -= n;
  pthread_cond_broadcast (&memory->returned);
  pthread_mutex_unlock (&memory->lock);
}

int
recover_check_layout (const struct gtable_layout *layout,
                      struct vmdk_error *error)
{
  const uint64_t nr_tables =
    div_up (layout->nr_grains, layout->entries_per_table);

  if (layout->entry_size != 4 || layout->entries_per_table < MIN_ENTRIES ||
      layout->entries_per_table > MAX_ENTRIES || nr_tables > MAX_TABLES ||
      layout->table_size * SECTOR_SIZE !=
      layout->entries_per_table * UINT64_C (4))
    return error_set (error, VMDK_ERROR_UNSUPPORTED, ENOTSUP,
                      "%s: %" PRIu64 " grain tables of %" PRIu32
                      " entries are not written", layout->io->name, nr_tables,
                      layout->entries_per_table);
  if (max_u64 (layout->plain_from, max_u64 (layout->directory[0],
                                            layout->directory[1])) >
      MAX_SECTOR)
    return error_set (error, VMDK_ERROR_UNSUPPORTED, ENOTSUP,
                      "%s: a file is not written whose descriptor or grain "
                      "directory is behind its first 2 TiB",
                      layout->io->name);
  return 0;
}

/* See what is to be done, and how much memory that takes. */
static int
prepare (struct check *c, uint64_t budget, uint64_t *needed)
{
  const struct gtable_layout *l = c->l;
  const uint64_t sectors = div_up (l->io->size, SECTOR_SIZE);
  unsigned k;

  if (recover_check_layout (l, c->error) == -1)
    return -1;
  c->nr_tables = div_up (l->nr_grains, l->entries_per_table);
  c->table_bytes = (size_t) l->entries_per_table * 4;
  c->window_size = min_u64 (max_u64 (budget, MIN_WINDOW_BYTES) / 8,
                            max_u64 (div_up (sectors, 64), 1)) * 64;

  /* Raw entries between these two are the sectors of whole grains; whether
   * something else lies there is found out otherwise.
   */
  c->plain_from = l->plain_from ? l->plain_from : UINT64_MAX;
  c->plain_until = l->io->size / SECTOR_SIZE < l->grain_size ? 0 :
    l->io->size / SECTOR_SIZE - l->grain_size + 1;

  for (k = 0; k < 2; ++k)
    if (l->directory[k] != 0)
      c->copies[c->nr_copies++].directory = l->directory[k];
  *needed = c->window_size / 8 + MAX_ENTRIES * sizeof *c->merged +
    c->table_bytes + c->nr_tables * sizeof *c->tables +
    c->nr_copies * (uint64_t) READ_SIZE;
  return 0;
}

static int
allocate (struct check *c)
{
  unsigned k;

  c->bits = malloc ((size_t) c->window_size / 8);
  c->merged = malloc (MAX_ENTRIES * sizeof *c->merged);
  c->image = malloc (c->table_bytes);
  c->tables = calloc (c->nr_tables, sizeof *c->tables);
  for (k = 0; k < c->nr_copies; ++k)
    c->copies[k].buf = malloc (READ_SIZE);
  if (!c->bits || !c->merged || !c->image || !c->tables ||
      !c->copies[0].buf || (c->nr_copies == 2 && !c->copies[1].buf))
    return error_nomem (c->error);
  return 0;
}

static int
check_and_mend (struct check *c, bool repair)
{
  unsigned k;

  for (k = 0; k < c->nr_copies; ++k)
    if (recover_load_directory (c, k) == -1)
      return -1;
  if (check_directories (c) == -1 || check_all (c) == -1)
    return -1;
  return repair && c->report->nr_differing > 0 ? mend_all (c) : 0;
}

int
recover_tables (const struct gtable_layout *layout, bool interrupted,
                bool repair, struct recover_memory *memory,
                const struct recover_unused *unused,
                struct recover_report *report, struct vmdk_error *error)
{
  struct check c = {
    .l = layout, .error = error, .report = report,
    .unused = unused, .unused_from = layout->plain_from,
  };
  uint64_t needed;
  unsigned k;
  int r;

  *report = (struct recover_report) { .interrupted = interrupted };
  if (prepare (&c, memory->one, &needed) == -1 ||
      take_memory (memory, needed, layout->io, layout->logger, error) == -1)
    return -1;
  r = allocate (&c);
  if (r == 0)
    r = check_and_mend (&c, repair);
  for (k = 0; k < 2; ++k)
    free (c.copies[k].buf);
  free (c.tables);
  free (c.image);
  free (c.merged);
  free (c.bits);
  return_memory (memory, needed);
  return r;
}

void
recover_log (const struct recover_report *report, const char *name,
             const struct logger *logger)
{
  const char *cause = report->interrupted ?
    "was not closed cleanly by its last writer" :
    "was closed cleanly";

  if (report->nr_mended > 0)
    logger_warn (logger, "%s: %s; the two copies of its tables differed in %"
                 PRIu64 " entries, which have been put right", name, cause,
                 report->nr_differing);
  else if (report->nr_differing > 0)
    logger_note (logger, "%s: %s; the two copies of its tables differ in %"
                 PRIu64 " entries, which will be put right before the first "
                 "change", name, cause, report->nr_differing);
  else if (report->interrupted)
    logger_note (logger, "%s: %s; its tables are in order", name, cause);
}
