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

/* Wait until nobody is in an epoch that has ended, or is to end. */
static bool
drain (struct epochs *epochs, unsigned epoch, const struct timespec *until)
{
  /* Requests take as long as a read of the disk; a few take very long. */
  struct timespec pause = { .tv_nsec = 50 * 1000 }, now;

  while (atomic_load (&epochs->count[epoch]) > 0) {
    clock_gettime (CLOCK_MONOTONIC, &now);
    if (now.tv_sec > until->tv_sec ||
        (now.tv_sec == until->tv_sec && now.tv_nsec >= until->tv_nsec))
      return false;
    nanosleep (&pause, NULL);
    if (pause.tv_nsec < 10 * 1000 * 1000)
      pause.tv_nsec += pause.tv_nsec / 4;
  }
  return true;
}

bool
epochs_wait (struct epochs *epochs, unsigned seconds)
{
  struct timespec until;
  unsigned old;
  bool r;

  clock_gettime (CLOCK_MONOTONIC, &until);
  until.tv_sec += seconds;
  pthread_mutex_lock (&epochs->lock);
  old = atomic_load (&epochs->current) % 2;
  /* Those for whom one has not waited to the end before. */
  r = drain (epochs, 1 - old, &until);
  if (r) {
    atomic_fetch_add (&epochs->current, 1);
    r = drain (epochs, old, &until);
  }
  pthread_mutex_unlock (&epochs->lock);
  return r;
}
