/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Damage: finding it by name, and what all kinds of it need. */

#include <config.h>

#include <stdio.h>
#include <string.h>

#include "gen.h"

static const struct damage *const tables[] = {
  damage_header, damage_tables, damage_text, damage_files, damage_stream,
  damage_esx, damage_chain
};
#define NR_TABLES (sizeof tables / sizeof tables[0])

const struct damage *
damage_find (const char *name, enum kind kind)
{
  bool known = false;
  size_t i;

  for (i = 0; i < NR_TABLES; i++) {
    const struct damage *d;

    for (d = tables[i]; d->name; d++)
      if (strcmp (d->name, name) == 0) {
        if (d->kinds & K (kind))
          return d;
        known = true;
      }
  }
  if (known)
    die ("damage '%s' does not go with %s", name, kind_names[kind]);
  die ("there is no damage '%s'; see --list-damage", name);
}

void
damage_list (void)
{
  size_t i;

  for (i = 0; i < NR_TABLES; i++) {
    const struct damage *d;

    for (d = tables[i]; d->name; d++) {
      const char *comma = "";
      unsigned k;

      printf ("%s\t%s\t", d->name, d->verdict == OPEN ? "open" : "refuse");
      for (k = 0; k < NR_KINDS; k++)
        if (d->kinds & K (k)) {
          printf ("%s%s", comma, kind_names[k]);
          comma = ",";
        }
      printf ("\t%s\n", d->what);
    }
  }
}

/* The first sparse extent. */
struct extent *
damage_extent (struct link *l)
{
  size_t i;

  for (i = 0; i < l->nr_extents; i++)
    if (l->extent[i].layout.gt)
      return &l->extent[i];
  die ("there is no sparse extent to damage");
}

void
damage_patch (const char *path, uint64_t offset, uint64_t value,
              unsigned size)
{
  uint8_t bytes[8];
  struct file f;

  put_le64 (bytes, value);
  file_open (&f, path);
  file_write (&f, bytes, size, offset);
  file_close (&f);
}

void
damage_fill (const char *path, uint64_t sector, uint64_t n, uint8_t byte)
{
  uint8_t buf[SECTOR];
  struct file f;

  memset (buf, byte, sizeof buf);
  file_open (&f, path);
  for (; n > 0; n--, sector++)
    file_write (&f, buf, sizeof buf, sector * SECTOR);
  file_close (&f);
}

void
damage_cut (const char *path, uint64_t bytes)
{
  struct file f;

  file_open (&f, path);
  if (file_size (&f) <= bytes)
    die ("%s is too short to be cut at %llu", path,
         (unsigned long long) bytes);
  file_truncate (&f, bytes);
  file_close (&f);
}

void
damage_mark (struct link *l, const struct extent *e, uint64_t g,
             enum run_type type)
{
  uint64_t start = g * e->grain;

  runs_set (&l->plan, e->start + start,
            min_u64 (e->grain, e->sectors - start), type);
}

uint64_t
damage_grain (const struct extent *e)
{
  const struct layout *lay = &e->layout;
  uint64_t middle = lay->ngrains / 2, g;

  for (g = middle; g < lay->ngrains; g++)
    if (layout_get (lay, g) > 1)
      return g;
  for (g = 0; g < middle; g++)
    if (layout_get (lay, g) > 1)
      return g;
  die ("there is no grain with data to damage");
}

void
damage_need_rgd (const struct extent *e)
{
  if (e->layout.rgd == 0)
    die ("this damage needs a redundant grain directory");
}

void
damage_roomy_size (struct options *opt)
{
  if (div_up (opt->size, opt->grain) % opt->gtes == 0)
    opt->size += opt->grain;
}

void
damage_odd_size (struct options *opt)
{
  if (opt->size % opt->grain == 0)
    opt->size += div_up (opt->grain, 2);
  opt->fill = FILL_FULL;
}

void
damage_apply (struct link *l)
{
  const struct damage *d = l->damage;

  if (d->size > 0)
    damage_patch (damage_extent (l)->path, d->offset, d->value, d->size);
  if (d->files)
    d->files (l);
}
