/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "alloc.h"

int
grains_check_length (const struct io *io, uint64_t capacity,
                     uint64_t grain_size, uint64_t length,
                     const struct logger *logger, struct vmdk_error *error)
{
  const uint64_t sectors = length / SECTOR_SIZE;

  if (sectors <= capacity)
    return 0;
  if (sectors - capacity >= grain_size)
    return error_set (error, VMDK_ERROR_CORRUPT, EINVAL,
                      "%s: the descriptor gives this extent %" PRIu64
                      " sectors, its header has %" PRIu64,
                      io->name, sectors, capacity);
  logger_warn (logger, "%s: the descriptor gives this extent %" PRIu64
               " sectors, its header has %" PRIu64 "; the rest reads as "
               "zeroes where neither the file nor a parent has anything",
               io->name, sectors, capacity);
  return 0;
}

int
grains_init (struct grains *g, struct io *io, uint64_t capacity,
             uint64_t grain_size, uint64_t length,
             const struct extent_env *env, struct gtable_layout *layout,
             struct vmdk_error *error)
{
  if (grains_check_length (io, capacity, grain_size, length, env->logger,
                           error) == -1)
    return -1;
  layout->io = io;
  layout->cache = env->tables;
  layout->logger = env->logger;
  layout->nr_grains = div_up (capacity, grain_size);
  layout->grain_size = grain_size;
  layout->table_size =
    div_up ((uint64_t) layout->entries_per_table * layout->entry_size,
            SECTOR_SIZE);
  layout->opaque = g;
  g->gt = gtable_new (layout);
  if (!g->gt)
    return error_nomem (error);
  g->extent.length = length;
  g->extent.grain_size = grain_size * SECTOR_SIZE;
  g->io = io_ref (io);
  g->logger = env->logger;
  g->env = env;
  g->capacity = capacity;
  g->grain_size = grain_size;
  return 0;
}

enum run_kind
grains_run_kind (uint64_t code)
{
  switch (code) {
  case ENTRY_HOLE:
    return RUN_HOLE;
  case ENTRY_ZERO:
    return RUN_ZERO;
  case ENTRY_BAD:
    return RUN_BAD;
  default:
    return RUN_DATA;
  }
}

uint64_t
grains_locate (const struct grains *g, uint64_t grain, uint64_t sector,
               bool *partial)
{
  uint64_t needed;

  if (sector >= grains_file_sectors (g))
    return ENTRY_BAD;

  /* The last grain may end with the disk. */
  needed = min_u64 (g->grain_size, g->capacity - grain * g->grain_size);
  *partial = (sector + needed) * SECTOR_SIZE > g->io->size;
  return sector;
}

/* The extent may be longer than the header's capacity by less than a
 * grain.  What lies there is what the last grain holds in the file, and
 * behind that grain nothing is allocated.
 */
static void
clip_tail (const struct grains *g, uint64_t offset, struct run *run)
{
  const uint64_t capacity = g->capacity * SECTOR_SIZE;

  if (offset + run->length <= capacity)
    return;
  if (offset < capacity)
    run->length = capacity - offset;
  else if (run->offset >= g->io->size)
    run->kind = RUN_ZERO;
  else
    run->length = min_u64 (run->length, g->io->size - run->offset);
}

int
grains_map (struct extent *extent, uint64_t offset, uint64_t count,
            enum map_purpose purpose, struct run *run,
            struct vmdk_error *error)
{
  const struct grains *g = (const struct grains *) extent;
  const uint64_t grain_size = extent->grain_size;
  const uint64_t grain = offset / grain_size;
  const uint64_t in_grain = offset % grain_size;
  const uint64_t nr_grains = div_up (g->capacity, g->grain_size);
  uint64_t code, n;

  if (grain >= nr_grains) {      /* see grains_check_length */
    run->kind = RUN_HOLE;
    run->length = count;
    return 0;
  }
  n = min_u64 (div_up (in_grain + count, grain_size), nr_grains - grain);
  if (gtable_run (g->gt, grain, n, purpose == MAP_FOR_ALLOCATION,
                  &code, &n, error) == -1)
    return -1;
  run->length = min_u64 (n * grain_size - in_grain, count);
  run->kind = grains_run_kind (code);
  if (run->kind == RUN_DATA) {
    run->io = g->io;
    run->offset = code * SECTOR_SIZE + in_grain;
    if (purpose == MAP_FOR_READING)
      clip_tail (g, offset, run);
  }
  return 0;
}

int
grains_explain (struct extent *extent, uint64_t offset,
                struct vmdk_error *error)
{
  const struct grains *g = (const struct grains *) extent;

  return gtable_explain (g->gt, offset / extent->grain_size, error);
}

void
grains_close (struct extent *extent)
{
  struct grains *g = (struct grains *) extent;

  alloc_free (extent->alloc);
  gtable_free (g->gt);
  io_unref (g->io);
  free (g);
}
