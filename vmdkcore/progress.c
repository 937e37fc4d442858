/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>

#include "progress.h"

/* A look whether to go on costs a system call or so: it is taken at one call
 * of so many.
 */
#define CALLS_PER_LOOK 64

void
progress_begin (struct progress *progress, const struct logger *logger,
                const char *name, const char *what, uint64_t total)
{
  *progress = (struct progress) {
    .logger = logger, .name = name, .what = what, .total = total,
  };
  if (total >= PROGRESS_MIN)
    logger_note (logger, "%s: %s", name, what);
}

int
progress_at (struct progress *progress, uint64_t done,
             struct vmdk_error *error)
{
  const struct logger *logger = progress->logger;
  unsigned tenths;

  if (progress->calls++ % CALLS_PER_LOOK != 0)
    return 0;
  if (logger->interrupted && logger->interrupted (logger->opaque))
    return error_set (error, VMDK_ERROR_INTERRUPTED, EINTR,
                      "%s: %s: was interrupted", progress->name,
                      progress->what);
  tenths = done >= progress->total ? 10 :
    (unsigned) (done / (progress->total / 10 + 1));
  if (progress->total >= PROGRESS_MIN && tenths > progress->tenths) {
    progress->tenths = tenths;
    logger_note (logger, "%s: %s: %u %%", progress->name, progress->what,
                 10 * tenths);
  }
  return 0;
}
