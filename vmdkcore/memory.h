/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The memory that one image may use, or several together. */

#ifndef VMDK_MEMORY_H
#define VMDK_MEMORY_H

#include <stdatomic.h>

#include "extent.h"

struct vmdk_memory {
  struct table_cache *tables;
  struct grain_cache *grains;
  struct inflaters *inflaters;
  struct index_memory index_memory;

  /* What changes may take before they are published, in bytes, and by how
   * many images that are being written it is shared.
   */
  size_t max_pending;
  atomic_uint nr_writing;
};

#endif /* VMDK_MEMORY_H */
