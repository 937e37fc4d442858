/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* COWD extents: ESX's delta disks, and the older hosted shape with
 * small grain tables.
 */

#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "gen.h"

#define HEADER_SECTORS 4

/* The last field that means anything to a reader ends at byte 32. */
static void
write_header (struct file *f, const struct layout *lay, bool old,
              uint64_t sectors, uint64_t free_sector)
{
  uint8_t h[HEADER_SECTORS * SECTOR] = { 0 };

  if (sectors > UINT32_MAX || free_sector > UINT32_MAX)
    die ("%s: a COWD extent has less than 2^32 sectors", f->path);
  memcpy (h, "COWD", 4);
  put_le32 (h + COWD_VERSION, old ? 3 : 1);
  put_le32 (h + COWD_FLAGS, old ? 0x1b : 3);
  put_le32 (h + COWD_SECTORS, (uint32_t) sectors);
  put_le32 (h + COWD_GRAIN, (uint32_t) lay->grain);
  put_le32 (h + COWD_GD, (uint32_t) lay->gd);
  put_le32 (h + COWD_GDES, (uint32_t) lay->ngts);
  put_le32 (h + COWD_FREE, (uint32_t) free_sector);
  if (old) {
    put_le32 (h + 32, (uint32_t) (sectors / (16 * 63)));
    put_le32 (h + 36, 16);
    put_le32 (h + 40, 63);
  }
  file_write (f, h, sizeof h, 0);
}

/* No field tells the size of a grain table: it follows from the number
 * of directory entries, if that is not what ESX would write.
 */
static void
check_old (const struct extent *e)
{
  if (e->layout.ngts == div_up (e->sectors, 4096 * e->grain))
    die ("--old-cowd needs more than 512 grains");
}

/* A grain table comes into being with its first grain. */
static uint64_t
write_grains (const struct link *l, struct extent *e, struct file *f,
              const struct grains *gs, uint64_t pos)
{
  struct layout *lay = &e->layout;
  uint8_t *buf = xcalloc (e->grain, SECTOR);
  size_t i;

  for (i = 0; i < gs->n; i++) {
    uint64_t g = gs->grain[i].number, gt = g / lay->gtes;

    if (lay->gde[gt] == 0) {
      lay->gde[gt] = pos;
      pos += lay->gt_sectors;
    }
    if (gs->grain[i].zero) {
      layout_set (lay, g, 1);
      continue;
    }
    plan_fill (l, e, e->start + g * e->grain, e->grain, 0xee, buf);
    file_write (f, buf, (size_t) e->grain * SECTOR, pos * SECTOR);
    layout_set (lay, g, pos);
    pos += e->grain;
  }
  free (buf);
  return pos;
}

void
cowd_write (struct link *l, struct extent *e)
{
  const struct options *opt = l->opt;
  struct layout *lay = &e->layout;
  struct grains gs = plan_grains (l, e);
  struct file f;
  uint64_t pos;

  if (e->grain > 2048)
    die ("%s: a COWD grain has at most 2048 sectors", e->path);
  layout_init (lay, e->sectors, e->grain, opt->old_cowd ? 512 : 4096);
  if (opt->old_cowd)
    check_old (e);
  if (opt->shuffle)
    grains_shuffle (&gs, opt->seed);

  file_create (&f, e->path);
  lay->gd = HEADER_SECTORS;
  pos = write_grains (l, e, &f, &gs, lay->gd + lay->gd_sectors);
  layout_write_tables (lay, &f);
  write_header (&f, lay, opt->old_cowd, e->sectors, pos);
  file_truncate (&f, pos * SECTOR);
  file_close (&f);
  free (gs.grain);
}
