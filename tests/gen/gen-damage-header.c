/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Damage to the header of a hosted sparse extent. */

#include <config.h>

#include "gen.h"

#define SEED_HEADER 0x68656164u

static void
empty (struct link *l)
{
  damage_cut (damage_extent (l)->path, 0);
}

static void
cut_in_header (struct link *l)
{
  damage_cut (damage_extent (l)->path, 300);
}

static void
cut_behind_header (struct link *l)
{
  damage_cut (damage_extent (l)->path, SECTOR);
}

/* In the middle of the primary grain directory and tables. */
static void
cut_in_tables (struct link *l)
{
  struct extent *e = damage_extent (l);

  damage_cut (e->path, e->layout.gd * SECTOR + SECTOR / 2);
}

static void
no_newline_test (struct link *l)
{
  struct extent *e = damage_extent (l);

  damage_patch (e->path, HDR_FLAGS, e->layout.rgd ? FLAG_RGD : 0, 1);
  damage_patch (e->path, HDR_NEWLINE, 0, 4);
}

static void
random_header (struct link *l)
{
  struct extent *e = damage_extent (l);
  uint64_t state = prng_hash (l->opt->seed, SEED_HEADER);
  uint64_t offset;

  for (offset = 4; offset < SECTOR; offset += 4)
    damage_patch (e->path, offset, prng (&state), 4);
}

/* A directory that cannot be used, and no other one. */
static void
only_directory (struct link *l, uint64_t gd)
{
  struct extent *e = damage_extent (l);

  damage_patch (e->path, HDR_FLAGS, FLAG_NEWLINE, 1);
  damage_patch (e->path, HDR_RGD, 0, 8);
  damage_patch (e->path, HDR_GD, gd, 8);
}

static void
gd_0 (struct link *l)
{
  only_directory (l, 0);
}

static void
gd_past_file (struct link *l)
{
  only_directory (l, UINT64_C (1) << 31);
}

static void
gd_huge (struct link *l)
{
  only_directory (l, UINT64_C (1) << 62);
}

static void
gd_past_file_rgd_whole (struct link *l)
{
  struct extent *e = damage_extent (l);

  damage_need_rgd (e);
  damage_patch (e->path, HDR_GD, UINT64_C (1) << 31, 8);
}

static void
rgd_past_file (struct link *l)
{
  struct extent *e = damage_extent (l);

  damage_need_rgd (e);
  damage_patch (e->path, HDR_RGD, UINT64_C (1) << 31, 8);
}

static void
rgd_huge (struct link *l)
{
  struct extent *e = damage_extent (l);

  damage_need_rgd (e);
  damage_patch (e->path, HDR_RGD, UINT64_MAX, 8);
}

static void
desc_garbage (struct link *l)
{
  struct extent *e = damage_extent (l);

  if (e->layout.desc == 0)
    die ("this damage needs an embedded descriptor");
  damage_fill (e->path, e->layout.desc, e->layout.desc_sectors, 0x96);
}

/* The capacity in the header against the number in the extent's line.
 * The line stays as it is.
 */

static void
patch_capacity (struct link *l, uint64_t capacity)
{
  damage_patch (damage_extent (l)->path, HDR_CAPACITY, capacity, 8);
}

/* The last grain is there, only not all of it is in the header. */
static void
line_larger (struct link *l)
{
  struct extent *e = damage_extent (l);

  if (e->sectors % e->grain == 1 || e->grain == 1)
    die ("this damage needs a larger last grain");
  patch_capacity (l, e->sectors - 1);
}

/* The last grain is not there. */
static void
line_larger_no_data (struct link *l)
{
  struct extent *e = damage_extent (l);
  struct layout *lay = &e->layout;
  uint64_t g = e->sectors / e->grain;

  if (e->sectors % e->grain == 0 || g == 0)
    die ("this damage needs an incomplete last grain");
  patch_capacity (l, g * e->grain);
  damage_patch (e->path, lay->gde[g / lay->gtes] * SECTOR +
                g % lay->gtes * 4, 0, 4);
  if (lay->rgd)
    damage_patch (e->path, lay->rgde[g / lay->gtes] * SECTOR +
                  g % lay->gtes * 4, 0, 4);
  damage_mark (l, e, g, RUN_ZERO);
}

static void
line_larger_much (struct link *l)
{
  struct extent *e = damage_extent (l);

  if (e->sectors <= e->grain * 2)
    die ("this damage needs a larger disk");
  patch_capacity (l, e->sectors - e->grain * 2);
}

/* The header counts a few grains more, but not another grain table. */
static void
line_smaller (struct link *l)
{
  struct extent *e = damage_extent (l);
  struct layout *lay = &e->layout;

  if (lay->ngrains % lay->gtes == 0)
    die ("this damage needs room in the last grain table");
  patch_capacity (l, (lay->ngrains + 1) * lay->grain);
}

#define FIELD(name, kinds, offset, size, value, what)                   \
  { name, REFUSE, kinds, what, NULL, NULL, NULL, offset, size, value }
#define FILES(name, verdict, kinds, fn, what)                   \
  { name, verdict, kinds, what, NULL, NULL, fn, 0, 0, 0 }
#define PREPARED(name, verdict, kinds, prepare, fn, what)       \
  { name, verdict, kinds, what, prepare, NULL, fn, 0, 0, 0 }

#define KS KINDS_KDMV
#define KA (KINDS_KDMV | K (STREAM_OPTIMIZED))
#define MS K (MONOLITHIC_SPARSE)

const struct damage damage_header[] = {
  FILES ("empty", REFUSE, KA, empty, "the file has no bytes"),
  FILES ("cut-in-header", REFUSE, KA, cut_in_header,
         "the file ends inside the header"),
  FILES ("cut-behind-header", REFUSE, KA, cut_behind_header,
         "the file is the header and no more"),
  FILES ("cut-in-tables", REFUSE, KS, cut_in_tables,
         "the file ends in the grain directory"),
  FIELD ("magic-unfinished", KA, 0, 4, 0x766d646b,
         "magic kdmv: the file was never finished"),
  FIELD ("magic-unknown", KA, 0, 4, 0x58585858, "magic XXXX"),
  FIELD ("newline-mangled", KA, HDR_NEWLINE, 4, 0x0a0a200a,
         "newline bytes show a text mode transfer"),
  FILES ("newline-unused", OPEN, KS, no_newline_test,
         "newline bytes are zero and so is their flag"),
  FIELD ("version-0", KA, HDR_VERSION, 4, 0, "version 0"),
  FIELD ("version-4", KA, HDR_VERSION, 4, 4, "version 4"),
  FIELD ("flag-incompatible", KA, HDR_FLAGS + 3, 1, 0x10,
         "unknown incompatible flag, bit 28"),
  { "flag-compatible", OPEN, KA, "unknown compatible flag, bit 8",
    NULL, NULL, NULL, HDR_FLAGS + 1, 1, 1 },
  FIELD ("flag-markers-only", KA, HDR_FLAGS + 2, 1, 2,
         "flag bit 17 without bit 16"),
  FIELD ("flag-compressed-only", KS, HDR_FLAGS + 2, 1, 1,
         "flag bit 16 without an algorithm"),
  FIELD ("algorithm-0", K (STREAM_OPTIMIZED), HDR_COMPRESS, 2, 0,
         "flag bits 16 and 17 without an algorithm"),
  FIELD ("algorithm-only", KS, HDR_COMPRESS, 2, 1,
         "an algorithm without flag bit 16"),
  FIELD ("algorithm-unknown", KA, HDR_COMPRESS, 2, 2,
         "compression algorithm 2"),
  FIELD ("grain-0", KA, HDR_GRAIN, 8, 0, "grain size 0"),
  FIELD ("grain-3", KA, HDR_GRAIN, 8, 3, "grain size 3"),
  FIELD ("grain-2^17", KA, HDR_GRAIN, 8, 1 << 17, "grain size 64 MiB"),
  FIELD ("grain-2^32", KA, HDR_GRAIN, 8, UINT64_C (1) << 32,
         "grain size 2^32, its low half is 0"),
  FIELD ("grain-ones", KA, HDR_GRAIN, 8, UINT64_MAX,
         "grain size all ones"),
  FIELD ("gtes-0", KA, HDR_GTES, 4, 0, "0 entries in a grain table"),
  FIELD ("gtes-3", KA, HDR_GTES, 4, 3, "3 entries in a grain table"),
  FIELD ("gtes-2^17", KA, HDR_GTES, 4, 1 << 17,
         "2^17 entries in a grain table"),
  FIELD ("gtes-ones", KA, HDR_GTES, 4, UINT32_MAX,
         "2^32 - 1 entries in a grain table"),
  FIELD ("capacity-0", KA, HDR_CAPACITY, 8, 0, "capacity 0"),
  FIELD ("capacity-2^55", KA, HDR_CAPACITY, 8, UINT64_C (1) << 55,
         "capacity 2^55: 2^64 bytes"),
  FIELD ("capacity-2^63", KA, HDR_CAPACITY, 8, UINT64_C (1) << 63,
         "capacity 2^63"),
  FIELD ("capacity-ones", KA, HDR_CAPACITY, 8, UINT64_MAX,
         "capacity all ones"),
  FILES ("gd-0", REFUSE, KS, gd_0, "grain directory at 0, no other"),
  FILES ("gd-past-file", REFUSE, KS, gd_past_file,
         "grain directory behind the end of the file, no other"),
  FILES ("gd-huge", REFUSE, KS, gd_huge,
         "grain directory at 2^62, no other"),
  FILES ("gd-past-file-rgd-whole", OPEN, KS, gd_past_file_rgd_whole,
         "grain directory behind the end, the redundant one is whole"),
  FILES ("rgd-past-file", OPEN, KS, rgd_past_file,
         "redundant grain directory behind the end of the file"),
  FILES ("rgd-huge", OPEN, KS, rgd_huge,
         "redundant grain directory at 2^64 - 1"),
  FIELD ("overhead-past-file", KS, HDR_OVERHEAD, 8, UINT64_C (1) << 31,
         "the first grain is behind the end of the file"),
  FIELD ("desc-past-file", MS | K (STREAM_OPTIMIZED), HDR_DESC, 8,
         UINT64_C (1) << 31, "descriptor behind the end of the file"),
  FIELD ("desc-huge", MS, HDR_DESC, 8, UINT64_MAX,
         "descriptor at 2^64 - 1"),
  FILES ("desc-garbage", REFUSE, MS | K (STREAM_OPTIMIZED),
         desc_garbage,
         "the descriptor is overwritten"),
  { "unclean", OPEN, KA, "was not closed cleanly", NULL, NULL, NULL,
    HDR_UNCLEAN, 1, 1 },
  { "pad-garbage", OPEN, KA, "the padding of the header is not zero",
    NULL, NULL, NULL, 100, 8, UINT64_MAX },
  FILES ("random-header", REFUSE, KS, random_header,
         "every field but the magic is random"),
  PREPARED ("line-larger", OPEN, MS, damage_odd_size, line_larger,
            "extent line 1 sector larger than the header, data are there"),
  PREPARED ("line-larger-no-data", OPEN, MS, damage_odd_size,
            line_larger_no_data,
            "extent line larger than the header, no grain for the rest"),
  FILES ("line-larger-much", REFUSE, KS, line_larger_much,
         "extent line 2 grains larger than the header"),
  PREPARED ("line-smaller", OPEN, MS, damage_roomy_size, line_smaller,
            "extent line smaller than the header"),
  { .name = NULL }
};
