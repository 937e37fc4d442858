/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>

#include "faults.h"

/* Writes that do not fit fail with ENOSPC.  After a truncate that does not fit
 * a smaller one is tried, so that it fails otherwise here.
 */
const struct fault_kind fault_kinds[] = {
  { "read", { .calls = CALL_READ, .err = EIO } },
  { "write", { .calls = CALL_WRITE, .err = EIO } },
  { "full", { .calls = CALL_WRITE, .err = ENOSPC } },
  { "short", { .calls = CALL_WRITE, .err = ENOSPC, .half = true } },
  { "punch", { .calls = CALL_PUNCH, .err = EIO } },
  { "truncate", { .calls = CALL_TRUNCATE, .err = EIO } },
  { "sync", { .calls = CALL_SYNC, .err = EIO } },
  { "lock", { .calls = CALL_LOCK, .err = EBUSY } },
  { "record", { .calls = CALL_RECORD, .err = ENOMEM } },
  { "memory", { .calls = CALL_MEMORY, .err = ENOMEM } },
};

const size_t nr_fault_kinds = sizeof fault_kinds / sizeof fault_kinds[0];
