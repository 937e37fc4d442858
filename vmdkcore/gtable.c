/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "gtable-pages.h"

struct gtable *
gtable_new (const struct gtable_layout *layout)
{
  struct gtable *gt = malloc (sizeof *gt);

  if (!gt)
    return NULL;
  gt->l = *layout;
  gt->owner = table_cache_owner (layout->cache);
  gt->nr_tables = div_up (layout->nr_grains, layout->entries_per_table);
  gt->page_entries =
    (uint32_t) min_u64 (layout->entries_per_table, GTABLE_PAGE_ENTRIES);
  atomic_init (&gt->small_directory, NULL);
  atomic_init (&gt->changes, NULL);
  atomic_flag_clear (&gt->said_directory);
  atomic_flag_clear (&gt->said_mended);
  atomic_flag_clear (&gt->said_bad);
  return gt;
}

void
gtable_free (struct gtable *gt)
{
  struct table_page *directory;

  if (!gt)
    return;
  directory = atomic_load (&gt->small_directory);
  if (directory)
    table_cache_release (gt->l.cache, directory);
  table_page_put (directory);
  gtable_free_changes (gt);
  free (gt);
}

const struct gtable_layout *
gtable_layout (const struct gtable *gt)
{
  return &gt->l;
}

/* A run that grows as pieces of it are found. */
struct growing_run {
  bool by_allocation;
  uint64_t grain_size;
  uint64_t code;                /* of the first grain */
  uint64_t next;                /* code that continues it */
  uint64_t count;
};

/* Does a grain with this code continue the run? */
static bool
continues (const struct growing_run *run, uint64_t code)
{
  if (run->by_allocation && entry_is_place (run->code))
    return entry_is_place (code);
  return code == run->next;
}

/* Add 'n' grains that all have this code; false if they do not fit. */
static bool
add_uniform (struct growing_run *run, uint64_t code, uint64_t n)
{
  if (run->count == 0)
    run->code = run->next = code;
  else if (!continues (run, code))
    return false;
  run->count += n;
  return true;
}

/* Add the grains of entries [from, to) of a page; false if not all of
 * them fit.
 */
static bool
add_entries (const struct gtable *gt, struct growing_run *run,
             const struct table_page *page, uint64_t from, uint64_t to)
{
  uint64_t i = from;
  uint64_t step;

  if (run->count == 0)
    run->code = run->next = gtable_entry (gt, page, from);
  step = entry_is_place (run->code) ? run->grain_size : 0;

  if (run->by_allocation && entry_is_place (run->code))
    while (i < to && entry_is_place (gtable_entry (gt, page, i)))
      i++;
  else
    while (i < to && gtable_entry (gt, page, i) == run->next) {
      run->next += step;
      i++;
    }
  run->count += i - from;
  return i == to;
}

/* How many entries of a directory page from 'i' on equal entry 'i'. */
static uint64_t
count_equal (const struct gtable *gt, const struct table_page *page,
             uint64_t i)
{
  const uint64_t code = gtable_entry (gt, page, i);
  uint64_t n = 1;

  while (i + n < page->nr && gtable_entry (gt, page, i + n) == code)
    n++;
  return n;
}

/* A run ends after so many pages, since whole tables of an entry or two, in
 * each link of a chain, could make one request take minutes.  With tables of
 * 512 entries this is half a million grains.
 */
#define MAX_PAGES 1024

int
gtable_run (struct gtable *gt, uint64_t grain, uint64_t max,
            bool by_allocation, uint64_t *code, uint64_t *count,
            struct vmdk_error *error)
{
  const uint64_t end = grain + max;
  unsigned pages = 0;
  struct growing_run run = {
    .by_allocation = by_allocation, .grain_size = gt->l.grain_size,
  };
  bool more = true;

  while (more && grain + run.count < end && pages++ < MAX_PAGES) {
    const uint64_t g = grain + run.count;
    const uint64_t table = g / gt->l.entries_per_table;
    struct table_page *page = gtable_directory (gt, table, error);
    uint64_t where, n;

    if (!page)
      return -1;
    where = gtable_entry (gt, page, table % GTABLE_PAGE_ENTRIES);
    if (!entry_is_place (where)) {
      n = count_equal (gt, page, table % GTABLE_PAGE_ENTRIES) *
        gt->l.entries_per_table - g % gt->l.entries_per_table;
      more = add_uniform (&run, where, min_u64 (n, end - g));
      table_page_put (page);
      continue;
    }
    table_page_put (page);

    page = gtable_page (gt, g, error);
    if (!page)
      return -1;
    n = g % gt->page_entries;
    more = add_entries (gt, &run, page, n, min_u64 (page->nr, n + end - g));
    table_page_put (page);
  }
  *code = run.code;
  *count = run.count;
  return 0;
}

int
gtable_check_directory (struct gtable *gt, uint64_t *bad,
                        struct vmdk_error *error)
{
  uint64_t table, i;

  *bad = 0;
  for (table = 0; table < gt->nr_tables; table += GTABLE_PAGE_ENTRIES) {
    struct table_page *page = gtable_directory (gt, table, error);

    if (!page)
      return -1;
    for (i = 0; i < page->nr; ++i)
      *bad += gtable_entry (gt, page, i) == ENTRY_BAD;
    table_page_put (page);
  }
  return 0;
}

/* Read and decode one entry of a directory or table for a message.
 * Returns 1 with its code in *code; 0 if the entry itself is at fault,
 * with *error set; -1 if it cannot be read, with *error set.
 */
static int
explain_entry (struct gtable *gt, const char *what, uint64_t index,
               uint64_t offset, bool is_table, uint64_t *code,
               struct vmdk_error *error)
{
  uint8_t buf[8];
  uint64_t raw;
  bool partial;

  if (io_pread (gt->l.io, buf, gt->l.entry_size, offset, error) == -1)
    return -1;
  raw = gtable_raw (gt, buf);
  *code = is_table ? gt->l.decode_table (gt->l.opaque, index, raw) :
    gt->l.decode_grain (gt->l.opaque, index, raw, &partial);
  if (*code != ENTRY_BAD)
    return 1;
  error_set (error, VMDK_ERROR_CORRUPT, EIO,
             "%s: damaged: the %s entry of grain %s%" PRIu64 " at offset %"
             PRIu64 " is 0x%" PRIx64 ", which cannot be a place in this file "
             "of %" PRIu64 " sectors", gt->l.io->name, what,
             is_table ? "table " : "", index, offset, raw,
             gt->l.io->size / SECTOR_SIZE);
  return 0;
}

int
gtable_explain (struct gtable *gt, uint64_t grain, struct vmdk_error *error)
{
  const uint64_t table = grain / gt->l.entries_per_table;
  const unsigned copy = gt->l.directory[0] == 0;
  bool transient = false;
  uint64_t code;

  if (explain_entry (gt, "directory", table,
                     gt->l.directory[copy] * SECTOR_SIZE +
                     table * gt->l.entry_size, true, &code, error) <= 0)
    return -1;
  if (code == ENTRY_HOLE && gt->l.directory[1] != 0 &&
      gtable_redundant_table (gt, table, &code, &transient, error) == -1)
    return -1;
  if (entry_is_place (code) &&
      explain_entry (gt, "table", grain, gtable_entry_offset (gt, code, grain),
                     false, &code, error) <= 0)
    return -1;

  /* The entry itself is well formed.  Either grain tables lie where it
   * points, or a read failed that does not fail any more.
   */
  return error_set (error, VMDK_ERROR_CORRUPT, EIO,
                    "%s: damaged: the entry of grain %" PRIu64 " points at "
                    "sector %" PRIu64 ", which holds metadata, or could not "
                    "be read a moment ago", gt->l.io->name, grain, code);
}
