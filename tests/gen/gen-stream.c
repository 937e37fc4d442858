/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Compressed extents: streamOptimized in all layouts that are known,
 * and the two readings of compressed grains without markers.
 */

#include <config.h>

#include <stdlib.h>
#include <string.h>

#include <libdeflate.h>

#include "gen.h"

#define GD_AT_END UINT64_MAX

enum marker { MARKER_EOS, MARKER_GT, MARKER_GD, MARKER_FOOTER, MARKER_4 };

struct stream {
  const struct link *l;
  struct extent *e;
  struct layout *lay;
  struct file f;
  struct libdeflate_compressor *compressor;
  uint8_t *grain;               /* one, as the guest sees it */
  uint8_t *stored;              /* and as it is stored */
  size_t stored_max;
  uint64_t pos;                 /* the next free sector */
  uint64_t last;                /* where the last grain begins */
};

static bool
has_footer (const struct options *opt)
{
  return opt->style == STYLE_A || opt->style == STYLE_C;
}

static bool
is_markerless (const struct options *opt)
{
  return opt->style == STYLE_MARKERLESS_SIZED ||
    opt->style == STYLE_MARKERLESS_BARE;
}

/* The bytes in front of the compressed ones. */
static size_t
prefix_size (const struct options *opt)
{
  return opt->style == STYLE_MARKERLESS_BARE ? 0 :
    opt->style == STYLE_MARKERLESS_SIZED ? 4 : 12;
}

static void
write_marker (struct stream *st, enum marker type, uint64_t val)
{
  uint8_t sector[SECTOR] = { 0 };

  put_le64 (sector, val);
  put_le32 (sector + 12, (uint32_t) type);
  file_write (&st->f, sector, SECTOR, st->pos * SECTOR);
  st->pos++;
}

static void
record_size (struct layout *lay, uint64_t g, uint32_t size)
{
  uint64_t i = g / lay->gtes;

  if (lay->size[i] == NULL)
    lay->size[i] = xcalloc (lay->gtes, sizeof lay->size[i][0]);
  lay->size[i][g % lay->gtes] = size;
}

static void
write_grain (struct stream *st, uint64_t g)
{
  const struct options *opt = st->l->opt;
  size_t prefix = prefix_size (opt), len, total;
  uint64_t n = st->e->grain;

  plan_fill (st->l, st->e, st->e->start + g * n, n, 0, st->grain);
  /* QEMU leaves out what is behind the end of the disk. */
  if (opt->style == STYLE_E)
    n = min_u64 (n, st->e->sectors - g * n);
  len = libdeflate_zlib_compress (st->compressor, st->grain,
                                  (size_t) n * SECTOR,
                                  st->stored + prefix,
                                  st->stored_max - prefix);
  if (len == 0)
    die ("%s: a grain cannot be compressed", st->f.path);

  if (prefix == 12) {
    put_le64 (st->stored, g * st->e->grain);
    put_le32 (st->stored + 8, (uint32_t) len);
  }
  else if (prefix == 4)
    put_le32 (st->stored, (uint32_t) len);
  total = (size_t) round_up (prefix + len, SECTOR);
  memset (st->stored + prefix + len, 0, total - prefix - len);
  file_write (&st->f, st->stored, total, st->pos * SECTOR);

  layout_set (st->lay, g, st->pos);
  record_size (st->lay, g, (uint32_t) len);
  st->last = st->pos;
  st->pos += total / SECTOR;
}

/* All grains from sector POS, and the grain tables if they follow. */
static void
write_grains (struct stream *st, const struct grains *gs)
{
  const struct options *opt = st->l->opt;
  uint64_t gtes = st->lay->gtes;
  size_t i;

  for (i = 0; i < gs->n; i++) {
    uint64_t g = gs->grain[i].number;

    if (gs->grain[i].zero)
      layout_set (st->lay, g, 1);
    else
      write_grain (st, g);
    if (opt->progress_markers && i % 3 == 0)
      write_marker (st, MARKER_4, 0);
    if (has_footer (opt) &&
        (i + 1 == gs->n || gs->grain[i + 1].number / gtes != g / gtes)) {
      write_marker (st, MARKER_GT, st->lay->gt_sectors);
      st->lay->gde[g / gtes] = st->pos;
      layout_write_gt (st->lay, &st->f, st->lay->gt[g / gtes], st->pos);
      st->pos += st->lay->gt_sectors;
    }
  }
}

/* A grain table follows the grains that it describes, so with these
 * layouts no grain may leave its group.
 */
static void
shuffle_groups (struct grains *gs, uint64_t gtes, uint64_t seed)
{
  size_t i, end;

  for (i = 0; i < gs->n; i = end) {
    struct grains group = { .grain = gs->grain + i };

    end = i;
    while (end < gs->n &&
           gs->grain[end].number / gtes == gs->grain[i].number / gtes)
      end++;
    group.n = end - i;
    grains_shuffle (&group, prng_hash (seed, i));
  }
}

/* The metadata in front of the grains. */
static void
place_front (struct stream *st, const bool *present)
{
  const struct options *opt = st->l->opt;
  struct layout *lay = st->lay;
  uint64_t pos = 1 + lay->desc_sectors;

  if (opt->style == STYLE_E && !opt->no_rgd)
    pos = layout_place_set (lay, present, pos, &lay->rgd, lay->rgde);
  if (!has_footer (opt))
    pos = layout_place_set (lay, present, pos, &lay->gd, lay->gde);
  if (opt->style != STYLE_D && !is_markerless (opt))
    pos = round_up (pos, 128);
  lay->overhead = st->pos = pos;
}

/* Directory, footer and the end of the stream. */
static void
write_end (struct stream *st, uint32_t version, uint32_t flags)
{
  struct layout *lay = st->lay;
  uint8_t h[SECTOR];

  write_marker (st, MARKER_GD, lay->gd_sectors);
  lay->gd = st->pos;
  layout_write_gd (lay, &st->f, lay->gde, lay->gd);
  st->pos += lay->gd_sectors;
  write_marker (st, MARKER_FOOTER, 1);
  lay->footer = st->pos++;
  sparse_header (lay, st->e->sectors, version, flags, lay->gd, h);
  file_write (&st->f, h, SECTOR, lay->footer * SECTOR);
  write_marker (st, MARKER_EOS, 0);
}

static void
write_all (struct stream *st, struct grains *gs, const struct buf *text)
{
  const struct options *opt = st->l->opt;
  struct layout *lay = st->lay;
  bool *present = layout_present (lay, gs, opt->sparse_gd);
  uint32_t version = opt->version ? opt->version : 3;
  uint32_t flags = FLAG_NEWLINE | FLAG_COMPRESSED;
  uint8_t h[SECTOR];

  if (!is_markerless (opt))
    flags |= FLAG_MARKERS;
  if (opt->zeroed)
    flags |= FLAG_ZEROED;
  if (opt->style == STYLE_E && !opt->no_rgd)
    flags |= FLAG_RGD;

  place_front (st, present);
  write_grains (st, gs);
  if (has_footer (opt))
    write_end (st, version, flags);
  else {
    layout_write_tables (lay, &st->f);
    if (opt->style == STYLE_E) {
      if (st->pos < st->last + st->e->grain)
        st->pos = st->last + st->e->grain;
    }
    else if (!is_markerless (opt))
      write_marker (st, MARKER_EOS, 0);
  }
  sparse_header (lay, st->e->sectors, version, flags,
                 opt->style == STYLE_A ? GD_AT_END : lay->gd, h);
  file_write (&st->f, h, SECTOR, 0);
  file_write (&st->f, text->data, text->len, lay->desc * SECTOR);
  if (st->pos < lay->overhead)
    st->pos = lay->overhead;
  file_truncate (&st->f, st->pos * SECTOR);
  free (present);
}

void
stream_write (struct link *l, struct extent *e, const struct buf *text)
{
  const struct options *opt = l->opt;
  struct stream st = { .l = l, .e = e, .lay = &e->layout };
  struct grains gs = plan_grains (l, e);
  size_t raw = (size_t) e->grain * SECTOR;

  layout_init (st.lay, e->sectors, e->grain, opt->gtes);
  st.lay->desc = 1;
  st.lay->desc_sectors = div_up (text->len, SECTOR);
  if (opt->shuffle && has_footer (opt))
    shuffle_groups (&gs, opt->gtes, opt->seed);
  else if (opt->shuffle)
    grains_shuffle (&gs, opt->seed);

  st.compressor = libdeflate_alloc_compressor (opt->level);
  if (st.compressor == NULL)
    die ("--level=%d: there is no such level", opt->level);
  st.grain = xcalloc (1, raw);
  st.stored_max = 12 + SECTOR +
    libdeflate_zlib_compress_bound (st.compressor, raw);
  st.stored = xcalloc (1, st.stored_max);
  file_create (&st.f, e->path);

  write_all (&st, &gs, text);

  file_close (&st.f);
  libdeflate_free_compressor (st.compressor);
  free (st.grain);
  free (st.stored);
  free (gs.grain);
}
