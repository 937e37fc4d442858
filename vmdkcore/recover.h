/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Checking the tables of a sparse file before it is written, and putting
 * right what a writer that was killed has left behind.
 */

#ifndef VMDK_RECOVER_H
#define VMDK_RECOVER_H

#include <pthread.h>

#include "gtable.h"

/* Memory for checks, in bytes: what one may use to find overlaps, the smaller
 * the slower, and what those that run at the same time may use together.
 * Others wait.  Those that need little do not wait for those that need much,
 * which may be slow.
 */
struct recover_memory {
  uint64_t one, all;
  pthread_mutex_t lock;
  pthread_cond_t returned;
  uint64_t taken[2];            /* much and little at a time */
};

/* Not while a check uses it. */
extern void recover_memory_init (struct recover_memory *memory, uint64_t one,
                                 uint64_t all);
extern void recover_memory_destroy (struct recover_memory *memory);

struct recover_report {
  bool interrupted;             /* was the last writer? */
  uint64_t nr_allocated;        /* grains */
  uint64_t end;                 /* sector behind all that is in use */
  uint64_t nr_differing;        /* entries of tables, and of directories, that
                                   are not the same in both copies */
  uint64_t nr_mended;           /* entries of either copy, written */
};

/* Told of the sectors from 'sector' up to 'end' which nothing uses, though
 * something behind them is in use.
 */
struct recover_unused {
  void (*tell) (void *opaque, uint64_t sector, uint64_t end);
  void *opaque;
};

/* Could recover_tables put such tables right?  Fails with
 * VMDK_ERROR_UNSUPPORTED if not, whatever is in them.  Any thread.
 */
extern int recover_check_layout (const struct gtable_layout *layout,
                                 struct vmdk_error *error);

/* Check all tables that 'layout' describes, of 32 bit entries: each entry is
 * valid, no two things in the file overlap, and both copies, if there are
 * two, say the same.  If they do not, and 'repair' is set, which needs a
 * file that can be written, what they must say is written to both; see
 * Virtual Disk Format 5.0, "Grain Directories and Grain Tables".  That is
 * what readers saw before: the entry of the primary, and where that is not
 * valid, the other.  Two places for one grain are left to nobody's guess.  A
 * table that only one directory names is made once more, at the end of the
 * file.
 *
 * Where a writer that keeps the invariants of alloc.h was killed, what it
 * had flushed is in both copies, and so is kept; 'interrupted' tells that
 * the file has the mark of such a one, for the report.
 *
 * Nothing is written unless everything can be put right; then it is durable
 * when this returns 0.  Takes its part of 'memory', waiting for it if others
 * have it, which is at most memory->one, 16 bytes for each table and a MiB; a
 * check that needs more than there is for all runs alone.  'unused' is told
 * in order of the file while it is checked, and so also if this fails in the
 * end; NULL: nobody is.  Fails with
 * VMDK_ERROR_CORRUPT if the file must not be written, with VMDK_ERROR_IO if
 * neither copy of a table can be read, with VMDK_ERROR_UNSUPPORTED for tables
 * that nobody makes, and with VMDK_ERROR_INTERRUPTED before anything is
 * written.  The file must not be changed by another thread meanwhile.
 */
extern int recover_tables (const struct gtable_layout *layout,
                           bool interrupted, bool repair,
                           struct recover_memory *memory,
                           const struct recover_unused *unused,
                           struct recover_report *report,
                           struct vmdk_error *error);

/* Tell the user what was found in the file 'name', and whether it has been
 * put right or will be.  Of a file that is in order nothing is said.
 */
extern void recover_log (const struct recover_report *report,
                         const char *name, const struct logger *logger);

#endif /* VMDK_RECOVER_H */
