/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The memory that one image may use, or several together. */

#ifndef VMDK_MEMORY_H
#define VMDK_MEMORY_H

#include "descriptor.h"
#include "extent.h"
#include "recover.h"

/* Of all images together: each extent takes memory, also if it is a line of
 * ten bytes.
 */
#define MEMORY_MAX_EXTENTS (4 * DESCRIPTOR_MAX_EXTENTS)

struct vmdk_memory {
  struct table_cache *tables;
  struct grain_cache *grains;
  struct inflaters *inflaters;
  struct budget indexes, rooms, extents; /* see struct extent_env */
  struct recover_memory checks;

  /* What changes may take before they are published, in bytes, and by how
   * many images that have been changed it is shared.
   */
  size_t max_pending;
  atomic_uint nr_changed;
};

#endif /* VMDK_MEMORY_H */
