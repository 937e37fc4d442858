/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The ways in which calls of the core can fail. */

#ifndef CRASH_FAULTS_H
#define CRASH_FAULTS_H

#include "record.h"

struct fault_kind {
  const char *name;
  struct fault fault;           /* which call it is, is left open */
};

extern const struct fault_kind fault_kinds[];
extern const size_t nr_fault_kinds;

#endif /* CRASH_FAULTS_H */
