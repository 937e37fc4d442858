/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* What becomes of the places of freed grains in a sparse file: when the change
 * that freed them is durable, and nobody reads there any more, they are given
 * to the next who needs one.
 *
 * One thread at a time, who publishes changes, uses these functions.  They
 * take the lock of the places where they need it.
 */

#ifndef VMDK_RECYCLING_H
#define VMDK_RECYCLING_H

#include <pthread.h>

#include "places.h"

struct left;

/* All zeroes but for the first two. */
struct recycling {
  struct places *places;
  pthread_mutex_t *lock;        /* over places */

  struct freed collected;       /* by changes that are being published */
  struct left *left;            /* by others before, when it could not be
                                   waited for all who may still read there */
  size_t nr_left;               /* records in these */
};

/* Take over what has been freed since the last time.  The caller holds the
 * lock, and nothing is collected.
 */
extern void recycling_collect (struct recycling *r);

/* Has anything been collected? */
extern bool recycling_has_collected (const struct recycling *r);

/* Is there something that was collected, and published, before, and still
 * waits for those who may read there?
 */
extern bool recycling_has_left (const struct recycling *r);

/* What was collected has been published, if 'durable', or it has failed and is
 * forgotten.  'unused' tells that nobody reads any more where anything lies
 * that has been collected until now.  Its storage is given back, if the file
 * system can do that, and its places are given to others, or not before the
 * next time with 'unused'.
 */
extern void recycling_done (struct recycling *r, bool durable, bool unused);

/* Forget all.  The places are found again when the file is checked the next
 * time.
 */
extern void recycling_clear (struct recycling *r);

#endif /* VMDK_RECYCLING_H */
