/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Reading, comparing and merging the two copies of the tables. */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "recover-tables.h"

int
recover_damaged (const struct check *c, const char *fmt, ...)
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

/* The sector of a table, if all of it is where a table can be. */
static uint32_t
decode_table (const struct check *c, uint64_t number, uint32_t raw)
{
  const struct gtable_layout *l = c->l;
  const uint64_t code = l->decode_table (l->opaque, number, raw);

  if (code == ENTRY_HOLE)
    return ENTRY_HOLE;
  if (!entry_is_place (code) || code >= BAD_ENTRY ||
      (code + l->table_size) * SECTOR_SIZE > l->io->size)
    return BAD_ENTRY;
  return (uint32_t) code;
}

int
recover_load_directory (struct check *c, unsigned copy)
{
  uint8_t *buf = c->copies[copy].buf;
  uint64_t i;

  for (i = 0; i < c->nr_tables; ++i) {
    const uint64_t in_buf = i % (READ_SIZE / 4);

    if (in_buf == 0 &&
        io_pread (c->l->io, buf,
                  (size_t) min_u64 (READ_SIZE, (c->nr_tables - i) * 4),
                  c->copies[copy].directory * SECTOR_SIZE + i * 4,
                  c->error) == -1)
      return -1;
    c->tables[i].at[copy] =
      decode_table (c, i, load_le32 (buf + in_buf * 4));
  }
  return 0;
}

/* The raw entries of a table that is there, or NULL if it cannot be read.
 * Those that follow it in the file, and will be wanted next, are read with
 * it.
 */
static const uint8_t *
read_table (struct check *c, unsigned k, uint64_t number)
{
  struct copy *copy = &c->copies[k];
  const uint64_t start = c->tables[number].at[k] * SECTOR_SIZE;
  uint64_t end = start + c->table_bytes, next;
  struct vmdk_error ignored;

  if (start >= copy->buf_start && end <= copy->buf_end)
    return copy->buf + (start - copy->buf_start);
  for (next = number + 1; next < c->nr_tables &&
       end + c->table_bytes - start <= READ_SIZE; ++next)
    if (has_table (&c->tables[next], k)) {
      if (c->tables[next].at[k] * SECTOR_SIZE != end)
        break;
      end += c->table_bytes;
    }
  copy->buf_start = copy->buf_end = start;
  if (io_pread (c->l->io, copy->buf, (size_t) (end - start), start,
                &ignored) == -1) {
    end = start + c->table_bytes;
    if (io_pread (c->l->io, copy->buf, c->table_bytes, start,
                  c->error) == -1)
      return NULL;
  }
  copy->buf_end = end;
  return copy->buf;
}

/* Read both copies of a table that exists; of one that is not there the
 * other counts twice.  NULL for one that cannot be read, which must be the
 * same one each time: what is written is what was checked.
 */
static int
read_copies (struct check *c, uint64_t number, const uint8_t *raw[2])
{
  struct table *t = &c->tables[number];
  const bool is_clean = (t->state & (CHECKED | DIFFERS)) == CHECKED;
  unsigned k;

  raw[0] = raw[1] = NULL;
  for (k = 0; k < c->nr_copies; ++k) {
    if (!has_table (t, k) || t->state & UNREADABLE << k ||
        (is_clean && raw[0]))
      continue;
    raw[k] = read_table (c, k, number);
    if (raw[k])
      continue;
    if (t->state & CHECKED)
      return -1;
    if (!c->searching)
      t->state |= (uint8_t) (UNREADABLE << k);
  }
  if (!raw[0] && !raw[1])
    return -1;
  if (c->nr_copies == 1 || is_clean || !has_table (t, 0) ||
      !has_table (t, 1)) {
    if (!raw[0])
      raw[0] = raw[1];
    raw[1] = raw[0];
  }
  return 0;
}

/* An entry that is bad in itself is BAD_ENTRY.  Of one whose grain is there
 * in part only nothing can be said.
 */
static int
decode (const struct check *c, const uint8_t *raw, uint64_t grain,
        uint64_t i, uint32_t *entry)
{
  const uint32_t value = raw ? load_le32 (raw + 4 * i) : 0;
  bool partial = false;
  uint64_t code = ENTRY_BAD;

  if (raw)
    code = c->l->decode_grain (c->l->opaque, grain, value, &partial);
  if (code != ENTRY_BAD && partial)
    return recover_damaged (c, "grain %" PRIu64 " at sector %" PRIu64
                            " goes on behind the end of the file",
                            grain, code);
  *entry = (uint32_t) min_u64 (code, BAD_ENTRY);
  return 0;
}

/* Decide on an entry that may not be the same in both copies, or not good
 * in itself: as gtable-pages.c does for those who read.
 */
static int
decide (struct check *c, const uint8_t *const raw[2], uint64_t grain,
        uint64_t i, uint32_t *entry)
{
  uint32_t a, b;

  if (decode (c, raw[0], grain, i, &a) == -1)
    return -1;
  /* NOLINTNEXTLINE(clang-analyzer-*): a copy that is not there is not read */
  b = a;
  if (raw[0] != raw[1] && decode (c, raw[1], grain, i, &b) == -1)
    return -1;
  c->differing += a != b;
  if (a == BAD_ENTRY && b == BAD_ENTRY)
    return recover_damaged (c, "the entry of grain %" PRIu64 ", %" PRIu32
                            ", is not the sector of a grain", grain,
                            load_le32 ((raw[0] ? raw[0] : raw[1]) + 4 * i));
  if (a != b && entry_is_place (a) && entry_is_place (b) &&
      a != BAD_ENTRY && b != BAD_ENTRY)
    return recover_damaged (c, "grain %" PRIu64 " is at sector %" PRIu32
                            " by one grain table, at sector %" PRIu32
                            " by the other", grain, a, b);
  *entry = a == BAD_ENTRY ? b : a;
  return 0;
}

/* Put what a table must say into 'merged'.  Nearly all entries of nearly
 * all tables are the same in both copies, and need no decoding.
 */
static int
merge_table (struct check *c, uint64_t number, const uint8_t *const raw[2])
{
  const uint64_t first = number * c->l->entries_per_table;
  const uint64_t n = nr_entries (c, number);
  const uint8_t *some = raw[0] ? raw[0] : raw[1];
  const bool same = raw[0] && raw[1] &&
    (raw[0] == raw[1] || memcmp (raw[0], raw[1], (size_t) n * 4) == 0);
  uint64_t i;

  c->differing = c->allocated = c->high = 0;
  c->low = UINT32_MAX;
  for (i = 0; i < n; ++i) {
    uint32_t entry = load_le32 (some + 4 * i);

    if (!same || (entry != 0 && (entry < c->plain_from ||
                                 entry >= c->plain_until)))
      if (decide (c, raw, first + i, i, &entry) == -1)
        return -1;
    c->merged[i] = entry;
    if (entry_is_place (entry)) {
      c->allocated++;
      c->low = min_u64 (c->low, entry);
      c->high = max_u64 (c->high, entry + c->l->grain_size);
    }
  }
  return 0;
}

int
recover_read_table (struct check *c, uint64_t number, const uint8_t *raw[2])
{
  return read_copies (c, number, raw) == -1 ||
    merge_table (c, number, raw) == -1 ? -1 : 0;
}
