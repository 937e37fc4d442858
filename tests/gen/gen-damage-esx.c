/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Damage to COWD and seSparse extents. */

#include <config.h>

#include "gen.h"

#define SE_CAPACITY 16
#define SE_GRAIN 24
#define SE_GT_SIZE 32
#define SE_FLAGS 40
#define SE_GD 128
#define SE_GD_SIZE 136
#define SE_GTS 144
#define SE_GTS_SIZE 152
#define SE_GRAINS 192
#define SE_GRAINS_SIZE 200
#define SE_PADDING 208
#define SE_VOLATILE SECTOR
#define SE_REPLAY (SECTOR + 24)
#define SE_VOLATILE_PADDING (SECTOR + 504)

/* COWD. */

static void
cowd_magic (struct link *l)
{
  damage_patch (damage_extent (l)->path, 0, 0x58585858, 4);
}

static void
cowd_gdes_too_few (struct link *l)
{
  const struct extent *e = damage_extent (l);

  damage_patch (e->path, COWD_GDES, e->layout.ngts - 1, 4);
}

static void
cowd_line_larger_much (struct link *l)
{
  const struct extent *e = damage_extent (l);

  if (e->sectors <= e->grain * 2)
    die ("this damage needs a larger disk");
  damage_patch (e->path, COWD_SECTORS, e->sectors - e->grain * 2, 4);
}

static void
cowd_gde_in_header (struct link *l)
{
  const struct extent *e = damage_extent (l);
  uint64_t i = damage_grain (e) / e->layout.gtes;
  uint64_t span = e->layout.gtes * e->grain;

  damage_patch (e->path, e->layout.gd * SECTOR + i * 4, 2, 4);
  runs_set (&l->plan, e->start + i * span,
            min_u64 (span, e->sectors - i * span), RUN_ERROR);
}

static void
cowd_gte_in_header (struct link *l)
{
  const struct extent *e = damage_extent (l);
  uint64_t g = damage_grain (e);

  damage_patch (e->path, e->layout.gde[g / e->layout.gtes] * SECTOR +
                g % e->layout.gtes * 4, 3, 4);
  damage_mark (l, e, g, RUN_ERROR);
}

/* ESXi preallocates. */
static void
cowd_longer (struct link *l)
{
  struct file f;

  file_open (&f, damage_extent (l)->path);
  file_truncate (&f, file_size (&f) + 1024 * 1024);
  file_close (&f);
}

/* seSparse. */

static void
se_capacity_small (struct link *l)
{
  const struct extent *e = damage_extent (l);

  if (e->sectors <= 32)
    die ("this damage needs a larger disk");
  damage_patch (e->path, SE_CAPACITY, e->sectors - 16, 8);
}

static void
se_overlap (struct link *l)
{
  const struct extent *e = damage_extent (l);

  damage_patch (e->path, SE_GRAINS, e->layout.first_gt, 8);
}

static void
se_cut_in_headers (struct link *l)
{
  damage_cut (damage_extent (l)->path, SECTOR);
}

/* A grain that is allocated, about in the middle. */
static uint64_t
se_grain (const struct extent *e)
{
  const struct layout *lay = &e->layout;
  uint64_t i, g;

  for (i = 0; i < lay->ngrains; i++) {
    g = (lay->ngrains / 2 + i) % lay->ngrains;
    if (layout_get (lay, g) >> 60 == 3)
      return g;
  }
  die ("there is no grain with data to damage");
}

/* Where the entry of grain G is in the file. */
static uint64_t
se_entry_offset (const struct extent *e, uint64_t g)
{
  const struct layout *lay = &e->layout;
  uint64_t number = lay->gde[g / lay->gtes] & UINT32_MAX;

  return (lay->first_gt + number * 64) * SECTOR + g % lay->gtes * 8;
}

static void
se_set_entry (struct link *l, uint64_t entry)
{
  const struct extent *e = damage_extent (l);
  uint64_t g = se_grain (e);

  damage_patch (e->path, se_entry_offset (e, g), entry, 8);
  damage_mark (l, e, g, RUN_ERROR);
}

static void
se_type_unknown (struct link *l)
{
  se_set_entry (l, UINT64_C (0x5000000000000001));
}

static void
se_type_0_with_index (struct link *l)
{
  se_set_entry (l, 1);
}

/* The first index that is not in the grain area. */
static void
se_index_past_end (struct link *l)
{
  se_set_entry (l, sesparse_entry (damage_extent (l)->layout.ngrains));
}

static void
se_index_huge (struct link *l)
{
  se_set_entry (l, UINT64_C (0x3fffffffffffffff));
}

static void
se_set_gde (struct link *l, uint64_t value)
{
  const struct extent *e = damage_extent (l);
  uint64_t i = se_grain (e) / e->layout.gtes;
  uint64_t span = e->layout.gtes * e->grain;

  damage_patch (e->path, e->layout.gd * SECTOR + i * 8, value, 8);
  runs_set (&l->plan, e->start + i * span,
            min_u64 (span, e->sectors - i * span), RUN_ERROR);
}

static void
se_gde_unknown (struct link *l)
{
  se_set_gde (l, UINT64_C (0x2000000000000000));
}

static void
se_gde_past_end (struct link *l)
{
  se_set_gde (l, UINT64_C (0x10000000ffffffff));
}

static void
in_order (struct options *opt)
{
  opt->shuffle = false;
}

static void
se_cut_grains (struct link *l)
{
  const struct extent *e = damage_extent (l);
  const struct layout *lay = &e->layout;
  uint64_t first = sesparse_index (layout_get (lay, se_grain (e))), g;
  struct runs lost = { .n = 0 };

  damage_cut (e->path, (lay->overhead + first * e->grain) * SECTOR);
  runs_append (&lost, e->start, RUN_HOLE);
  for (g = 0; g < lay->ngrains; g++) {
    uint64_t entry = layout_get (lay, g);

    runs_append (&lost, min_u64 (e->grain, e->sectors - g * e->grain),
                 entry >> 60 == 3 && sesparse_index (entry) >= first
                 ? RUN_ERROR : RUN_HOLE);
  }
  runs_resize (&lost, l->sectors);
  runs_overlay (&l->plan, &lost);
  runs_free (&lost);
}

#define COWD_FIELD(name, offset, value, what)                           \
  { name, REFUSE, K (VMFS_SPARSE), what, NULL, NULL, NULL, offset, 4, value }
#define COWD_FILES(name, verdict, fn, what)                             \
  { name, verdict, K (VMFS_SPARSE), what, NULL, NULL, fn, 0, 0, 0 }
#define SE_FIELD(name, offset, value, what)                             \
  { name, REFUSE, K (SE_SPARSE), what, NULL, NULL, NULL, offset, 8, value }
#define SE_FILES(name, verdict, prepare, fn, what)                      \
  { name, verdict, K (SE_SPARSE), what, prepare, NULL, fn, 0, 0, 0 }

const struct damage damage_esx[] = {
  COWD_FILES ("cowd-magic", REFUSE, cowd_magic, "magic XXXX"),
  COWD_FIELD ("cowd-version-0", COWD_VERSION, 0, "version 0"),
  COWD_FIELD ("cowd-version-4", COWD_VERSION, 4, "version 4"),
  COWD_FIELD ("cowd-grain-0", COWD_GRAIN, 0, "grain size 0"),
  COWD_FIELD ("cowd-grain-3", COWD_GRAIN, 3, "grain size 3"),
  COWD_FIELD ("cowd-grain-ones", COWD_GRAIN, UINT32_MAX,
              "grain size all ones"),
  COWD_FIELD ("cowd-sectors-0", COWD_SECTORS, 0, "capacity 0"),
  COWD_FIELD ("cowd-gdes-0", COWD_GDES, 0, "no grain directory entries"),
  COWD_FILES ("cowd-gdes-too-few", REFUSE, cowd_gdes_too_few,
              "a grain directory entry too few"),
  COWD_FIELD ("cowd-gdes-ones", COWD_GDES, UINT32_MAX,
              "2^32 - 1 grain directory entries"),
  COWD_FIELD ("cowd-gd-0", COWD_GD, 0, "grain directory in the header"),
  COWD_FIELD ("cowd-gd-past-file", COWD_GD, 0xf0000000,
              "grain directory behind the end of the file"),
  COWD_FILES ("cowd-line-larger-much", REFUSE, cowd_line_larger_much,
              "extent line 2 grains larger than the header"),
  COWD_FILES ("cowd-gde-in-header", OPEN, cowd_gde_in_header,
              "a grain directory entry points into the header"),
  COWD_FILES ("cowd-gte-in-header", OPEN, cowd_gte_in_header,
              "a grain table entry points into the header"),
  { "cowd-free-sector-stale", OPEN, K (VMFS_SPARSE),
    "freeSector is lower than sectors in use", NULL, NULL, NULL, COWD_FREE,
    4, 5 },
  COWD_FILES ("cowd-longer", OPEN, cowd_longer,
              "the file is longer than freeSector says"),

  SE_FIELD ("sesparse-magic", 0, 0x5858585858585858, "magic XXXXXXXX"),
  SE_FILES ("sesparse-cut-in-headers", REFUSE, NULL, se_cut_in_headers,
            "the file ends behind the first header"),
  SE_FIELD ("sesparse-version", 8, UINT64_C (0x300000001),
            "version 3.1"),
  SE_FIELD ("sesparse-capacity-0", SE_CAPACITY, 0, "capacity 0"),
  SE_FIELD ("sesparse-capacity-ones", SE_CAPACITY, UINT64_MAX,
            "capacity all ones"),
  SE_FILES ("sesparse-line-larger-much", REFUSE, NULL, se_capacity_small,
            "extent line 2 grains larger than the header"),
  SE_FIELD ("sesparse-grain-16", SE_GRAIN, 16, "grain size 16"),
  SE_FIELD ("sesparse-gt-size-128", SE_GT_SIZE, 128,
            "grain tables of 128 sectors"),
  SE_FIELD ("sesparse-flags", SE_FLAGS, 1, "unknown flags"),
  SE_FIELD ("sesparse-padding", SE_PADDING, 1,
            "something behind the fields of the header"),
  SE_FIELD ("sesparse-gd-past-file", SE_GD, UINT64_C (1) << 40,
            "grain directory behind the end of the file"),
  SE_FIELD ("sesparse-gd-huge", SE_GD, UINT64_MAX,
            "grain directory at 2^64 - 1"),
  SE_FIELD ("sesparse-gd-size-0", SE_GD_SIZE, 0,
            "grain directory of 0 sectors"),
  SE_FIELD ("sesparse-gts-huge", SE_GTS, UINT64_C (1) << 63,
            "grain tables at 2^63"),
  SE_FIELD ("sesparse-gts-size-huge", SE_GTS_SIZE, UINT64_MAX,
            "grain tables of 2^64 - 1 sectors"),
  SE_FIELD ("sesparse-grains-huge", SE_GRAINS, UINT64_C (1) << 63,
            "grains at 2^63"),
  SE_FIELD ("sesparse-grains-size-huge", SE_GRAINS_SIZE, UINT64_MAX,
            "grains of 2^64 - 1 sectors"),
  SE_FILES ("sesparse-overlap", REFUSE, NULL, se_overlap,
            "grains where the grain tables are"),
  SE_FIELD ("sesparse-volatile-magic", SE_VOLATILE, 0x58585858,
            "the volatile header has another magic"),
  SE_FIELD ("sesparse-journal", SE_REPLAY, 1,
            "the journal must be replayed"),
  SE_FIELD ("sesparse-volatile-padding", SE_VOLATILE_PADDING, 1,
            "something behind the fields of the volatile header"),
  SE_FILES ("sesparse-type-unknown", OPEN, NULL, se_type_unknown,
            "a grain table entry of type 5"),
  SE_FILES ("sesparse-type-0-with-index", OPEN, NULL, se_type_0_with_index,
            "a grain table entry of type 0 that is not 0"),
  SE_FILES ("sesparse-index-past-end", OPEN, NULL, se_index_past_end,
            "a grain index one behind the end of the grains"),
  SE_FILES ("sesparse-index-huge", OPEN, NULL, se_index_huge,
            "a grain index of 2^60 - 1"),
  SE_FILES ("sesparse-gde-unknown", OPEN, NULL, se_gde_unknown,
            "a grain directory entry of type 2"),
  SE_FILES ("sesparse-gde-past-end", OPEN, NULL, se_gde_past_end,
            "a grain directory entry behind the end of the tables"),
  SE_FILES ("sesparse-cut-grains", OPEN, in_order, se_cut_grains,
            "the file ends between two grains"),
  { .name = NULL }
};
