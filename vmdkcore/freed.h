/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Grains that have left their places in the file, which an entry in the
 * file may still name.
 *
 * No function here takes a lock: one thread at a time.
 */

#ifndef VMDK_FREED_H
#define VMDK_FREED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

/* What a record takes in memory, about. */
#define FREED_MEMORY 96

/* All zeroes is an empty one. */
struct freed {
  void *tree;
  atomic_size_t nr;             /* records; may be read by any thread */
};

static inline bool
freed_is_empty (const struct freed *f)
{
  return f->tree == NULL;
}

/* Remember that 'n' grains from 'grain' on, of which none is there already,
 * have left the sectors from 'place' on.  Fails if memory is short.
 */
extern int freed_add (struct freed *f, uint64_t grain, uint64_t n,
                      uint64_t place, struct vmdk_error *error);

/* Undo freed_add for the same grains. */
extern void freed_remove (struct freed *f, uint64_t grain, uint64_t n);

/* How many of the 'n' grains from 'grain' on come before the first that is
 * there.
 */
extern uint64_t freed_gap (const struct freed *f, uint64_t grain,
                           uint64_t n);

/* Take a grain, of 'grain_size' sectors, out: returns 1 with the place that
 * it has left, 0 if it is not there, -1 if memory is short, and then
 * nothing has changed.
 */
extern int freed_take (struct freed *f, uint64_t grain, uint64_t grain_size,
                       uint64_t *place, struct vmdk_error *error);

/* Move all records to 'to', which must be empty. */
extern void freed_move (struct freed *f, struct freed *to);

/* Call 'visit' for each record, in the order of the grains. */
extern void freed_walk (const struct freed *f,
                        void (*visit) (void *opaque, uint64_t place,
                                       uint64_t n),
                        void *opaque);

/* Make it empty. */
extern void freed_clear (struct freed *f);

#endif /* VMDK_FREED_H */
