/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The two-level map of sparse extents: grain directory and grain
 * tables, read on demand in pieces through a bounded cache.
 *
 * What a kind of extent knows of its entries is in two functions that
 * turn a raw entry into a code; everything else (the redundant copy,
 * damage, runs) is the same for 32 bit and 64 bit entries.
 *
 * Reading the GD and using the RGD where the GD is damaged follows
 * Virtual Disk Format 5.0, "Grain Directories and Grain Tables".
 */

#ifndef VMDK_GTABLE_H
#define VMDK_GTABLE_H

#include "io.h"
#include "tablecache.h"

/* Codes of entries.  Any other number is the sector of a grain or a
 * grain table, which is never 0 or 1.
 */
#define ENTRY_HOLE UINT64_C (0) /* no grain, no table */
#define ENTRY_ZERO UINT64_C (1) /* a grain of zeroes */
#define ENTRY_BAD UINT64_MAX    /* damaged or unreadable */

/* Is it the sector of something? */
static inline bool
entry_is_place (uint64_t code)
{
  return code > ENTRY_ZERO && code != ENTRY_BAD;
}

struct gtable;

struct gtable_layout {
  struct io *io;                /* borrowed, as are cache and logger */
  struct table_cache *cache;
  const struct logger *logger;
  unsigned entry_size;          /* 4 or 8 bytes */
  uint32_t entries_per_table;   /* a power of two */
  uint64_t nr_grains;           /* at least 1 */
  uint64_t grain_size;          /* sectors */
  uint64_t table_size;          /* sectors of a grain table */

  /* Sectors of the GD and the RGD; 0 for one that is not there. */
  uint64_t directory[2];

  /* A raw table entry that names a sector from this one on needs no
   * decoding: it is the place of a grain if that fits into the file, unless
   * tables lie there.  0 if there are none such.
   */
  uint64_t plain_from;

  /* Where the header says that the first grain may be, sectors; 0 if it does
   * not.
   */
  uint64_t overhead;

  /* Turn the raw directory entry of table 'table' into a code: a place only
   * if no part of the table is where none can be.  It may begin in the file
   * and not end there.
   */
  uint64_t (*decode_table) (void *opaque, uint64_t table, uint64_t raw);

  /* Turn the raw table entry of grain 'grain' into a code.  *partial is
   * set if the grain begins in the file but does not end there.
   */
  uint64_t (*decode_grain) (void *opaque, uint64_t grain,
                            uint64_t raw, bool *partial);
  void *opaque;
};

/* Returns NULL if memory is short. */
extern struct gtable *gtable_new (const struct gtable_layout *layout);

/* NULL is accepted. */
extern void gtable_free (struct gtable *gt);

/* What it was made of; valid until it is freed. */
extern const struct gtable_layout *gtable_layout (const struct gtable *gt);

/* The longest uniform run of grains from 'grain' on, of at most 'max'
 * (at least 1; the range must lie in the table): its length goes to
 * *count and the code of its first grain to *code.  Grains of one run
 * are all holes, all zeroes, all bad, or follow each other in the file;
 * if 'by_allocation' is set the place in the file does not matter.  A run
 * may end early where finding its end would take long.  Any thread;
 * takes no lock over I/O.
 * Damage is not an error here, only a lack of memory is.
 */
extern int gtable_run (struct gtable *gt, uint64_t grain, uint64_t max,
                       bool by_allocation, uint64_t *code, uint64_t *count,
                       struct vmdk_error *error);

/* Count the directory entries that are bad in every copy. */
extern int gtable_check_directory (struct gtable *gt, uint64_t *bad,
                                   struct vmdk_error *error);

/* Say in *error why a grain is bad.  Returns -1. */
extern int gtable_explain (struct gtable *gt, uint64_t grain,
                           struct vmdk_error *error);

#endif /* VMDK_GTABLE_H */
