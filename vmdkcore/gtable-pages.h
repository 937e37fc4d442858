/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The inside of a gtable: its pages of directory and table entries. */

#ifndef VMDK_GTABLE_PAGES_H
#define VMDK_GTABLE_PAGES_H

#include <pthread.h>

#include "bytes.h"
#include "gtable.h"

/* A directory of so many entries is small: of 32 GiB in 64 KiB grains. */
#define GTABLE_SMALL_DIRECTORY 1024

/* Entries in a page, at most: 32 KiB of 64 bit entries. */
#define GTABLE_PAGE_ENTRIES 4096

/* The levels of a page's key. */
enum {
  LEVEL_DIRECTORY,              /* the GD, mended by the RGD */
  LEVEL_REDUNDANT,              /* the RGD alone */
  LEVEL_TABLE,                  /* grain tables, mended by their twins */
  LEVEL_BITS = 2
};

/* A hostile disk can have many extents: small ones get few buckets. */
#define GTABLE_MAX_BUCKETS 1024
#define GTABLE_VERSIONS 64

/* Pages that differ from what the file has, or did a moment ago.  A page
 * is only changed while nobody else has a reference to it; otherwise a
 * copy takes its place.
 */
struct changed_pages {
  pthread_mutex_t lock;
  atomic_size_t nr;
  size_t bytes;

  /* Part of the keys of pages in the cache.  It changes when a page goes
   * from here to the cache, so that those who have read the file before
   * that put what they read where nobody looks for it.
   */
  atomic_uint versions[GTABLE_VERSIONS];

  size_t nr_buckets;
  struct table_page *buckets[];
};

struct gtable {
  struct gtable_layout l;
  uint64_t owner;               /* of pages in the cache */
  uint64_t nr_tables;
  uint32_t page_entries;        /* grain table entries in a page */

  /* The whole directory, if it is small: it is needed for each request,
   * by long chains many times.  NULL until it has been read, and if too many
   * extents have theirs: it is in the cache then.
   */
  _Atomic (struct table_page *) small_directory;

  /* NULL until the first change. */
  _Atomic (struct changed_pages *) changes;

  /* Each kind of damage is told once. */
  atomic_flag said_directory, said_mended, said_bad;
};

/* Pages hold codes in the width of the raw entries.  In 32 bits
 * UINT32_MAX stands for ENTRY_BAD: the last sector of the largest file
 * that 32 bits address, which is too short for anything.
 */
static inline uint64_t
gtable_entry (const struct gtable *gt, const struct table_page *page,
              uint64_t i)
{
  uint32_t code;

  if (gt->l.entry_size == 8)
    return ((const uint64_t *) page->entries)[i];
  code = ((const uint32_t *) page->entries)[i];
  return code == UINT32_MAX ? ENTRY_BAD : code;
}

/* A raw entry in the file's byte order. */
static inline uint64_t
gtable_raw (const struct gtable *gt, const uint8_t *p)
{
  return gt->l.entry_size == 4 ? load_le32 (p) : load_le64 (p);
}

/* The byte offset of the entry of 'grain' in a table at sector 'table'. */
static inline uint64_t
gtable_entry_offset (const struct gtable *gt, uint64_t table, uint64_t grain)
{
  return table * SECTOR_SIZE +
    grain % gt->l.entries_per_table * gt->l.entry_size;
}

/* Find a page among those that were changed; takes a reference.  If it is
 * not there, returns NULL and adds to the key the version that one in the
 * cache has.
 */
extern struct table_page *gtable_find_changed (struct gtable *gt,
                                               struct table_key *key);
extern void gtable_free_changes (struct gtable *gt);

/* Note in a page of the directory which sectors hold tables only, when its
 * entries are known.
 */
extern void gtable_note_tables (const struct gtable *gt,
                                struct table_page *page);

static inline void
gtable_set_entry (const struct gtable *gt, struct table_page *page,
                  uint64_t i, uint64_t code)
{
  if (gt->l.entry_size == 4)
    ((uint32_t *) page->entries)[i] = (uint32_t) code;
  else
    ((uint64_t *) page->entries)[i] = code;
}

/* The following return pages with a reference for the caller, and NULL
 * only if memory is short.
 */

/* The page of the directory that has the entry of 'table', at
 * 'table' % GTABLE_PAGE_ENTRIES: of the GD, mended by the RGD.
 */
extern struct table_page *gtable_directory (struct gtable *gt,
                                            uint64_t table,
                                            struct vmdk_error *error);

/* The page that has the entry of 'grain', whose table exists, at
 * 'grain' % gt->page_entries: of the grain table, mended by its twin.
 */
extern struct table_page *gtable_page (struct gtable *gt, uint64_t grain,
                                       struct vmdk_error *error);

/* The page of the redundant directory, undecided entries included, that
 * has the entry of 'table'.
 */
extern struct table_page *gtable_redundant (struct gtable *gt,
                                            uint64_t table,
                                            struct vmdk_error *error);

/* The sector of a table by the redundant directory, or another code.
 * *transient is set if that could not be read.  Fails only if memory is
 * short.
 */
extern int gtable_redundant_table (struct gtable *gt, uint64_t table,
                                   uint64_t *code, bool *transient,
                                   struct vmdk_error *error);

#endif /* VMDK_GTABLE_PAGES_H */
