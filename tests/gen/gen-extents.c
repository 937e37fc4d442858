/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Which extents a link has, and what their files are called. */

#include <config.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gen.h"

const char *const extent_type_names[NR_EXTENT_TYPES] = {
  "SPARSE", "FLAT", "ZERO", "VMFS", "VMFSSPARSE", "SESPARSE", "VMFSRDM",
  "VMFSRAW"
};

const char *const access_names[3] = { "RW", "RDONLY", "NOACCESS" };

/* The letter or word in the name of a file, by type. */
static const char *const suffixes[NR_EXTENT_TYPES] = {
  "s", "f", NULL, "flat", "delta", "sesparse", "rdm", "raw"
};

/* A page, so that the map of a flat file is exact. */
#define FLAT_UNIT 8

static struct extent *
add_extent (struct link *l, enum extent_type type, uint64_t sectors)
{
  struct extent *e;

  l->extent = xreallocarray (l->extent, l->nr_extents + 1,
                             sizeof l->extent[0]);
  e = &l->extent[l->nr_extents++];
  *e = (struct extent) {
    .type = type,
    .access = RW,
    .start = l->sectors,
    .sectors = sectors,
    .grain = type == EXT_SESPARSE ? 8 : l->opt->grain,
    .first_line = true,
  };
  if (extent_is_flat (e) && e->grain < FLAT_UNIT)
    e->grain = FLAT_UNIT;
  if (type == EXT_FLAT)
    e->offset = l->opt->flat_offset;
  /* Most writers of streams say so, although it means little there. */
  if (l->opt->kind == STREAM_OPTIMIZED && !dialect_is (l->opt, "qemu"))
    e->access = RDONLY;
  l->sectors += sectors;
  return e;
}

static void
set_name (struct link *l, struct extent *e, char *name)
{
  e->name = name;
  e->path = xasprintf ("%s/%s", l->dir, name);
}

/* Extents of one type, none larger than the maximum. */
static void
split (struct link *l, enum extent_type type)
{
  uint64_t left = l->opt->size;

  while (left > 0) {
    uint64_t n = min_u64 (left, l->opt->extent_size);
    struct extent *e = add_extent (l, type, n);

    set_name (l, e, xasprintf ("%s-%s%03zu.vmdk", l->base, suffixes[type],
                               l->nr_extents));
    left -= n;
  }
}

/* All flat extents in one file, the last one first. */
static void
share_file (struct link *l)
{
  uint64_t offset = l->opt->flat_offset;
  struct extent *first = NULL;
  size_t i;

  for (i = l->nr_extents; i-- > 0; ) {
    struct extent *e = &l->extent[i];

    if (e->type != EXT_FLAT)
      continue;
    free (e->name);
    free (e->path);
    set_name (l, e, xasprintf ("%s-f001.vmdk", l->base));
    e->offset = offset;
    e->first_line = false;
    offset += e->sectors;
    first = e;
  }
  if (first)
    first->first_line = true;
}

static uint64_t
parse_number (const char *s, char **end)
{
  static const struct { char letter; uint64_t sectors; } units[] = {
    { 's', 1 }, { 'K', 2 }, { 'M', 2048 }, { 'G', 2048 * 1024 },
    { 'T', UINT64_C (2048) * 1024 * 1024 }
  };
  uint64_t n = strtoull (s, end, 10);
  size_t i;

  if (*s < '0' || *s > '9')
    die ("'%s' is not a size", s);
  for (i = 0; i < sizeof units / sizeof units[0]; i++)
    if (**end == units[i].letter) {
      if (n > (UINT64_C (1) << 54) / units[i].sectors)
        die ("'%s' is more than 2^54 sectors", s);
      ++*end;
      return n * units[i].sectors;
    }
  if (n % SECTOR != 0)
    die ("%s: not a whole number of sectors", s);
  return n / SECTOR;
}

uint64_t
parse_size (const char *what, const char *s)
{
  char *end;
  uint64_t n = parse_number (s, &end);

  if (*end != '\0')
    die ("%s: '%s' is not a size", what, s);
  return n;
}

/* One of NAMES, and what follows it. */
static size_t
parse_word (const char *const names[], size_t n, const char **s)
{
  size_t len = strcspn (*s, ":/"), i;

  for (i = 0; i < n; i++)
    if (strlen (names[i]) == len && strncasecmp (names[i], *s, len) == 0) {
      *s += len;
      return i;
    }
  die ("--extents: '%s' begins with an unknown word", *s);
}

/* TYPE[/ACCESS]:SIZE[:GRAIN] */
static void
custom_extent (struct link *l, const char *s)
{
  enum access access = RW;
  enum extent_type type;
  struct extent *e;
  uint64_t sectors;
  char *end;

  type = (enum extent_type) parse_word (extent_type_names, NR_EXTENT_TYPES,
                                        &s);
  if (*s == '/') {
    s++;
    access = (enum access) parse_word (access_names, 3, &s);
  }
  if (*s != ':')
    die ("--extents: a size is missing at '%s'", s);
  sectors = parse_number (s + 1, &end);
  if (sectors == 0)
    die ("--extents: the size in '%s' is zero", s);
  e = add_extent (l, type, sectors);
  e->access = access;
  if (*end == ':')
    e->grain = strtoull (end + 1, &end, 10);
  if (*end != '\0' || e->grain == 0 || e->grain > 65536 ||
      (e->grain & (e->grain - 1)))
    die ("--extents: cannot understand '%s'", s);
  if (type == EXT_SESPARSE && e->grain != 8)
    die ("--extents: a seSparse grain has 8 sectors");
  if (extent_is_flat (e) && e->grain < FLAT_UNIT)
    e->grain = FLAT_UNIT;
  if (type != EXT_ZERO)
    set_name (l, e, xasprintf ("%s-%s%03zu.vmdk", l->base, suffixes[type],
                               l->nr_extents));
}

static void
custom (struct link *l)
{
  char *copy = xstrdup (l->opt->extents), *rest = copy, *s;

  while ((s = strsep (&rest, ",")) != NULL)
    custom_extent (l, s);
  free (copy);
}

static void
single (struct link *l, enum extent_type type, char *name)
{
  set_name (l, add_extent (l, type, l->opt->size), name);
}

/* The extent is the file to open, whatever the descriptor calls it. */
static void
single_file (struct link *l, enum extent_type type)
{
  single (l, type, xasprintf ("%s.vmdk", l->base));
  free (l->extent[0].path);
  l->extent[0].path = xstrdup (l->path);
}

void
extents_place (struct link *l)
{
  switch (l->opt->kind) {
  case MONOLITHIC_SPARSE:
    if (l->opt->separate_descriptor)
      single (l, EXT_SPARSE, xasprintf ("%s-s001.vmdk", l->base));
    else
      single_file (l, EXT_SPARSE);
    break;
  case STREAM_OPTIMIZED:
    single_file (l, EXT_SPARSE);
    break;
  case TWO_GB_SPARSE:
    split (l, EXT_SPARSE);
    break;
  case MONOLITHIC_FLAT:
    single (l, EXT_FLAT, xasprintf ("%s-flat.vmdk", l->base));
    break;
  case TWO_GB_FLAT:
    split (l, EXT_FLAT);
    break;
  case VMFS:
    single (l, EXT_VMFS, xasprintf ("%s-flat.vmdk", l->base));
    break;
  case VMFS_SPARSE:
    if (l->opt->bare)
      single_file (l, EXT_VMFSSPARSE);
    else
      single (l, EXT_VMFSSPARSE, xasprintf ("%s-delta.vmdk", l->base));
    break;
  case SE_SPARSE:
    if (l->opt->bare)
      single_file (l, EXT_SESPARSE);
    else
      single (l, EXT_SESPARSE, xasprintf ("%s-sesparse.vmdk", l->base));
    break;
  case CUSTOM:
    custom (l);
    break;
  }
  if (l->opt->one_file)
    share_file (l);
}

void
extents_free (struct link *l)
{
  size_t i;

  for (i = 0; i < l->nr_extents; i++) {
    free (l->extent[i].name);
    free (l->extent[i].path);
    if (l->extent[i].layout.gt)
      layout_free (&l->extent[i].layout);
  }
  free (l->extent);
}
