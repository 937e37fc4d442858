/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The file is gone over twice, or more often if it is large: first only to
 * look.
 *
 * A writer that keeps the invariants of alloc.h lets an entry go from or to
 * "no place" only, so where it was killed between two syncs and the copies
 * differ, both answers are right.  The repair writes the answer to both
 * copies in place; whatever part of that reaches the disk, the next look
 * comes to the same answer.
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "recover.h"

/* Tables of fewer entries are not made, and would take long. */
#define MIN_ENTRIES 128
#define MAX_ENTRIES 65536

/* Enough for 2 TiB in grains of a sector. */
#define MAX_TABLES (4 * 1024 * 1024)

/* So much is read at once, since tables often follow each other. */
#define READ_SIZE (256 * 1024)

/* A copy of the directory and what is being read of its tables. */
struct copy {
  uint64_t directory;           /* sector */
  uint32_t *tables;             /* codes: sectors; BAD_TABLE */
  uint8_t *buf;
  uint64_t buf_start, buf_end;  /* bytes of the file */
};

#define BAD_TABLE UINT32_MAX

struct check {
  const struct gtable_layout *l;
  struct vmdk_error *error;
  struct copy copies[2];        /* the primary first */
  unsigned nr_copies;
  uint64_t nr_tables;
  size_t table_bytes;
  uint32_t *merged;             /* the entries of a table */
  struct recover_report *report;
  bool interrupted;             /* was the last writer? */
  bool differs;                 /* do the copies, in anything? */

  /* One bit for each sector that is in use, from 'window' on. */
  uint64_t *bits;
  uint64_t window, window_size; /* sectors */
};

static int __attribute__ ((format (printf, 2, 3)))
damaged (const struct check *c, const char *fmt, ...)
{
  va_list args;
  char reason[256];

  va_start (args, fmt);
  vsnprintf (reason, sizeof reason, fmt, args);
  va_end (args);
  return error_set (c->error, VMDK_ERROR_CORRUPT, EIO,
                    "%s: is damaged, and is not written: %s",
                    c->l->io->name, reason);
}

/* Note that sectors are in use, in this window; nothing else may use them.
 */
static int
claim (struct check *c, const char *what, uint64_t number, uint64_t sector,
       uint64_t n)
{
  uint64_t s = max_u64 (sector, c->window);
  const uint64_t end = min_u64 (sector + n, c->window + c->window_size);

  c->report->end = max_u64 (c->report->end, sector + n);
  while (s < end) {
    const uint64_t bit = s - c->window;
    const uint64_t in_word = bit % 64;
    const uint64_t count = min_u64 (64 - in_word, end - s);
    const uint64_t mask =
      (count == 64 ? UINT64_MAX : (UINT64_C (1) << count) - 1) << in_word;

    if (c->bits[bit / 64] & mask)
      return damaged (c, "%s %" PRIu64 " at sector %" PRIu64 " overlaps "
                      "something else", what, number, sector);
    c->bits[bit / 64] |= mask;
    s += count;
  }
  return 0;
}

static int
load_directory (struct check *c, struct copy *copy)
{
  uint8_t *raw = malloc (c->nr_tables * 4);
  uint64_t i;
  int r = -1;

  copy->tables = malloc (c->nr_tables * sizeof *copy->tables);
  copy->buf = malloc (READ_SIZE);
  if (!raw || !copy->tables || !copy->buf)
    error_nomem (c->error);
  else
    r = io_pread (c->l->io, raw, c->nr_tables * 4,
                  copy->directory * SECTOR_SIZE, c->error);
  for (i = 0; r == 0 && i < c->nr_tables; ++i) {
    const uint64_t code =
      c->l->decode_table (c->l->opaque, i, load_le32 (raw + 4 * i));

    copy->tables[i] = code == ENTRY_BAD ? BAD_TABLE : (uint32_t) code;
  }
  free (raw);
  return r;
}

/* Every table must be there in one copy, or in none. */
static int
check_directories (struct check *c)
{
  uint64_t i;

  for (i = 0; i < c->nr_tables; ++i) {
    const uint32_t a = c->copies[0].tables[i];
    const uint32_t b = c->nr_copies == 2 ? c->copies[1].tables[i] : a;

    if (a == BAD_TABLE && (b == BAD_TABLE || b == ENTRY_HOLE))
      return damaged (c, "the directory does not say where grain table %"
                      PRIu64 " is", i);
    if (b == BAD_TABLE && a == ENTRY_HOLE)
      return damaged (c, "the redundant directory does not say where grain "
                      "table %" PRIu64 " is", i);
  }
  return 0;
}

static bool
has_table (const struct copy *copy, uint64_t table)
{
  return copy->tables[table] != ENTRY_HOLE &&
    copy->tables[table] != BAD_TABLE;
}

/* The raw entries of a table, or NULL if there is none or it cannot be
 * read.
 */
static const uint8_t *
read_table (const struct check *c, struct copy *copy, uint64_t table)
{
  const uint64_t start = copy->tables[table] * UINT64_C (512);
  struct vmdk_error ignored;
  size_t size;

  if (!has_table (copy, table))
    return NULL;
  if (start >= copy->buf_start && start + c->table_bytes <= copy->buf_end)
    return copy->buf + (start - copy->buf_start);
  copy->buf_start = copy->buf_end = start;
  size = (size_t) min_u64 (READ_SIZE, c->l->io->size - start);
  if (io_pread (c->l->io, copy->buf, size, start, &ignored) == -1) {
    size = c->table_bytes;
    if (start + size > c->l->io->size ||
        io_pread (c->l->io, copy->buf, size, start, &ignored) == -1)
      return NULL;
  }
  copy->buf_end = start + size;
  return size >= c->table_bytes ? copy->buf : NULL;
}

static uint32_t
decode (const struct check *c, const uint8_t *raw, uint64_t grain,
        uint64_t i)
{
  bool partial = false;
  uint64_t code;

  if (!raw)
    return BAD_TABLE;
  code = c->l->decode_grain (c->l->opaque, grain, load_le32 (raw + 4 * i),
                             &partial);
  return code == ENTRY_BAD || partial ? BAD_TABLE : (uint32_t) code;
}

/* Decide on an entry that is not the same in both copies, or not good in
 * itself.  Returns BAD_TABLE if that is impossible.
 */
static uint32_t
decide (const struct check *c, uint32_t a, uint32_t b)
{
  if (a == b || b == BAD_TABLE)
    return a;
  if (a == BAD_TABLE)
    return b;
  if (entry_is_place (a) && entry_is_place (b))
    return BAD_TABLE;
  if (c->interrupted)
    return a;
  return a > b ? a : b;         /* a place, or else ENTRY_ZERO */
}

/* Put what a table must say into 'merged'.  *differs is set if a copy says
 * something else.
 */
static int
merge_table (struct check *c, uint64_t table, const uint8_t *raw[2],
             bool *differs)
{
  const uint64_t first = table * c->l->entries_per_table;
  const uint64_t n =
    min_u64 (c->l->entries_per_table, c->l->nr_grains - first);
  const bool same = raw[0] && raw[1] &&
    (raw[0] == raw[1] || memcmp (raw[0], raw[1], (size_t) n * 4) == 0);
  uint64_t i;

  *differs = false;
  for (i = 0; i < n; ++i) {
    const uint32_t a = decode (c, raw[0], first + i, i);
    uint32_t code = a;

    if (!same || a == BAD_TABLE) {
      const uint32_t b = decode (c, raw[1], first + i, i);

      code = decide (c, a, b);
      *differs |= a != b;
    }
    if (code == BAD_TABLE)
      return damaged (c, "the entry of grain %" PRIu64 " is bad, or the two "
                      "copies name different places", first + i);
    c->merged[i] = code;
  }
  return 0;
}

/* Read both copies of a table; of one that is not there the other counts
 * twice.
 */
static void
read_copies (struct check *c, uint64_t table, const uint8_t *raw[2])
{
  raw[0] = read_table (c, &c->copies[0], table);
  raw[1] = c->nr_copies == 2 ? read_table (c, &c->copies[1], table) : NULL;
  if (c->nr_copies == 1 || !has_table (&c->copies[1], table))
    raw[1] = raw[0];
  else if (!has_table (&c->copies[0], table))
    raw[0] = raw[1];
}

static int
claim_table (struct check *c, uint64_t table)
{
  const uint64_t first = table * c->l->entries_per_table;
  const uint64_t n =
    min_u64 (c->l->entries_per_table, c->l->nr_grains - first);
  const uint8_t *raw[2];
  bool differs;
  uint64_t i;
  unsigned k;

  for (k = 0; k < c->nr_copies; ++k)
    if (has_table (&c->copies[k], table) &&
        claim (c, "grain table", table, c->copies[k].tables[table],
               c->l->table_size) == -1)
      return -1;
  read_copies (c, table, raw);
  if (merge_table (c, table, raw, &differs) == -1)
    return -1;
  for (k = 0; k < c->nr_copies; ++k)
    differs |= !has_table (&c->copies[k], table);
  c->differs |= differs;
  for (i = 0; i < n; ++i)
    if (entry_is_place (c->merged[i])) {
      if (claim (c, "grain", first + i, c->merged[i],
                 c->l->grain_size) == -1)
        return -1;
      c->report->nr_allocated += c->window == 0;
    }
  return 0;
}

static bool
exists (const struct check *c, uint64_t table)
{
  return has_table (&c->copies[0], table) ||
    (c->nr_copies == 2 && has_table (&c->copies[1], table));
}

/* Look at everything, with the claims of one window after the other. */
static int
check_all (struct check *c)
{
  const uint64_t sectors = div_up (c->l->io->size, SECTOR_SIZE);
  const uint64_t directory = div_up (c->nr_tables * 4, SECTOR_SIZE);
  uint64_t table;
  unsigned k;

  for (c->window = 0; c->window < sectors; c->window += c->window_size) {
    memset (c->bits, 0, c->window_size / 8);
    if (claim (c, "header", 0, 0, 1) == -1)
      return -1;
    for (k = 0; k < c->nr_copies; ++k)
      if (claim (c, "grain directory", k, c->copies[k].directory,
                 directory) == -1)
        return -1;
    for (table = 0; table < c->nr_tables; ++table)
      if (exists (c, table) && claim_table (c, table) == -1)
        return -1;
  }
  c->report->end = max_u64 (c->report->end, c->l->plain_from);
  return 0;
}

/* Write those sectors of one copy of a table that do not say what they
 * must.
 */
static int
mend_copy (struct check *c, const struct copy *copy, uint64_t table,
           const uint8_t *raw)
{
  const uint64_t first = table * c->l->entries_per_table;
  const uint64_t n =
    min_u64 (c->l->entries_per_table, c->l->nr_grains - first);
  uint8_t sector[SECTOR_SIZE];
  uint64_t i, from;

  for (from = 0; from < n; from += SECTOR_SIZE / 4) {
    const uint64_t to = min_u64 (n, from + SECTOR_SIZE / 4);
    uint64_t changed = 0;

    /* Behind the last grain stays what is there. */
    memset (sector, 0, sizeof sector);
    if (raw)
      memcpy (sector, raw + 4 * from, sizeof sector);
    for (i = from; i < to; ++i) {
      changed += !raw || load_le32 (raw + 4 * i) != c->merged[i];
      store_le32 (sector + 4 * (i - from), c->merged[i]);
    }
    if (changed == 0)
      continue;
    c->report->nr_mended += changed;
    if (io_pwrite (c->l->io, sector, sizeof sector,
                   copy->tables[table] * UINT64_C (512) + 4 * from,
                   c->error) == -1)
      return -1;
  }
  return 0;
}

/* Make the table that one copy of the directory does not have.  The entry
 * that names it comes last.
 */
static int
make_copy (struct check *c, struct copy *copy, uint64_t table)
{
  const uint64_t place =
    max_u64 (c->report->end, div_up (c->l->io->size, SECTOR_SIZE));
  uint8_t raw[4];

  if (place + c->l->table_size >= UINT32_MAX)
    return damaged (c, "there is no place for a missing grain table");
  if (io_write_zeroes (c->l->io, place * SECTOR_SIZE,
                       c->l->table_size * SECTOR_SIZE, c->error) == -1)
    return -1;
  copy->tables[table] = (uint32_t) place;
  c->report->end = place + c->l->table_size;
  if (mend_copy (c, copy, table, NULL) == -1 ||
      io_sync (c->l->io, c->error) == -1)
    return -1;
  store_le32 (raw, (uint32_t) place);
  c->report->nr_mended++;
  return io_pwrite (c->l->io, raw, sizeof raw,
                    copy->directory * SECTOR_SIZE + 4 * table, c->error);
}

static int
mend_table (struct check *c, uint64_t table)
{
  const uint8_t *raw[2];
  bool differs;
  unsigned k;

  read_copies (c, table, raw);
  if (merge_table (c, table, raw, &differs) == -1)
    return -1;
  for (k = 0; k < c->nr_copies; ++k) {
    struct copy *copy = &c->copies[k];

    if (!has_table (copy, table)) {
      if (make_copy (c, copy, table) == -1)
        return -1;
    }
    else if (differs && mend_copy (c, copy, table, raw[k]) == -1)
      return -1;
  }
  return 0;
}

static int
mend_all (struct check *c)
{
  uint64_t table;

  for (table = 0; table < c->nr_tables; ++table)
    if (exists (c, table) && mend_table (c, table) == -1)
      return -1;
  return io_sync (c->l->io, c->error);
}

static int
check_layout (struct check *c)
{
  const struct gtable_layout *l = c->l;

  c->nr_tables = div_up (l->nr_grains, l->entries_per_table);
  if (l->entry_size != 4 || l->entries_per_table < MIN_ENTRIES ||
      l->entries_per_table > MAX_ENTRIES || c->nr_tables > MAX_TABLES)
    return error_set (c->error, VMDK_ERROR_UNSUPPORTED, ENOTSUP,
                      "%s: %" PRIu64 " grain tables of %" PRIu32
                      " entries are not written", l->io->name, c->nr_tables,
                      l->entries_per_table);
  c->table_bytes = (size_t) l->entries_per_table * 4;
  if (l->directory[0] != 0)
    c->copies[c->nr_copies++].directory = l->directory[0];
  if (l->directory[1] != 0)
    c->copies[c->nr_copies++].directory = l->directory[1];
  return 0;
}

int
recover_tables (const struct gtable_layout *layout, bool interrupted,
                bool repair, uint64_t budget, struct recover_report *report,
                struct vmdk_error *error)
{
  struct check c = {
    .l = layout, .error = error, .report = report,
    .interrupted = interrupted,
  };
  unsigned k;
  int r;

  *report = (struct recover_report) { 0 };
  r = check_layout (&c);
  c.window_size = min_u64 (max_u64 (budget, 4096) / 8,
                           div_up (layout->io->size, 64 * SECTOR_SIZE)) * 64;
  c.bits = malloc (c.window_size / 8);
  c.merged = malloc (MAX_ENTRIES * sizeof *c.merged);
  if (r == 0 && (!c.bits || !c.merged))
    r = error_nomem (error);
  for (k = 0; r == 0 && k < c.nr_copies; ++k)
    r = load_directory (&c, &c.copies[k]);
  if (r == 0)
    r = check_directories (&c);
  if (r == 0)
    r = check_all (&c);
  if (r == 0 && repair && c.differs)
    r = mend_all (&c);
  for (k = 0; k < 2; ++k) {
    free (c.copies[k].tables);
    free (c.copies[k].buf);
  }
  free (c.merged);
  free (c.bits);
  return r;
}
