/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <time.h>

#include "epochs.h"

void
epochs_init (struct epochs *epochs)
{
  atomic_init (&epochs->count[0], 0);
  atomic_init (&epochs->count[1], 0);
  atomic_init (&epochs->current, 0);
  pthread_mutex_init (&epochs->lock, NULL);
}

void
epochs_destroy (struct epochs *epochs)
{
  pthread_mutex_destroy (&epochs->lock);
}

unsigned
epochs_enter (struct epochs *epochs)
{
  for (;;) {
    const unsigned epoch = atomic_load (&epochs->current) % 2;

    atomic_fetch_add (&epochs->count[epoch], 1);

    /* Who waits for this epoch sees the count, or is seen here. */
    if (atomic_load (&epochs->current) % 2 == epoch)
      return epoch;
    atomic_fetch_sub (&epochs->count[epoch], 1);
  }
}

void
epochs_leave (struct epochs *epochs, unsigned epoch)
{
  atomic_fetch_sub (&epochs->count[epoch], 1);
}

void
epochs_wait (struct epochs *epochs)
{
  /* Requests take as long as a read of the disk. */
  const struct timespec pause = { .tv_nsec = 50 * 1000 };
  unsigned old;

  pthread_mutex_lock (&epochs->lock);
  old = atomic_fetch_add (&epochs->current, 1) % 2;
  while (atomic_load (&epochs->count[old]) > 0)
    nanosleep (&pause, NULL);
  pthread_mutex_unlock (&epochs->lock);
}
