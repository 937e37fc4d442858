/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <stdlib.h>

#include "bytes.h"
#include "memory.h"

/* To check the tables of one disk, in bytes.  With less, those of a very large
 * one have to be read more than once.
 */
#define CHECK_MEMORY (16 * 1024 * 1024)

struct vmdk_memory *
vmdk_memory_new (uint64_t size)
{
  struct vmdk_memory *memory = calloc (1, sizeof *memory);

  if (!memory)
    return NULL;
  size = size == 0 ? VMDK_CACHE_DEFAULT : max_u64 (size, VMDK_CACHE_MIN);
  memory->tables = table_cache_new (size / 4);
  memory->grains = grain_cache_new (size / 4);
  memory->inflaters = inflaters_new (size / 4);
  budget_init (&memory->indexes, size / 4);
  budget_init (&memory->rooms, size / 16);
  budget_init (&memory->extents, MEMORY_MAX_EXTENTS);
  recover_memory_init (&memory->checks, CHECK_MEMORY, size / 4);
  memory->max_pending = (size_t) (size / 16);
  atomic_init (&memory->nr_changed, 0);
  if (memory->tables && memory->grains && memory->inflaters)
    return memory;
  vmdk_memory_free (memory);
  return NULL;
}

void
vmdk_memory_free (struct vmdk_memory *memory)
{
  if (!memory)
    return;
  recover_memory_destroy (&memory->checks);
  inflaters_free (memory->inflaters);
  grain_cache_free (memory->grains);
  table_cache_free (memory->tables);
  free (memory);
}
