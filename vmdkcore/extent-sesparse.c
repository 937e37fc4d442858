/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* seSparse extents, the snapshots of ESXi 5.5 and later.  Their format
 * is not published; this follows what QEMU's developers found.
 */

#include <config.h>

#include <stdlib.h>

#include "bytes.h"
#include "grains.h"

struct sesparse {
  struct grains g;
  struct sesparse_header h;
};

/* A directory entry holds the number of a table and a type. */
static uint64_t
sesparse_decode_table (void *opaque, uint64_t table, uint64_t raw)
{
  const struct sesparse *s = opaque;
  const uint64_t index = raw & UINT32_MAX;
  uint64_t sector;

  (void) table;
  if (raw == 0)
    return ENTRY_HOLE;
  if (raw >> 32 != UINT32_C (0x10000000) ||
      (index + 1) * SESPARSE_TABLE_SIZE > s->h.tables_size)
    return ENTRY_BAD;
  sector = s->h.tables_offset + index * SESPARSE_TABLE_SIZE;
  return sector >= grains_file_sectors (&s->g) ? ENTRY_BAD : sector;
}

/* The types of a table entry, in its top four bits. */
enum {
  ENTRY_TYPE_UNALLOCATED = 0,
  ENTRY_TYPE_UNMAPPED = 1,      /* may keep the grain that it had */
  ENTRY_TYPE_ZERO = 2,
  ENTRY_TYPE_ALLOCATED = 3
};

static uint64_t
sesparse_decode_grain (void *opaque, uint64_t grain, uint64_t raw,
                       bool *partial)
{
  const struct sesparse *s = opaque;
  uint64_t index;

  switch (raw >> 60) {
  case ENTRY_TYPE_UNALLOCATED:
    return raw == 0 ? ENTRY_HOLE : ENTRY_BAD;
  case ENTRY_TYPE_UNMAPPED:
  case ENTRY_TYPE_ZERO:
    return ENTRY_ZERO;
  case ENTRY_TYPE_ALLOCATED:
    /* The low 12 bits of the index come before its high 48 bits. */
    index = (raw >> 48 & 0xfff) | (raw & UINT64_C (0xffffffffffff)) << 12;
    if (index >= s->h.grains_size / SESPARSE_GRAIN_SIZE)
      return ENTRY_BAD;
    return grains_locate (&s->g, grain, s->h.grains_offset +
                          index * SESPARSE_GRAIN_SIZE, partial);
  default:
    return ENTRY_BAD;
  }
}

static const struct extent_ops sesparse_ops = {
  .map = grains_map,
  .explain = grains_explain,
  .close = grains_close,
};

struct extent *
extent_sesparse_new (struct io *io, const struct sesparse_header *header,
                     uint64_t length, const struct extent_env *env,
                     struct vmdk_error *error)
{
  struct gtable_layout layout = {
    .entry_size = 8,
    .entries_per_table = SESPARSE_TABLE_ENTRIES,
    .directory = { header->gd_offset },
    .decode_table = sesparse_decode_table,
    .decode_grain = sesparse_decode_grain,
  };
  struct sesparse *s = calloc (1, sizeof *s);

  if (!s) {
    error_nomem (error);
    return NULL;
  }
  s->h = *header;
  if (grains_init (&s->g, io, header->capacity, SESPARSE_GRAIN_SIZE, length,
                   env, &layout, error) == -1) {
    free (s);
    return NULL;
  }
  s->g.extent.ops = &sesparse_ops;
  s->g.extent.read_only = "seSparse disks are only read";
  return &s->g.extent;
}
