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

/* Has the thread been asleep each time that one looked, for a while? */
static inline bool
is_asleep (int tid)
{
  const struct timespec ms = { .tv_nsec = 1000 * 1000 };
  char path[64], state = 'S';
  unsigned i;

  snprintf (path, sizeof path, "/proc/self/task/%d/stat", tid);
  for (i = 0; i < 20 && state == 'S'; ++i) {
    FILE *fp = fopen (path, "r");

    nanosleep (&ms, NULL);
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
  while (atomic_load (tid) == 0 || !is_asleep (atomic_load (tid)))
    ;
}

#endif /* VMDK_TESTS_ASLEEP_H */
