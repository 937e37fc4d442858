/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Loading and mending pages of entries. */

#include <config.h>

#include <inttypes.h>
#include <stdlib.h>

#include "gtable-pages.h"

/* In the note of a directory page: the sectors between these two hold
 * grain tables, and directories, and nothing else.  Both 0 if that is not
 * known.
 */
enum {
  NOTE_TABLES_START,
  NOTE_TABLES_END
};

static uint64_t
get_raw (const struct gtable *gt, const struct table_page *page, uint64_t i)
{
  return gtable_raw (gt, page->entries + i * gt->l.entry_size);
}

/* A page of raw entries as they are in the file.  Sectors of it that
 * could not be read are set in 'failed', counted from its start; if one
 * of those might be readable the next time, the page is transient.
 */
struct raw_page {
  struct table_page *page;
  uint64_t failed;
};

static bool
has_failed (const struct gtable *gt, const struct raw_page *raw, uint64_t i)
{
  return raw->failed >> (i * gt->l.entry_size / SECTOR_SIZE) & 1;
}

/* Read 'nr' entries at 'offset' (bytes).  What cannot be read is left
 * out sector by sector; only a lack of memory is an error.
 */
static int
read_raw (const struct gtable *gt, uint64_t offset, uint32_t nr,
          struct raw_page *raw, struct vmdk_error *error)
{
  const uint64_t size = (uint64_t) nr * gt->l.entry_size;
  struct vmdk_error ignored;
  uint64_t i;

  raw->failed = 0;
  raw->page = table_page_new (size);
  if (!raw->page)
    return error_nomem (error);
  raw->page->nr = nr;
  if (io_pread (gt->l.io, raw->page->entries, size, offset, &ignored) == 0)
    return 0;

  for (i = 0; i * SECTOR_SIZE < size; ++i) {
    const uint64_t at = offset + i * SECTOR_SIZE;
    const uint64_t n = min_u64 (SECTOR_SIZE, size - i * SECTOR_SIZE);

    if (io_pread (gt->l.io, raw->page->entries + i * SECTOR_SIZE, n, at,
                  &ignored) == -1) {
      raw->failed |= UINT64_C (1) << i;
      if (at + n <= gt->l.io->size)
        raw->page->transient = true;
    }
  }
  return 0;
}

/* Find or load a page. */
static struct table_page *
get_page (struct gtable *gt, unsigned level, uint64_t index,
          int (*load) (struct gtable *gt, uint64_t index,
                       struct table_page **page,
                       struct vmdk_error *error),
          struct vmdk_error *error)
{
  struct table_key key = {
    .owner = gt->owner, .level = level, .index = index,
  };
  struct table_page *page = gtable_find_changed (gt, &key);

  if (!page)
    page = table_cache_find (gt->l.cache, &key);
  if (page)
    return page;
  if (load (gt, index, &page, error) == -1)
    return NULL;
  page->key = key;
  return page->transient ? page : table_cache_add (gt->l.cache, page);
}

/* The number of entries in page 'index' of a directory. */
static uint32_t
directory_page_nr (const struct gtable *gt, uint64_t index)
{
  return (uint32_t) min_u64 (GTABLE_PAGE_ENTRIES,
                             gt->nr_tables - index * GTABLE_PAGE_ENTRIES);
}

/* Read a page of one copy of the directory and decode it. */
static int
load_copy (struct gtable *gt, unsigned copy, uint64_t index,
           struct raw_page *raw, struct vmdk_error *error)
{
  const uint64_t first = index * GTABLE_PAGE_ENTRIES;
  uint64_t i;

  if (read_raw (gt, gt->l.directory[copy] * SECTOR_SIZE +
                first * gt->l.entry_size,
                directory_page_nr (gt, index), raw, error) == -1)
    return -1;
  for (i = 0; i < raw->page->nr; ++i) {
    const uint64_t code = has_failed (gt, raw, i) ? ENTRY_BAD :
      gt->l.decode_table (gt->l.opaque, first + i,
                          get_raw (gt, raw->page, i));

    gtable_set_entry (gt, raw->page, i, code);
  }
  return 0;
}

static int
load_redundant (struct gtable *gt, uint64_t index, struct table_page **page,
                struct vmdk_error *error)
{
  struct raw_page raw;

  if (load_copy (gt, 1, index, &raw, error) == -1)
    return -1;
  *page = raw.page;
  return 0;
}

/* Where the tables of a page follow each other without a gap, as all
 * known writers of hosted images place them, note it: a grain cannot
 * lie there.
 */
void
gtable_note_tables (const struct gtable *gt, struct table_page *page)
{
  uint64_t start = 0, end = 0, i;

  for (i = 0; i < page->nr; ++i) {
    const uint64_t code = gtable_entry (gt, page, i);

    if (!entry_is_place (code))
      continue;
    if (end == 0)
      start = code;
    else if (code != end)
      return;
    end = code + gt->l.table_size;
  }
  /* More may be known. */
  if (start < page->note[NOTE_TABLES_START] ||
      end > page->note[NOTE_TABLES_END]) {
    page->note[NOTE_TABLES_START] = start;
    page->note[NOTE_TABLES_END] = end;
  }
}

/* Do the tables of a page follow each other from 'table' on, none missing? */
static bool
are_in_order (const struct gtable *gt, const struct table_page *page,
              uint64_t table)
{
  uint64_t i;

  for (i = 0; i < page->nr; ++i)
    if (gtable_entry (gt, page, i) != table + i * gt->l.table_size)
      return false;
  return true;
}

/* All known writers place the redundant directory, its tables, the primary
 * one and its tables behind each other.  Where the header and the entries of a
 * page, in both directories, say so, a grain can lie in none of them.
 */
static int
note_usual_layout (struct gtable *gt, uint64_t index, struct table_page *page,
                   struct vmdk_error *error)
{
  const uint64_t gd = gt->l.directory[0], rgd = gt->l.directory[1];
  const uint64_t directory = div_up (gt->nr_tables * gt->l.entry_size,
                                     SECTOR_SIZE);
  const uint64_t all = directory + gt->nr_tables * gt->l.table_size;
  const uint64_t to_first =
    directory + index * GTABLE_PAGE_ENTRIES * gt->l.table_size;
  struct table_page *twin;

  if (gd == 0 || rgd == 0 || rgd + all != gd || gd + all > gt->l.overhead ||
      !are_in_order (gt, page, gd + to_first))
    return 0;
  twin = get_page (gt, LEVEL_REDUNDANT, index, load_redundant, error);
  if (!twin)
    return -1;
  if (are_in_order (gt, twin, rgd + to_first)) {
    page->note[NOTE_TABLES_START] = rgd;
    page->note[NOTE_TABLES_END] = gd + all;
  }
  table_page_put (twin);
  return 0;
}

/* Mend a page of the primary directory by the redundant one: a table that
 * only that names was lost, since no writer ever removes a table.  For the
 * same reason a damaged entry, which was not 0, is no hole because the
 * redundant one is 0; but one that could not be read may be.
 */
static int
mend_directory (struct gtable *gt, uint64_t index, struct raw_page *raw,
                uint64_t *mended, struct vmdk_error *error)
{
  struct table_page *page = raw->page;
  struct table_page *twin = get_page (gt, LEVEL_REDUNDANT, index,
                                      load_redundant, error);
  uint64_t i;

  if (!twin)
    return -1;
  for (i = 0; i < page->nr; ++i) {
    const uint64_t other = gtable_entry (gt, twin, i);

    if (!entry_is_place (gtable_entry (gt, page, i)) &&
        (entry_is_place (other) ||
         (other != ENTRY_BAD && has_failed (gt, raw, i)))) {
      gtable_set_entry (gt, page, i, other);
      ++*mended;
    }
  }
  page->transient |= twin->transient;
  table_page_put (twin);
  return 0;
}

/* Load a page of the primary directory, mended where it needs that. */
static int
load_directory (struct gtable *gt, uint64_t index, struct table_page **page,
                struct vmdk_error *error)
{
  const unsigned copy = gt->l.directory[0] == 0;
  struct raw_page raw;
  bool suspect = false;
  uint64_t i, mended = 0;

  if (load_copy (gt, copy, index, &raw, error) == -1)
    return -1;
  for (i = 0; i < raw.page->nr && !suspect; ++i)
    suspect = !entry_is_place (gtable_entry (gt, raw.page, i));

  if (suspect && copy == 0 && gt->l.directory[1] != 0 &&
      mend_directory (gt, index, &raw, &mended, error) == -1) {
    table_page_put (raw.page);
    return -1;
  }
  if (mended > 0 && !atomic_flag_test_and_set (&gt->said_directory))
    logger_warn (gt->l.logger, "%s: the grain directory is damaged; "
                "the redundant one is used for %" PRIu64 " of its entries, "
                "and where else it is needed", gt->l.io->name, mended);
  gtable_note_tables (gt, raw.page);
  if (note_usual_layout (gt, index, raw.page, error) == -1) {
    table_page_put (raw.page);
    return -1;
  }
  *page = raw.page;
  return 0;
}

struct table_page *
gtable_directory (struct gtable *gt, uint64_t table, struct vmdk_error *error)
{
  struct table_page *page = atomic_load (&gt->small_directory);
  struct table_page *none = NULL;

  if (page && !atomic_load (&gt->changes))
    return table_page_get (page);
  page = get_page (gt, LEVEL_DIRECTORY, table / GTABLE_PAGE_ENTRIES,
                   load_directory, error);
  if (!page || page->transient || gt->nr_tables > GTABLE_SMALL_DIRECTORY ||
      atomic_load (&gt->changes) || atomic_load (&gt->small_directory) ||
      !table_cache_hold (gt->l.cache, page))
    return page;
  if (atomic_compare_exchange_strong (&gt->small_directory, &none, page))
    return table_page_get (page);
  table_cache_release (gt->l.cache, page);
  return page;
}

struct table_page *
gtable_redundant (struct gtable *gt, uint64_t table, struct vmdk_error *error)
{
  return get_page (gt, LEVEL_REDUNDANT, table / GTABLE_PAGE_ENTRIES,
                   load_redundant, error);
}

int
gtable_redundant_table (struct gtable *gt, uint64_t table, uint64_t *code,
                        bool *transient, struct vmdk_error *error)
{
  struct table_page *page = gtable_redundant (gt, table, error);

  if (!page)
    return -1;
  *code = gtable_entry (gt, page, table % GTABLE_PAGE_ENTRIES);
  *transient |= page->transient;
  table_page_put (page);
  return 0;
}

/* Does a grain at 'sector' meet the sectors [start, end)? */
static bool
grain_meets (const struct gtable *gt, uint64_t sector, uint64_t start,
             uint64_t end)
{
  return sector < end && sector + gt->l.grain_size > start;
}

/* Decode one entry of a page of grain table entries, of the table at
 * sector 'table'.  A grain cannot lie where tables are known to be.
 */
static uint64_t
decode_grain (const struct gtable *gt, const struct raw_page *raw,
              const struct table_page *directory, uint64_t table,
              uint64_t first, uint64_t i, bool *partial)
{
  uint64_t code;

  *partial = false;
  if (has_failed (gt, raw, i))
    return ENTRY_BAD;
  code = gt->l.decode_grain (gt->l.opaque, first + i,
                             get_raw (gt, raw->page, i), partial);
  if (entry_is_place (code) &&
      (grain_meets (gt, code, directory->note[NOTE_TABLES_START],
                    directory->note[NOTE_TABLES_END]) ||
       grain_meets (gt, code, table, table + gt->l.table_size)))
    return ENTRY_BAD;
  return code;
}

/* The entries of the redundant table that stand beside those of a page,
 * read when the first of them is needed.
 */
struct twin {
  bool tried;
  uint64_t table;               /* sector */
  struct raw_page raw;          /* its page is NULL if there is none */
};

static int
read_twin (struct gtable *gt, uint64_t first, uint32_t nr,
           struct twin *twin, bool *transient, struct vmdk_error *error)
{
  const uint64_t table = first / gt->l.entries_per_table;

  if (twin->tried || gt->l.directory[1] == 0)
    return 0;
  twin->tried = true;
  if (gtable_redundant_table (gt, table, &twin->table, transient, error) == -1)
    return -1;
  if (!entry_is_place (twin->table))
    return 0;
  if (read_raw (gt, gtable_entry_offset (gt, twin->table, first), nr,
                &twin->raw, error) == -1)
    return -1;
  *transient |= twin->raw.page->transient;
  return 0;
}

/* Is this raw entry its own code?  It is in nearly all entries of nearly
 * all images, and maps are made of millions of them.
 */
static bool
is_plain (const struct gtable *gt, const struct table_page *directory,
          uint64_t table, uint64_t until, uint64_t raw)
{
  return raw == 0 ||
    (raw >= gt->l.plain_from && raw < until &&
     !grain_meets (gt, raw, directory->note[NOTE_TABLES_START],
                   directory->note[NOTE_TABLES_END]) &&
     !grain_meets (gt, raw, table, table + gt->l.table_size));
}

/* Decode the entries from 'i' on of a page that was read without failure,
 * as long as they are plain.  Returns the first that is not.
 */
static uint64_t
decode_plain (const struct gtable *gt, struct table_page *page,
              const struct table_page *directory, uint64_t table,
              uint64_t i)
{
  const uint64_t sectors = gt->l.io->size / SECTOR_SIZE;
  const uint64_t until =
    sectors < gt->l.grain_size ? 0 : sectors - gt->l.grain_size + 1;

  for (; i < page->nr; ++i) {
    const uint64_t raw = get_raw (gt, page, i);

    if (!is_plain (gt, directory, table, until, raw))
      break;
    gtable_set_entry (gt, page, i, raw);
  }
  return i;
}

/* Decode the raw entries of a page in place, taking each that is damaged
 * from the redundant table if it is whole there.
 */
static int
decode_page (struct gtable *gt, struct raw_page *raw,
             const struct table_page *directory, uint64_t table,
             uint64_t first, struct vmdk_error *error)
{
  const uint64_t number = first / gt->l.entries_per_table;
  struct twin twin = { 0 };
  const bool may_be_plain = gt->l.plain_from > 0 && raw->failed == 0;
  uint64_t i, mended = 0, bad = 0;
  int r = 0;

  for (i = 0; r == 0; ++i) {
    bool partial, twin_partial;
    uint64_t code;

    if (may_be_plain)
      i = decode_plain (gt, raw->page, directory, table, i);
    if (i == raw->page->nr)
      break;
    code = decode_grain (gt, raw, directory, table, first, i, &partial);
    if (code == ENTRY_BAD || partial) {
      r = read_twin (gt, first, raw->page->nr, &twin,
                     &raw->page->transient, error);
      if (r == 0 && twin.raw.page) {
        const uint64_t other = decode_grain (gt, &twin.raw, directory,
                                             twin.table, first, i,
                                             &twin_partial);

        /* A grain of which a part is there is better than none, but what lies
         * in the other table is none either.
         */
        if (other != code && other != ENTRY_BAD &&
            !(entry_is_place (other) &&
              grain_meets (gt, other, table, table + gt->l.table_size)) &&
            (code == ENTRY_BAD || (entry_is_place (other) &&
                                   !twin_partial))) {
          code = other;
          mended++;
        }
      }
      bad += code == ENTRY_BAD;
    }
    gtable_set_entry (gt, raw->page, i, code);
  }
  table_page_put (twin.raw.page);

  if (mended > 0 && !atomic_flag_test_and_set (&gt->said_mended))
    logger_warn (gt->l.logger, "%s: grain table %" PRIu64 " is damaged; the "
                 "redundant one is used for %" PRIu64 " of its entries, and "
                 "where else it is needed", gt->l.io->name, number, mended);
  if (bad > 0 && !atomic_flag_test_and_set (&gt->said_bad))
    logger_warn (gt->l.logger, "%s: grain table %" PRIu64 ": %" PRIu64
                 " entries are damaged; reading those grains, and others "
                 "like them, will fail", gt->l.io->name, number, bad);
  return r;
}

/* Load a page of grain table entries. */
static int
load_table (struct gtable *gt, uint64_t index, struct table_page **page,
            struct vmdk_error *error)
{
  const uint64_t first = index * gt->page_entries;
  const uint64_t table = first / gt->l.entries_per_table;
  const uint32_t nr =
    (uint32_t) min_u64 (gt->page_entries, gt->l.nr_grains - first);
  struct raw_page raw = { 0 };
  struct table_page *directory;
  uint64_t where;
  int r = -1;

  directory = gtable_directory (gt, table, error);
  if (!directory)
    return -1;
  where = gtable_entry (gt, directory, table % GTABLE_PAGE_ENTRIES);
  if (entry_is_place (where)) {
    r = read_raw (gt, gtable_entry_offset (gt, where, first), nr, &raw, error);
    if (r == 0)
      raw.page->transient |= directory->transient;
  }
  else {
    /* The table was there a moment ago, but the directory is not kept,
     * and cannot be read now.
     */
    raw.page = table_page_new ((size_t) nr * gt->l.entry_size);
    raw.failed = UINT64_MAX;
    if (raw.page) {
      raw.page->nr = nr;
      raw.page->transient = true;
      r = 0;
    }
    else
      error_nomem (error);
  }
  if (r == 0)
    r = decode_page (gt, &raw, directory, where, first, error);
  table_page_put (directory);
  if (r == -1) {
    table_page_put (raw.page);
    return -1;
  }
  *page = raw.page;
  return 0;
}

struct table_page *
gtable_page (struct gtable *gt, uint64_t grain, struct vmdk_error *error)
{
  return get_page (gt, LEVEL_TABLE, grain / gt->page_entries, load_table,
                   error);
}
