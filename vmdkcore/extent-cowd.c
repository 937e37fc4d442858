/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* COWD extents: VMFSSPARSE on ESX, and the growable disks of Workstation
 * 3 and earlier (Virtual Disk Format 5.0, "ESX Server Sparse Extents").
 */

#include <config.h>

#include <stdlib.h>

#include "bytes.h"
#include "grains.h"

struct cowd {
  struct grains g;
  uint64_t gd_offset, gd_size;  /* sectors */
};

static bool
is_metadata (const struct cowd *c, uint64_t sector, uint64_t n)
{
  return sector < COWD_HEADER_SIZE / SECTOR_SIZE ||
    (sector < c->gd_offset + c->gd_size && sector + n > c->gd_offset);
}

static uint64_t
cowd_decode_table (void *opaque, uint64_t table, uint64_t raw)
{
  const struct cowd *c = opaque;

  (void) table;
  if (raw == 0)
    return ENTRY_HOLE;
  return is_metadata (c, raw, 1) || raw >= c->g.file_sectors ?
    ENTRY_BAD : raw;
}

static uint64_t
cowd_decode_grain (void *opaque, uint64_t grain, uint64_t raw,
                   bool *partial)
{
  const struct cowd *c = opaque;

  if (raw == 0)
    return ENTRY_HOLE;
  if (raw == 1)                 /* sector 1 is inside the header */
    return ENTRY_ZERO;
  return is_metadata (c, raw, c->g.grain_size) ?
    ENTRY_BAD : grains_locate (&c->g, grain, raw, partial);
}

static const struct extent_ops cowd_ops = {
  .map = grains_map,
  .explain = grains_explain,
  .close = grains_close,
};

struct extent *
extent_cowd_new (struct io *io, const struct cowd_header *header,
                 uint64_t length, const struct extent_env *env,
                 struct vmdk_error *error)
{
  struct gtable_layout layout = {
    .cache = env->tables,
    .entry_size = 4,
    .entries_per_table = header->entries_per_table,
    .directory = { header->gd_offset },
    .plain_from =
      max_u64 (COWD_HEADER_SIZE / SECTOR_SIZE,
               header->gd_offset +
               div_up (header->nr_tables * UINT64_C (4), SECTOR_SIZE)),
    .decode_table = cowd_decode_table,
    .decode_grain = cowd_decode_grain,
  };
  struct cowd *c = calloc (1, sizeof *c);

  if (!c) {
    error_nomem (error);
    return NULL;
  }
  c->gd_offset = header->gd_offset;
  c->gd_size = div_up (header->nr_tables * UINT64_C (4), SECTOR_SIZE);
  if (grains_init (&c->g, io, header->capacity, header->grain_size, length,
                   env->logger, &layout, error) == -1) {
    free (c);
    return NULL;
  }
  c->g.extent.ops = &cowd_ops;
  return &c->g.extent;
}
