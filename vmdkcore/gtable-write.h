/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Changing the entries of a gtable, in memory first.
 *
 * A change is seen by all who look up the grain from the moment on that it
 * is made, and by the file when it is published: gtable_collect takes the
 * pages that have changed as they are at that moment, gtable_write puts
 * them into the file, gtable_collected_free ends it.  Only 32 bit entries
 * can be changed, since no kind that is written has others.
 */

#ifndef VMDK_GTABLE_WRITE_H
#define VMDK_GTABLE_WRITE_H

#include "gtable.h"

/* Get ready for changes, or be so already.  Not while another thread
 * changes the table; looking up may go on.
 */
extern int gtable_begin_changes (struct gtable *gt,
                                 struct vmdk_error *error);

/* The tables in the file are not, or may not be, what they were when they were
 * read.  After gtable_begin_changes, while no change waits to be published;
 * looking up may go on.
 */
extern void gtable_forget (struct gtable *gt);

/* The following three must not be called by two threads at once for one
 * table.
 */

/* Does the grain table exist that has the entry of 'grain'?  Returns 1,
 * 0, or -1 with *error set.
 */
extern int gtable_has_table (struct gtable *gt, uint64_t grain,
                             struct vmdk_error *error);

/* Add the grain table with the entry of 'grain': the sectors 'table', and
 * 'twin' if there is a redundant directory, hold zeroes.  On failure
 * nothing has changed.
 */
extern int gtable_add_table (struct gtable *gt, uint64_t grain,
                             uint64_t table, uint64_t twin,
                             struct vmdk_error *error);

/* Set the entries of 'n' grains from 'grain' on, whose tables exist: all
 * to 'code' if that is ENTRY_HOLE or ENTRY_ZERO, else to grains that
 * follow each other from the sector 'code' on.  'n' must not be 0.  On
 * failure nothing has changed.
 */
extern int gtable_change (struct gtable *gt, uint64_t grain, uint64_t n,
                          uint64_t code, struct vmdk_error *error);

/* Bytes of memory that changed pages of tables take, until they are
 * durable.  Any thread.
 */
extern size_t gtable_changed_bytes (struct gtable *gt);

struct gtable_collected {
  struct table_page **pages;
  size_t nr;
};

/* Take the pages that have changed since they were last collected.  Any
 * thread, but not before the last ones were freed.
 */
extern int gtable_collect (struct gtable *gt,
                           struct gtable_collected *collected,
                           struct vmdk_error *error);

/* Write them to both copies in the file. */
extern int gtable_write (struct gtable *gt,
                         const struct gtable_collected *collected,
                         struct vmdk_error *error);

/* If they are 'durable' the changes in them need not be kept apart any
 * longer.
 */
extern void gtable_collected_free (struct gtable *gt,
                                   struct gtable_collected *collected,
                                   bool durable);

#endif /* VMDK_GTABLE_WRITE_H */
