/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* COWD extents: VMFSSPARSE on ESX, and the growable disks of Workstation
 * 3 and earlier (Virtual Disk Format 5.0, "ESX Server Sparse Extents").
 */

#include <config.h>

#include <stdlib.h>

#include "alloc.h"

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
  return is_metadata (c, raw, gtable_layout (c->g.gt)->table_size) ||
    raw >= grains_file_sectors (&c->g) ? ENTRY_BAD : raw;
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

static int
set_field (struct grains *g, uint64_t offset, uint64_t value,
           struct vmdk_error *error)
{
  uint8_t buf[4];

  store_le32 (buf, (uint32_t) value);
  return io_pwrite (g->io, buf, sizeof buf, offset, error);
}

static int
cowd_set_unclean (struct grains *g, bool unclean, struct vmdk_error *error)
{
  return set_field (g, COWD_UNCLEAN, unclean, error);
}

static int
cowd_set_end (struct grains *g, uint64_t end, struct vmdk_error *error)
{
  /* The last grain may end where the field does not reach. */
  return set_field (g, COWD_FREE_SECTOR, min_u64 (end, UINT32_MAX), error);
}

static const struct alloc_kind cowd_kind = {
  .set_unclean = cowd_set_unclean,
  .set_end = cowd_set_end,
};

/* ESX's; Workstation 3 had smaller tables, and generations that a writer
 * would have to keep.
 */
#define WRITTEN_TABLE 4096

static int
cowd_add_alloc (struct cowd *c, const struct cowd_header *h,
                const struct gtable_layout *layout, struct vmdk_error *error)
{
  if (h->entries_per_table != WRITTEN_TABLE || h->has_parent) {
    c->g.extent.read_only = "it is a disk of the old Workstation format";
    return 0;
  }
  if (grains_are_too_short (&c->g)) {
    c->g.extent.read_only = GRAINS_TOO_SHORT;
    return 0;
  }
  c->g.extent.alloc =
    alloc_new (&c->g, layout, &cowd_kind, 0, h->unclean, error);
  return c->g.extent.alloc ? 0 : -1;
}

struct extent *
extent_cowd_new (struct io *io, const struct cowd_header *header,
                 uint64_t length, const struct extent_env *env,
                 struct vmdk_error *error)
{
  struct gtable_layout layout = {
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
                   env, &layout, error) == -1) {
    free (c);
    return NULL;
  }
  c->g.extent.ops = &cowd_ops;
  if (io->writable && cowd_add_alloc (c, header, &layout, error) == -1) {
    grains_close (&c->g.extent);
    return NULL;
  }
  return &c->g.extent;
}
