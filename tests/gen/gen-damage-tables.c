/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Damage to grain directories and grain tables, and grains that are
 * missing from the file.
 */

#include <config.h>

#include "gen.h"

/* Which of the two sets of tables. */
#define PRIMARY 1u
#define REDUNDANT 2u
#define BOTH (PRIMARY | REDUNDANT)

#define PAST_END 0xf0000000u

static void
set_gde (const struct extent *e, uint64_t i, uint64_t value, unsigned set)
{
  const struct layout *lay = &e->layout;

  if (set & PRIMARY)
    damage_patch (e->path, lay->gd * SECTOR + i * 4, value, 4);
  if (set & REDUNDANT && lay->rgd)
    damage_patch (e->path, lay->rgd * SECTOR + i * 4, value, 4);
}

static void
set_gte (const struct extent *e, uint64_t g, uint64_t value, unsigned set)
{
  const struct layout *lay = &e->layout;
  uint64_t gt = g / lay->gtes, byte = g % lay->gtes * 4;

  if (set & PRIMARY)
    damage_patch (e->path, lay->gde[gt] * SECTOR + byte, value, 4);
  if (set & REDUNDANT && lay->rgd)
    damage_patch (e->path, lay->rgde[gt] * SECTOR + byte, value, 4);
}

/* All that grain table I describes. */
static void
mark_table (struct link *l, const struct extent *e, uint64_t i,
            enum run_type type)
{
  uint64_t span = e->layout.gtes * e->grain;

  runs_set (&l->plan, e->start + i * span,
            min_u64 (span, e->sectors - i * span), type);
}

static uint64_t
damaged_table (const struct extent *e)
{
  return damage_grain (e) / e->layout.gtes;
}

/* Cut the file.  Grains that were at or behind END are lost, and with a
 * grain table all that it describes.
 */
static void
cut (struct link *l, const struct extent *e, uint64_t bytes, uint64_t end)
{
  const struct layout *lay = &e->layout;
  struct runs lost = { .n = 0 };
  uint64_t g;

  damage_cut (e->path, bytes);
  runs_append (&lost, e->start, RUN_HOLE);
  for (g = 0; g < lay->ngrains; g++) {
    uint64_t n = min_u64 (e->grain, e->sectors - g * e->grain);
    bool gone = lay->gde[g / lay->gtes] >= end ||
      (layout_get (lay, g) > 1 && layout_get (lay, g) >= end);

    runs_append (&lost, n, gone ? RUN_ERROR : RUN_HOLE);
  }
  runs_resize (&lost, l->sectors);
  runs_overlay (&l->plan, &lost);
  runs_free (&lost);
}

static void
cut_grains (struct link *l)
{
  struct extent *e = damage_extent (l);
  uint64_t at = layout_get (&e->layout, damage_grain (e));

  cut (l, e, at * SECTOR, at);
}

static void
cut_in_grain (struct link *l)
{
  struct extent *e = damage_extent (l);
  uint64_t at = layout_get (&e->layout, damage_grain (e));

  cut (l, e, at * SECTOR + e->grain * SECTOR / 2, at);
}

static void
in_order (struct options *opt)
{
  opt->shuffle = opt->gd_behind = false;
}

static void
tables_in_front (struct options *opt)
{
  in_order (opt);
  opt->style = STYLE_B;
}

static void
odd_size (struct options *opt)
{
  in_order (opt);
  damage_odd_size (opt);
}

/* The last grain of the file ends where the disk does. */
static void
short_last_grain (struct link *l)
{
  struct extent *e = damage_extent (l);
  uint64_t g = e->layout.ngrains - 1, at = layout_get (&e->layout, g);

  if (e->sectors % e->grain == 0)
    die ("this damage needs an incomplete last grain");
  damage_cut (e->path, (at + e->sectors % e->grain) * SECTOR);
}

static void
gde_past_end (struct link *l)
{
  struct extent *e = damage_extent (l);
  uint64_t i = damaged_table (e);

  set_gde (e, i, PAST_END, BOTH);
  mark_table (l, e, i, RUN_ERROR);
}

static void
gde_past_end_rgd_whole (struct link *l)
{
  struct extent *e = damage_extent (l);

  damage_need_rgd (e);
  set_gde (e, damaged_table (e), PAST_END, PRIMARY);
}

static void
gde_1 (struct link *l)
{
  struct extent *e = damage_extent (l);
  uint64_t i = damaged_table (e);

  set_gde (e, i, 1, BOTH);
  mark_table (l, e, i, RUN_ERROR);
}

static void
gde_0 (struct link *l)
{
  struct extent *e = damage_extent (l);
  uint64_t i = damaged_table (e);

  set_gde (e, i, 0, BOTH);
  mark_table (l, e, i, RUN_HOLE);
}

static void
gte_past_end (struct link *l)
{
  struct extent *e = damage_extent (l);
  uint64_t g = damage_grain (e);

  set_gte (e, g, PAST_END, BOTH);
  damage_mark (l, e, g, RUN_ERROR);
}

static void
gte_past_end_rgd_whole (struct link *l)
{
  struct extent *e = damage_extent (l);

  damage_need_rgd (e);
  set_gte (e, damage_grain (e), PAST_END, PRIMARY);
}

static void
gte_into (struct link *l, uint64_t sector)
{
  struct extent *e = damage_extent (l);
  uint64_t g = damage_grain (e);

  set_gte (e, g, sector, BOTH);
  damage_mark (l, e, g, RUN_ERROR);
}

static void
gte_in_descriptor (struct link *l)
{
  gte_into (l, 2);
}

static void
gte_in_gd (struct link *l)
{
  gte_into (l, damage_extent (l)->layout.gd);
}

static void
gte_in_gt (struct link *l)
{
  struct extent *e = damage_extent (l);

  gte_into (l, e->layout.gde[damaged_table (e)]);
}

static void
gte_in_rgt (struct link *l)
{
  struct extent *e = damage_extent (l);

  damage_need_rgd (e);
  gte_into (l, e->layout.rgde[damaged_table (e)]);
}

static void
gte_in_gd_rgd_whole (struct link *l)
{
  struct extent *e = damage_extent (l);

  damage_need_rgd (e);
  set_gte (e, damage_grain (e), e->layout.gd, PRIMARY);
}

static void
gte_1_without_flag (struct link *l)
{
  struct extent *e = damage_extent (l);
  uint64_t g = damage_grain (e);

  if (l->opt->zeroed)
    die ("this damage does not go with --zeroed");
  set_gte (e, g, 1, BOTH);
  damage_mark (l, e, g, RUN_ZERO);
}

/* Two entries for one grain of the file.  Its bytes become zero, so
 * that the plan can tell what is in both.
 */
static void
gte_twice (struct link *l)
{
  struct extent *e = damage_extent (l);
  uint64_t g = damage_grain (e), first = 0;

  while (first < g && layout_get (&e->layout, first) <= 1)
    first++;
  if (first == g)
    die ("this damage needs two grains with data");
  damage_fill (e->path, layout_get (&e->layout, first), e->grain, 0);
  set_gte (e, g, layout_get (&e->layout, first), BOTH);
  damage_mark (l, e, first, RUN_BLANK);
  damage_mark (l, e, g, RUN_BLANK);
}

/* Entries that no sector of the disk uses. */
static void
gte_beyond_capacity (struct link *l)
{
  struct extent *e = damage_extent (l);
  uint64_t g = e->layout.ngrains;

  if (g % e->layout.gtes == 0)
    die ("this damage needs room in the last grain table");
  set_gte (e, g, PAST_END, BOTH);
}

static void
gd_garbage (struct link *l)
{
  struct extent *e = damage_extent (l);
  const struct layout *lay = &e->layout;

  damage_fill (e->path, lay->gd, lay->gd_sectors, 0xff);
  if (lay->rgd)
    damage_fill (e->path, lay->rgd, lay->gd_sectors, 0xff);
  runs_set (&l->plan, e->start, e->sectors, RUN_ERROR);
}

static void
gd_garbage_rgd_whole (struct link *l)
{
  struct extent *e = damage_extent (l);

  damage_need_rgd (e);
  damage_fill (e->path, e->layout.gd, e->layout.gd_sectors, 0xff);
}

static void
rgd_garbage (struct link *l)
{
  struct extent *e = damage_extent (l);

  damage_need_rgd (e);
  damage_fill (e->path, e->layout.rgd, e->layout.gd_sectors, 0xff);
}

static void
gt_garbage (struct link *l)
{
  struct extent *e = damage_extent (l);
  const struct layout *lay = &e->layout;
  uint64_t i = damaged_table (e);

  damage_fill (e->path, lay->gde[i], lay->gt_sectors, 0xff);
  if (lay->rgd)
    damage_fill (e->path, lay->rgde[i], lay->gt_sectors, 0xff);
  mark_table (l, e, i, RUN_ERROR);
}

static void
gt_garbage_rgd_whole (struct link *l)
{
  struct extent *e = damage_extent (l);

  damage_need_rgd (e);
  damage_fill (e->path, e->layout.gde[damaged_table (e)],
               e->layout.gt_sectors, 0xff);
}

static void
rgt_garbage (struct link *l)
{
  struct extent *e = damage_extent (l);

  damage_need_rgd (e);
  damage_fill (e->path, e->layout.rgde[damaged_table (e)],
               e->layout.gt_sectors, 0xff);
}

#define FILES(name, kinds, prepare, fn, what)                   \
  { name, OPEN, kinds, what, prepare, NULL, fn, 0, 0, 0 }

/* What needs a disk of one extent, or a descriptor in it. */
#define SINGLE(name, prepare, fn, what)                         \
  FILES (name, K (MONOLITHIC_SPARSE), prepare, fn, what)

#define KS KINDS_KDMV
#define KC (KINDS_KDMV | K (VMFS_SPARSE))
#define KA (KC | K (STREAM_OPTIMIZED))

const struct damage damage_tables[] = {
  FILES ("cut-grains", KC, in_order, cut_grains,
         "the file ends between two grains"),
  FILES ("stream-cut-behind-tables", K (STREAM_OPTIMIZED),
         tables_in_front, cut_grains,
         "the file ends between two grains, the tables are in front"),
  FILES ("cut-in-grain", KC, in_order, cut_in_grain,
         "the file ends in the middle of a grain"),
  SINGLE ("short-last-grain", odd_size, short_last_grain,
          "the file ends where the disk does, within the last grain"),
  FILES ("gde-past-end", KA, NULL, gde_past_end,
         "a grain directory entry behind the end of the file"),
  FILES ("gde-past-end-rgd-whole", KS, NULL, gde_past_end_rgd_whole,
         "the same in the primary directory only"),
  FILES ("gde-1", KA, NULL, gde_1, "a grain directory entry is 1"),
  FILES ("gde-0", KA, NULL, gde_0,
         "a grain directory entry is 0: nothing is allocated there"),
  FILES ("gte-past-end", KA, NULL, gte_past_end,
         "a grain table entry behind the end of the file"),
  FILES ("gte-past-end-rgd-whole", KS, NULL, gte_past_end_rgd_whole,
         "the same in the primary table only"),
  SINGLE ("gte-in-descriptor", NULL, gte_in_descriptor,
          "a grain table entry points into the descriptor"),
  FILES ("gte-in-gd", KC, NULL, gte_in_gd,
         "a grain table entry points at the grain directory"),
  FILES ("gte-in-gt", KC, NULL, gte_in_gt,
         "a grain table entry points at its own table"),
  FILES ("gte-in-rgt", KS, NULL, gte_in_rgt,
         "a grain table entry points at a redundant table"),
  FILES ("gte-in-gd-rgd-whole", KS, NULL, gte_in_gd_rgd_whole,
         "points at the grain directory in the primary table only"),
  FILES ("gte-1-without-flag", KA, NULL, gte_1_without_flag,
         "a grain table entry is 1, flag bit 2 is clear: zeros"),
  FILES ("gte-twice", KC, NULL, gte_twice,
         "two grain table entries for one grain of the file"),
  SINGLE ("gte-beyond-capacity", damage_roomy_size, gte_beyond_capacity,
          "garbage in an entry behind the end of the disk"),
  FILES ("gd-garbage", KA, NULL, gd_garbage,
         "both grain directories are garbage"),
  FILES ("gd-garbage-rgd-whole", KS, NULL, gd_garbage_rgd_whole,
         "the primary grain directory is garbage"),
  FILES ("rgd-garbage", KS, NULL, rgd_garbage,
         "the redundant grain directory is garbage"),
  FILES ("gt-garbage", KA, NULL, gt_garbage,
         "a grain table is garbage in both copies"),
  FILES ("gt-garbage-rgd-whole", KS, NULL, gt_garbage_rgd_whole,
         "a primary grain table is garbage"),
  FILES ("rgt-garbage", KS, NULL, rgt_garbage,
         "a redundant grain table is garbage"),
  { .name = NULL }
};
