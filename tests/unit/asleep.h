/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Is another thread waiting? */

#ifndef VMDK_TESTS_ASLEEP_H
#define VMDK_TESTS_ASLEEP_H

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"

/* Has the thread been asleep each time that one looked, for a while?  It must
 * get a chance to run meanwhile: under valgrind only one thread does.
 */
static inline bool
is_asleep (int tid)
{
  const struct timespec pause = { .tv_nsec = 5 * 1000 * 1000 };
  char path[64], state = 'S';
  unsigned i;

  snprintf (path, sizeof path, "/proc/self/task/%d/stat", tid);
  for (i = 0; i < 40 && state == 'S'; ++i) {
    FILE *fp;

    nanosleep (&pause, NULL);
    fp = fopen (path, "r");
    assert_non_null (fp);
    assert_int_equal (fscanf (fp, "%*d (%*[^)]) %c", &state), 1);
    fclose (fp);
  }
  return state == 'S';
}

/* Wait until a thread that will tell its number in *tid is waiting for
 * something itself.
 */
static inline void
wait_until_asleep (atomic_int *tid)
{
  const struct timespec pause = { .tv_nsec = 1000 * 1000 };

  while (atomic_load (tid) == 0 || !is_asleep (atomic_load (tid)))
    nanosleep (&pause, NULL);
}

#endif /* VMDK_TESTS_ASLEEP_H */
