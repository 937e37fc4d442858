/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Work that may take long: the log tells how far it is, and it can be
 * stopped.
 */

#ifndef VMDK_PROGRESS_H
#define VMDK_PROGRESS_H

#include <time.h>

#include "error.h"

/* Less work than this, in bytes to be read, is not worth a word. */
#define PROGRESS_MIN (UINT64_C (4) << 20)

struct progress {
  const struct logger *logger;
  const char *name, *what;
  uint64_t total;
  unsigned tenths;              /* told */
  struct timespec next_look;    /* whether to go on */
};

/* 'what' is being done with the file 'name', which is 'total' bytes of work;
 * 0: how much is not told.  Both are borrowed.
 */
extern void progress_begin (struct progress *progress,
                            const struct logger *logger, const char *name,
                            const char *what, uint64_t total);

/* So much has been done, a number that does not shrink.  To be called often,
 * by one thread.  Returns -1 with VMDK_ERROR_INTERRUPTED if the work is to be
 * given up.
 */
extern int progress_at (struct progress *progress, uint64_t done,
                        struct vmdk_error *error);

#endif /* VMDK_PROGRESS_H */
