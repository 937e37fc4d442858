/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The inside of a gtable: its pages of directory and table entries. */

#ifndef VMDK_GTABLE_PAGES_H
#define VMDK_GTABLE_PAGES_H

#include "bytes.h"
#include "gtable.h"

/* A directory of so many entries is small: of 32 GiB in 64 KiB grains. */
#define GTABLE_SMALL_DIRECTORY 1024

/* Entries in a page, at most: 32 KiB of 64 bit entries. */
#define GTABLE_PAGE_ENTRIES 4096

struct gtable {
  struct gtable_layout l;
  uint64_t owner;               /* of pages in the cache */
  uint64_t nr_tables;
  uint32_t page_entries;        /* grain table entries in a page */

  /* The whole directory, if it is small: it is needed for each request,
   * by long chains many times.  NULL until it has been read.
   */
  _Atomic (struct table_page *) small_directory;

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

/* The sector of a table by the redundant directory, or another code.
 * *transient is set if that could not be read.  Fails only if memory is
 * short.
 */
extern int gtable_redundant_table (struct gtable *gt, uint64_t table,
                                   uint64_t *code, bool *transient,
                                   struct vmdk_error *error);

#endif /* VMDK_GTABLE_PAGES_H */
