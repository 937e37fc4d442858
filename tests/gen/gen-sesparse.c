/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* seSparse extents.  Nobody outside VMware knows all of this format;
 * what a reader looks at is known.
 */

#include <config.h>

#include <stdlib.h>

#include "gen.h"

#define GTES 4096
#define GT_SECTORS 64
#define ALIGN 2048              /* of all the larger regions */

#define SEED_UNMAPPED 0x756e6d6170u

/* Bits 63 to 60 of a grain table entry. */
#define TYPE_UNMAPPED UINT64_C (1)
#define TYPE_ZERO UINT64_C (2)
#define TYPE_ALLOCATED UINT64_C (3)

struct region {
  uint64_t offset;
  uint64_t size;
};

struct regions {
  struct region gd, gts, bitmap, back_map, grains;
};

static struct region
next_region (const struct region *before, uint64_t bytes)
{
  struct region r = { .offset = before->offset + before->size };

  r.size = round_up (div_up (bytes, SECTOR), ALIGN);
  return r;
}

static void
place_regions (const struct layout *lay, uint64_t capacity,
               struct regions *r)
{
  const struct region journal = { .offset = 2048, .size = 2048 };

  r->gd = next_region (&journal, lay->ngts * 8);
  r->gts = next_region (&r->gd, lay->ngts * GT_SECTORS * SECTOR);
  r->bitmap = next_region (&r->gts, div_up (lay->ngrains, 8));
  r->back_map = next_region (&r->bitmap, lay->ngrains * 8);
  r->grains.offset = r->back_map.offset + r->back_map.size;
  r->grains.size = round_up (capacity, lay->grain);
}

static void
write_headers (struct file *f, const struct layout *lay, uint64_t capacity,
               const struct regions *r, uint64_t free_gt)
{
  const uint64_t constant[] = {
    0xcafebabe, UINT64_C (0x200000001), capacity, lay->grain, GT_SECTORS,
    0, 0, 0, 0, 0,              /* flags, reserved */
    1, 1,                       /* volatile header */
    2, 2,                       /* journal header */
    2048, 2048,                 /* journal */
    r->gd.offset, r->gd.size, r->gts.offset, r->gts.size,
    r->bitmap.offset, r->bitmap.size, r->back_map.offset, r->back_map.size,
    r->grains.offset, r->grains.size
  };
  uint8_t h[2 * SECTOR] = { 0 };
  size_t i;

  for (i = 0; i < sizeof constant / sizeof constant[0]; i++)
    put_le64 (h + i * 8, constant[i]);
  put_le64 (h + SECTOR, 0xcafecafe);
  put_le64 (h + SECTOR + 8, free_gt);
  file_write (f, h, sizeof h, 0);
}

/* The low 12 bits of the index are above the others. */
uint64_t
sesparse_entry (uint64_t index)
{
  return TYPE_ALLOCATED << 60 | (index & 0xfff) << 48 | index >> 12;
}

uint64_t
sesparse_index (uint64_t entry)
{
  return ((entry >> 48) & 0xfff) | (entry & UINT64_C (0xffffffffffff)) << 12;
}

/* A guest's unmap leaves the old index in the entry. */
static uint64_t
zero_entry (uint64_t seed, uint64_t g)
{
  uint64_t state = prng_hash (seed ^ SEED_UNMAPPED, g);

  switch (prng_below (&state, 3)) {
  case 0:
    return TYPE_UNMAPPED << 60;
  case 1:
    return TYPE_UNMAPPED << 60 | (sesparse_entry (g) & ~(UINT64_C (15) << 60));
  default:
    return TYPE_ZERO << 60;
  }
}

/* The places in the grain area, in random order. */
static struct grains
shuffled_places (const struct options *opt, const struct layout *lay)
{
  struct grains all = { .n = lay->ngrains };
  size_t i;

  all.grain = xcalloc (all.n, sizeof all.grain[0]);
  for (i = 0; i < all.n; i++)
    all.grain[i].number = i;
  grains_shuffle (&all, prng_hash (opt->seed, 1));
  return all;
}

struct writer {
  const struct link *l;
  struct extent *e;
  struct file f;
  struct regions r;
  struct grains place;          /* empty: one after the other */
  uint64_t used;                /* grains */
  uint64_t gts;
  uint8_t *bitmap;
};

static void
write_grain (struct writer *w, const struct grain *grain, uint8_t *buf)
{
  struct extent *e = w->e;
  struct layout *lay = &e->layout;
  uint64_t g = grain->number, gt = g / GTES, index;

  /* Tables are numbered in the order of their first use. */
  if (lay->gde[gt] == 0)
    lay->gde[gt] = UINT64_C (0x10000000) << 32 | w->gts++;
  if (grain->zero) {
    layout_set (lay, g, zero_entry (w->l->opt->seed, g));
    return;
  }
  index = w->place.n ? w->place.grain[w->used].number : w->used;
  w->used++;
  layout_set (lay, g, sesparse_entry (index));
  plan_fill (w->l, e, e->start + g * e->grain, e->grain, 0xee, buf);
  file_write (&w->f, buf, (size_t) e->grain * SECTOR,
              (w->r.grains.offset + index * e->grain) * SECTOR);
}

/* A grain table, and its grains in the free bitmap and the back map;
 * what these two hold is a best guess.
 */
static void
write_gt (struct writer *w, const uint64_t *gt, uint64_t number)
{
  uint8_t *buf = xcalloc (GTES, 8), owner[8];
  uint64_t i, index;

  for (i = 0; i < GTES; i++)
    put_le64 (buf + i * 8, gt[i]);
  file_write (&w->f, buf, GTES * 8,
              (w->r.gts.offset + number * GT_SECTORS) * SECTOR);
  free (buf);

  put_le64 (owner, number);
  for (i = 0; i < GTES; i++)
    if (gt[i] >> 60 == TYPE_ALLOCATED) {
      index = sesparse_index (gt[i]);
      w->bitmap[index / 8] = (uint8_t) (w->bitmap[index / 8] |
                                        1u << index % 8);
      file_write (&w->f, owner, 8,
                  w->r.back_map.offset * SECTOR + index * 8);
    }
}

static void
write_tables (struct writer *w)
{
  const struct layout *lay = &w->e->layout;
  uint8_t gde[8];
  uint64_t i;

  w->bitmap = xcalloc (div_up (lay->ngrains, 8), 1);
  for (i = 0; i < lay->ngts; i++) {
    if (lay->gde[i] == 0)
      continue;
    put_le64 (gde, lay->gde[i]);
    file_write (&w->f, gde, 8, w->r.gd.offset * SECTOR + i * 8);
    write_gt (w, lay->gt[i], lay->gde[i] & UINT32_MAX);
  }
  for (i = 0; i < div_up (lay->ngrains, 8); i++)
    if (w->bitmap[i])
      file_write (&w->f, &w->bitmap[i], 1, w->r.bitmap.offset * SECTOR + i);
  free (w->bitmap);
}

void
sesparse_write (struct link *l, struct extent *e)
{
  struct layout *lay = &e->layout;
  struct writer w = { .l = l, .e = e };
  struct grains gs = plan_grains (l, e);
  uint8_t *buf = xcalloc (e->grain, SECTOR);
  size_t i;

  layout_init (lay, e->sectors, e->grain, GTES);
  place_regions (lay, e->sectors, &w.r);
  lay->gd = w.r.gd.offset;
  lay->first_gt = w.r.gts.offset;
  lay->overhead = w.r.grains.offset;
  if (l->opt->shuffle) {
    w.place = shuffled_places (l->opt, lay);
    grains_shuffle (&gs, l->opt->seed);
  }

  file_create (&w.f, e->path);
  file_truncate (&w.f, (w.r.grains.offset + w.r.grains.size) * SECTOR);
  for (i = 0; i < gs.n; i++)
    write_grain (&w, &gs.grain[i], buf);
  write_tables (&w);
  write_headers (&w.f, lay, e->sectors, &w.r, w.gts);
  file_close (&w.f);

  free (w.place.grain);
  free (gs.grain);
  free (buf);
}
