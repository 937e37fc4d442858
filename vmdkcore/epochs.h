/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Who is using a place in a file that is about to be given away?
 *
 * A request looks up where a grain lies and then reads or writes there
 * without a lock.  A grain that has been freed meanwhile must not be given
 * to others until all requests that may still go to its old place have
 * ended.  Each is counted in the epoch in which it began; to wait for all
 * that are there begins a new epoch and waits for the old one's end.
 */

#ifndef VMDK_EPOCHS_H
#define VMDK_EPOCHS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct epochs {
  atomic_uint count[2];         /* requests in the even and odd epochs */
  atomic_uint current;
  pthread_mutex_t lock;         /* of those who wait */
};

/* Before all other calls, and after them, by one thread. */
extern void epochs_init (struct epochs *epochs);
extern void epochs_destroy (struct epochs *epochs);

/* Begin and end a request.  epochs_enter returns what epochs_leave needs.
 * Any thread.
 */
extern unsigned epochs_enter (struct epochs *epochs);
extern void epochs_leave (struct epochs *epochs, unsigned epoch);

/* Wait until all requests that had begun before have ended, for so long at
 * most.  Have they?  Any thread that is not inside a request.
 */
extern bool epochs_wait (struct epochs *epochs, unsigned seconds);

#endif /* VMDK_EPOCHS_H */
