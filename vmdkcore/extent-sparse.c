/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Hosted sparse extents (KDMV) with uncompressed grains. */

#include <config.h>

#include <stdatomic.h>
#include <stdlib.h>

#include "alloc.h"

struct sparse {
  struct grains g;
  struct hosted_header h;
  atomic_flag said_zeroed;
};

static uint64_t
sparse_decode_table (void *opaque, uint64_t table, uint64_t raw)
{
  const struct sparse *s = opaque;

  (void) table;
  if (raw == 0)
    return ENTRY_HOLE;
  return raw == 1 || raw >= grains_file_sectors (&s->g) ||
    hosted_is_metadata (&s->h, raw, gtable_layout (s->g.gt)->table_size) ?
    ENTRY_BAD : raw;
}

static uint64_t
sparse_decode_grain (void *opaque, uint64_t grain, uint64_t raw,
                     bool *partial)
{
  struct sparse *s = opaque;

  if (raw == 0)
    return ENTRY_HOLE;
  if (raw == 1) {
    /* Sector 1 is never a grain, so there is only one thing that this
     * can mean, whatever the flag says.
     */
    if (!(s->h.flags & HOSTED_ZEROED_GRAINS) &&
        !atomic_flag_test_and_set (&s->said_zeroed))
      logger_warn (s->g.logger, ZEROED_WARNING, s->g.io->name);
    return ENTRY_ZERO;
  }
  if (hosted_is_metadata (&s->h, raw, s->h.grain_size))
    return ENTRY_BAD;
  return grains_locate (&s->g, grain, raw, partial);
}

static const struct extent_ops sparse_ops = {
  .map = grains_map,
  .explain = grains_explain,
  .close = grains_close,
};

static int
sparse_set_unclean (struct grains *g, bool unclean, struct vmdk_error *error)
{
  const uint8_t mark = unclean;

  return io_pwrite (g->io, &mark, 1, HOSTED_UNCLEAN, error);
}

static const struct alloc_kind sparse_kind = {
  .aligned = true,
  .set_unclean = sparse_set_unclean,
};

static const struct alloc_kind zeroed_kind = {
  .aligned = true,
  .zero_entries = true,
  .set_unclean = sparse_set_unclean,
};

/* Tables of other sizes are read, but nobody writes them. */
#define MIN_WRITTEN_TABLE 128

static int
sparse_add_alloc (struct sparse *s, const struct gtable_layout *layout,
                  struct vmdk_error *error)
{
  if (s->h.entries_per_table < MIN_WRITTEN_TABLE) {
    s->g.extent.read_only = "its grain tables have an unusual size";
    return 0;
  }
  if (grains_are_too_short (&s->g)) {
    s->g.extent.read_only = GRAINS_TOO_SHORT;
    return 0;
  }
  if (hosted_directories_overlap (&s->h)) {
    s->g.extent.read_only = "its grain directory lies upon something else";
    return 0;
  }
  if (s->h.flags & HOSTED_REDUNDANT &&
      (s->h.gd_offset == 0 || s->h.rgd_offset == 0)) {
    s->g.extent.read_only = "one of its two grain directories is not usable";
    return 0;
  }
  s->g.extent.zero_entries = s->h.flags & HOSTED_ZEROED_GRAINS;
  s->g.extent.alloc =
    alloc_new (&s->g, layout,
               s->g.extent.zero_entries ? &zeroed_kind : &sparse_kind,
               min_u64 (s->h.overhead, grains_file_sectors (&s->g)),
               s->h.unclean, error);
  return s->g.extent.alloc ? 0 : -1;
}

struct extent *
extent_sparse_new (struct io *io, const struct hosted_header *header,
                   uint64_t length, const struct extent_env *env,
                   struct vmdk_error *error)
{
  struct gtable_layout layout = {
    .entry_size = 4,
    .entries_per_table = header->entries_per_table,
    .directory = { header->gd_offset, header->rgd_offset },
    .plain_from = hosted_metadata_end (header),
    .overhead = header->overhead,
    .decode_table = sparse_decode_table,
    .decode_grain = sparse_decode_grain,
  };
  struct sparse *s = calloc (1, sizeof *s);

  if (!s) {
    error_nomem (error);
    return NULL;
  }
  s->h = *header;
  atomic_flag_clear (&s->said_zeroed);
  if (grains_init (&s->g, io, header->capacity, header->grain_size, length,
                   env, &layout, error) == -1) {
    free (s);
    return NULL;
  }
  s->g.extent.ops = &sparse_ops;
  if (io->writable && sparse_add_alloc (s, &layout, error) == -1) {
    grains_close (&s->g.extent);
    return NULL;
  }
  return &s->g.extent;
}
