/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Hosted sparse extents (magic KDMV), not compressed. */

#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "gen.h"

#define DESC_SECTORS 20         /* what VMware, VirtualBox and QEMU reserve */

void
sparse_header (const struct layout *lay, uint64_t capacity,
               uint32_t version, uint32_t flags, uint64_t gd,
               uint8_t h[SECTOR])
{
  memset (h, 0, SECTOR);
  memcpy (h, "KDMV", 4);
  put_le32 (h + HDR_VERSION, version);
  put_le32 (h + HDR_FLAGS, flags);
  put_le64 (h + HDR_CAPACITY, capacity);
  put_le64 (h + HDR_GRAIN, lay->grain);
  put_le64 (h + HDR_DESC, lay->desc);
  put_le64 (h + HDR_DESC_SIZE, lay->desc_sectors);
  put_le32 (h + HDR_GTES, (uint32_t) lay->gtes);
  put_le64 (h + HDR_RGD, lay->rgd);
  put_le64 (h + HDR_GD, gd);
  put_le64 (h + HDR_OVERHEAD, lay->overhead);
  memcpy (h + HDR_NEWLINE, "\n \r\n", 4);
  put_le16 (h + HDR_COMPRESS, flags & FLAG_COMPRESSED ? 1 : 0);
}

static uint64_t
place_tables (const struct options *opt, struct layout *lay,
              const bool *present, uint64_t pos)
{
  if (!opt->no_rgd)
    pos = layout_place_set (lay, present, pos, &lay->rgd, lay->rgde);
  return layout_place_set (lay, present, pos, &lay->gd, lay->gde);
}

/* All grains with data, from sector POS, in the order of GS.  Returns
 * the sector behind them.
 */
static uint64_t
write_grains (const struct link *l, struct extent *e, struct file *f,
              const struct grains *gs, uint64_t pos)
{
  uint8_t *buf = xcalloc (e->grain, SECTOR);
  size_t i;

  for (i = 0; i < gs->n; i++) {
    uint64_t g = gs->grain[i].number;

    if (gs->grain[i].zero) {
      layout_set (&e->layout, g, 1);
      continue;
    }
    /* Nobody may show what lies behind the end of the extent. */
    plan_fill (l, e, e->start + g * e->grain, e->grain,
               l->opt->header_rounded ? 0 : 0xee, buf);
    file_write (f, buf, (size_t) e->grain * SECTOR, pos * SECTOR);
    layout_set (&e->layout, g, pos);
    pos += e->grain;
  }
  free (buf);
  return pos;
}

/* Before any grain is written, the file has this many sectors. */
static uint64_t
place_descriptor (const struct link *l, struct layout *lay,
                  const struct buf *text)
{
  if (text) {
    lay->desc = 1;
    lay->desc_sectors = div_up (text->len, SECTOR);
    if (lay->desc_sectors < DESC_SECTORS)
      lay->desc_sectors = DESC_SECTORS;
  }
  else if (dialect_is (l->opt, "qemu")) {
    /* QEMU reserves the room in split extents too. */
    lay->desc = 1;
    lay->desc_sectors = DESC_SECTORS;
  }
  return 1 + lay->desc_sectors;
}

static uint32_t
header_flags (const struct options *opt)
{
  return FLAG_NEWLINE | (opt->no_rgd ? 0 : FLAG_RGD) |
    (opt->zeroed ? FLAG_ZEROED : 0);
}

void
sparse_write (struct link *l, struct extent *e, const struct buf *text)
{
  const struct options *opt = l->opt;
  struct layout *lay = &e->layout;
  struct grains gs = plan_grains (l, e);
  uint64_t capacity = e->sectors, pos;
  uint8_t h[SECTOR];
  struct file f;
  bool *present;

  if (opt->header_rounded)
    capacity = round_up (capacity, e->grain);
  layout_init (lay, capacity, e->grain, opt->gtes);
  present = layout_present (lay, &gs, opt->sparse_gd);
  if (opt->shuffle)
    grains_shuffle (&gs, opt->seed);

  file_create (&f, e->path);
  pos = place_descriptor (l, lay, text);
  if (!opt->gd_behind)
    pos = place_tables (opt, lay, present, pos);
  /* An entry of 1 is not a sector. */
  lay->overhead = round_up (pos, opt->unaligned ? 1 : e->grain);
  if (lay->overhead < 2)
    lay->overhead = 2;
  pos = write_grains (l, e, &f, &gs, lay->overhead);
  if (opt->gd_behind)
    pos = place_tables (opt, lay, present, pos);

  layout_write_tables (lay, &f);
  if (opt->primary_only && lay->rgd)
    file_zero (&f, (lay->rgd + lay->gd_sectors) * SECTOR,
               (lay->gd - lay->rgd - lay->gd_sectors) * SECTOR);
  sparse_header (lay, capacity, opt->version ? opt->version :
                 opt->zeroed ? 2 : 1, header_flags (opt), lay->gd, h);
  file_write (&f, h, SECTOR, 0);
  if (text)
    file_write (&f, text->data, text->len, lay->desc * SECTOR);
  file_truncate (&f, pos * SECTOR);
  file_close (&f);
  free (present);
  free (gs.grain);
}

/* A header around a descriptor that names other files. */
void
sparse_wrap (const struct link *l, const struct buf *text)
{
  struct layout lay = {
    .grain = 128, .gtes = 512, .desc = 1,
    .desc_sectors = div_up (text->len, SECTOR)
  };
  uint8_t h[SECTOR];
  struct file f;

  lay.overhead = 1 + lay.desc_sectors;
  sparse_header (&lay, 0, 1, FLAG_NEWLINE, 0, h);
  file_create (&f, l->path);
  file_write (&f, h, SECTOR, 0);
  file_write (&f, text->data, text->len, SECTOR);
  file_truncate (&f, lay.overhead * SECTOR);
  file_close (&f);
}
