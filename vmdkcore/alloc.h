/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Giving places in a sparse file to grains, and taking them back.
 *
 * Invariants, which hold at every moment and so after a power cut at any:
 *
 *  1. A table entry in the file names a place only after all that the grain
 *     holds has been synced there.
 *  2. No two entries, in the file or in memory, name places that meet.
 *  3. A place that an entry in the file may name is not given to another
 *     grain: one that was freed waits until the change that freed it is
 *     durable, and until no request is left that looked it up before.
 *  4. Between two syncs an entry in the file changes in one step only, from
 *     or to ENTRY_HOLE or ENTRY_ZERO, never from one place to another; so
 *     that where a power cut leaves the two copies different, both are
 *     right.
 *  5. The file is marked as unclean before an entry in it changes, and
 *     until all are as they are in memory.
 *
 * A fresh grain is claimed by the one thread that will write it, while
 * others that want to change it wait; it gets a place, which is new or was
 * freed; its data are written, with what the parents have around them; the
 * entry in memory changes, and others see it; it is collected by a flush,
 * the data are synced, the entry is written to both copies, and synced.
 *
 * All offsets and counts are in bytes, inside the extent, unless they are
 * said to be in sectors.
 */

#ifndef VMDK_ALLOC_H
#define VMDK_ALLOC_H

#include "grains.h"

/* What the parents have under an extent. */
struct below {
  bool exists;                  /* otherwise it is all zeroes */

  /* Read what is there. */
  int (*read) (const struct below *below, void *buf, uint64_t count,
               uint64_t offset, struct vmdk_error *error);

  /* How many bytes from 'offset' on, at most 'count', are known to read as
   * zeroes goes to *zeroes.
   */
  int (*count_zeroes) (const struct below *below, uint64_t count,
                       uint64_t offset, uint64_t *zeroes,
                       struct vmdk_error *error);
};

/* What differs between the kinds of file. */
struct alloc_kind {
  bool aligned;                 /* grains begin at multiples of their size */
  bool zero_entries;            /* ENTRY_ZERO may be written */

  /* Write the mark of a file that has not been closed cleanly. */
  int (*set_unclean) (struct grains *g, bool unclean,
                      struct vmdk_error *error);

  /* Write the sector from which on the file is free; NULL if the kind does
   * not store that.  It is synced before tables name what lies before it.
   */
  int (*set_end) (struct grains *g, uint64_t end,
                  struct vmdk_error *error);
};

/* The allocator of an extent, which owns it.  'layout' is that of its
 * gtable; 'first' the first sector that grains may have; 'unclean' tells
 * whether the file has the mark.
 */
extern struct alloc *alloc_new (struct grains *g,
                                const struct gtable_layout *layout,
                                const struct alloc_kind *kind,
                                uint64_t first, bool unclean,
                                struct vmdk_error *error);

/* NULL is accepted. */
extern void alloc_free (struct alloc *a);

/* Does the file have the mark of one that was not closed cleanly? */
extern bool alloc_is_unclean (const struct alloc *a);

/* Check the file, put it right if it is not, and mark it, unless that has
 * been done since the last alloc_end.  That comes before any change.  *reread
 * is set if the tables may now be others than those by which requests that are
 * still going on have found what they read: no place may be given away before
 * these have ended.  Any thread.
 */
extern int alloc_begin (struct alloc *a, bool *reread,
                        struct vmdk_error *error);

/* The following three do what they say from 'offset' on for as much as can
 * be done at once, at most 'count', and put that into *done: nothing, if
 * another thread was there at the same time and it is to be looked at
 * again.  Any thread, inside an epoch.
 */

/* Write 'buf', or zeroes if it is NULL. */
extern int alloc_write (struct alloc *a, const struct below *below,
                        const void *buf, uint64_t count, uint64_t offset,
                        uint64_t *done, struct vmdk_error *error);

/* Make it read as zeroes; if 'may_free' is set grains may be freed. */
extern int alloc_zero (struct alloc *a, const struct below *below,
                       bool may_free, uint64_t count, uint64_t offset,
                       uint64_t *done, struct vmdk_error *error);

/* Free whole grains, if they can read as zeroes then. */
extern int alloc_trim (struct alloc *a, const struct below *below,
                       uint64_t count, uint64_t offset, uint64_t *done,
                       struct vmdk_error *error);

/* Bring *total, the bytes of memory that the changes of all extents take
 * until they are published, up to date for this one.  Any thread.
 */
extern void alloc_note_pending (struct alloc *a, atomic_size_t *total);

/* Publishing takes these steps, by one thread at a time: collect, in all
 * extents; sync; write, which sets *wrote if there was anything to write;
 * sync; epochs_wait, if any of the extents has freed grains, or has some left
 * by those before who could not wait so long; and done, where
 * 'unused' tells that it has come to its end.  Otherwise the places of these
 * grains are not given to others before a later one has.  If collect or write
 * fails for want of room or memory, done need not come, and all steps can be
 * taken again: that publishes what was collected then, lest an entry of which
 * one copy may have been written changes in two steps, and what has been changed
 * since where nothing had been collected yet.
 */
extern int alloc_collect (struct alloc *a, struct vmdk_error *error);
extern int alloc_write_tables (struct alloc *a, bool *wrote,
                               struct vmdk_error *error);
extern bool alloc_has_freed (const struct alloc *a);
extern bool alloc_has_left (const struct alloc *a);
extern void alloc_done (struct alloc *a, bool durable, bool unused);

/* After the last change has been published: take the mark away. */
extern int alloc_end (struct alloc *a, struct vmdk_error *error);

#endif /* VMDK_ALLOC_H */
