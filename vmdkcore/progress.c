/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>

#include <stdbool.h>

#include "progress.h"

/* A look whether to go on costs a system call or so. */
#define LOOK_NS (100 * 1000 * 1000)

void
progress_begin (struct progress *progress, const struct logger *logger,
                const char *name, const char *what, uint64_t total)
{
  *progress = (struct progress) {
    .logger = logger, .name = name, .what = what, .total = total,
  };
  if (logger->interrupted) {
    clock_gettime (CLOCK_MONOTONIC_COARSE, &progress->next_look);
    progress->next_look.tv_sec += logger->patience;
  }
  if (total >= PROGRESS_MIN)
    logger_note (logger, "%s: %s", name, what);
}

/* Is it time for a look? */
static bool
look_is_due (struct progress *progress)
{
  struct timespec *next = &progress->next_look;
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC_COARSE, &now);
  if (now.tv_sec < next->tv_sec ||
      (now.tv_sec == next->tv_sec && now.tv_nsec < next->tv_nsec))
    return false;
  *next = now;
  next->tv_nsec += LOOK_NS;
  if (next->tv_nsec >= 1000 * 1000 * 1000) {
    next->tv_nsec -= 1000 * 1000 * 1000;
    next->tv_sec++;
  }
  return true;
}

int
progress_at (struct progress *progress, uint64_t done,
             struct vmdk_error *error)
{
  const struct logger *logger = progress->logger;
  unsigned tenths;

  if (logger->interrupted && look_is_due (progress) &&
      logger_interrupted (logger))
    return error_set (error, VMDK_ERROR_INTERRUPTED, EINTR,
                      "%s: %s: was interrupted", progress->name,
                      progress->what);
  if (progress->total < PROGRESS_MIN)
    return 0;
  tenths = done >= progress->total ? 10 :
    (unsigned) (done / (progress->total / 10 + 1));
  if (tenths > progress->tenths) {
    progress->tenths = tenths;
    logger_note (logger, "%s: %s: %u %%", progress->name, progress->what,
                 10 * tenths);
  }
  return 0;
}
