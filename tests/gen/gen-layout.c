/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The two levels of tables that all sparse formats have.  Grain tables
 * without an entry take no memory, so that large disks are cheap.
 */

#include <config.h>

#include <stdlib.h>

#include "gen.h"

void
layout_init (struct layout *lay, uint64_t sectors, uint64_t grain,
             uint64_t gtes)
{
  *lay = (struct layout) {
    .grain = grain,
    .gtes = gtes,
    .ngrains = div_up (sectors, grain),
    .ngts = div_up (sectors, grain * gtes),
    .gt_sectors = div_up (gtes * 4, SECTOR),
  };
  lay->gd_sectors = div_up (lay->ngts * 4, SECTOR);
  lay->gde = xcalloc (lay->ngts, sizeof lay->gde[0]);
  lay->rgde = xcalloc (lay->ngts, sizeof lay->rgde[0]);
  lay->gt = xcalloc (lay->ngts, sizeof lay->gt[0]);
  lay->size = xcalloc (lay->ngts, sizeof lay->size[0]);
}

void
layout_set (struct layout *lay, uint64_t grain, uint64_t entry)
{
  uint64_t i = grain / lay->gtes;

  if (lay->gt[i] == NULL)
    lay->gt[i] = xcalloc (lay->gtes, sizeof lay->gt[i][0]);
  lay->gt[i][grain % lay->gtes] = entry;
}

uint64_t
layout_get (const struct layout *lay, uint64_t grain)
{
  const uint64_t *gt = lay->gt[grain / lay->gtes];

  return gt ? gt[grain % lay->gtes] : 0;
}

void
layout_free (struct layout *lay)
{
  uint64_t i;

  for (i = 0; i < lay->ngts; i++) {
    free (lay->gt[i]);
    free (lay->size[i]);
  }
  free (lay->gt);
  free (lay->size);
  free (lay->gde);
  free (lay->rgde);
}

/* The grain tables to write: all, or only those with an entry. */
bool *
layout_present (const struct layout *lay, const struct grains *gs,
                bool used_only)
{
  bool *present = xcalloc (lay->ngts, sizeof *present);
  uint64_t i;

  for (i = 0; i < lay->ngts; i++)
    present[i] = !used_only;
  for (i = 0; i < gs->n; i++)
    present[gs->grain[i].number / lay->gtes] = true;
  return present;
}

/* One directory and its grain tables from sector POS.  Returns the
 * sector behind them.
 */
uint64_t
layout_place_set (const struct layout *lay, const bool *present,
                  uint64_t pos, uint64_t *gd, uint64_t *gde)
{
  uint64_t i;

  *gd = pos;
  pos += lay->gd_sectors;
  for (i = 0; i < lay->ngts; i++)
    if (present[i]) {
      gde[i] = pos;
      pos += lay->gt_sectors;
    }
  return pos;
}

/* A table of 32 bit entries, padded to whole sectors. */
static void
write_table (struct file *f, const uint64_t *entry, uint64_t n,
             uint64_t sector)
{
  size_t len = (size_t) round_up (n * 4, SECTOR);
  uint8_t *buf = xcalloc (1, len);
  uint64_t i;

  for (i = 0; i < n; i++) {
    if (entry[i] > UINT32_MAX)
      die ("%s: a 32 bit entry cannot hold sector %llu", f->path,
           (unsigned long long) entry[i]);
    put_le32 (buf + i * 4, (uint32_t) entry[i]);
  }
  file_write (f, buf, len, sector * SECTOR);
  free (buf);
}

void
layout_write_gt (const struct layout *lay, struct file *f,
                 const uint64_t *gt, uint64_t sector)
{
  write_table (f, gt, lay->gtes, sector);
}

void
layout_write_gd (const struct layout *lay, struct file *f,
                 const uint64_t *gde, uint64_t sector)
{
  write_table (f, gde, lay->ngts, sector);
}

/* Both directories and all tables.  A table that is all zero is left as
 * a hole in the file.
 */
void
layout_write_tables (const struct layout *lay, struct file *f)
{
  uint64_t i;

  if (lay->rgd)
    layout_write_gd (lay, f, lay->rgde, lay->rgd);
  for (i = 0; lay->rgd && i < lay->ngts; i++)
    if (lay->gt[i] && lay->rgde[i])
      layout_write_gt (lay, f, lay->gt[i], lay->rgde[i]);
  layout_write_gd (lay, f, lay->gde, lay->gd);
  for (i = 0; i < lay->ngts; i++)
    if (lay->gt[i] && lay->gde[i])
      layout_write_gt (lay, f, lay->gt[i], lay->gde[i]);
}
