/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "make.h"
#include "util.h"

#define DESCRIPTOR_SECTORS 20
#define MAX_EXTENTS 3

/* What operations of tests never write. */
#define FIRST_NUMBER 0xf0000000u

const struct kind make_kinds[] = {
  { .name = "sparse", .type = MAKE_HOSTED, .version = 1 },
  { .name = "sparse-zeroed", .type = MAKE_HOSTED, .version = 2,
    .zeroed = true },
  { .name = "sparse-v3", .type = MAKE_HOSTED, .version = 3 },
  { .name = "split", .type = MAKE_HOSTED, .version = 1, .split = true },
  { .name = "cowd-small", .type = MAKE_COWD, .small_grains = true },
  { .name = "cowd", .type = MAKE_COWD },
  { .name = "flat", .type = MAKE_FLAT },
  { .name = "split-flat", .type = MAKE_FLAT, .split = true },
  { .name = "child", .type = MAKE_HOSTED, .version = 1, .child = true },
  { .name = "child-zeroed", .type = MAKE_HOSTED, .version = 2,
    .zeroed = true, .child = true },
  { .name = "split-child", .type = MAKE_HOSTED, .version = 1, .split = true,
    .child = true },
  { .name = "cowd-child", .type = MAKE_COWD, .child = true },
  { .name = "cowd-small-child", .type = MAKE_COWD, .child = true,
    .small_grains = true },
};

const size_t nr_make_kinds = sizeof make_kinds / sizeof make_kinds[0];

/* A link being made. */
struct link {
  struct made *made;
  const struct kind *kind;
  uint64_t *random;
  const char *name;             /* without ".vmdk" */
  uint32_t number;              /* of its pattern */
  uint64_t sectors;
  uint64_t grain_size;          /* sectors */
  uint64_t entries;
  bool redundant, all_tables;
  unsigned fill;                /* grains of 16 that have data */
};

static bool
chance (struct link *l, uint64_t n)
{
  return random_below (l->random, n) == 0;
}

static struct disk_file *
new_file (struct disk *disk, const char *name)
{
  struct disk_file *f;

  disk->files =
    must_realloc (disk->files, (disk->nr + 1) * sizeof *disk->files);
  f = &disk->files[disk->nr++];
  *f = (struct disk_file) { .name = must_print ("%s", name) };
  return f;
}

/* Give a range of the disk new content, and the file the same. */
static void
write_data (struct link *l, struct disk_file *f, uint64_t place,
            uint64_t sector, uint64_t n)
{
  uint8_t *p = l->made->content + sector * SECTOR;

  if (n > l->sectors - sector)
    n = l->sectors - sector;
  fill_pattern (p, n * SECTOR, sector * SECTOR, l->number);
  file_write (f, p, n * SECTOR, place * SECTOR);
}

static void
write_entry (struct disk_file *f, uint64_t sector, uint64_t i, uint64_t value)
{
  uint8_t raw[4];

  put32 (raw, (uint32_t) value);
  file_write (f, raw, 4, sector * SECTOR + 4 * i);
}

static uint64_t
round_up (uint64_t n, uint64_t unit)
{
  return (n + unit - 1) / unit * unit;
}

/* Make a directory and its tables from sector *next on. */
static uint64_t
make_tables (const struct link *l, struct disk_file *f, uint64_t nr_tables,
             uint64_t missing, uint64_t *next, uint64_t *tables)
{
  const uint64_t directory = *next;
  uint64_t i;

  *next += (nr_tables * 4 + SECTOR - 1) / SECTOR;
  for (i = 0; i < nr_tables; ++i) {
    tables[i] = 0;
    if (missing >> i % 64 & 1)
      continue;
    tables[i] = *next;
    write_entry (f, directory, i, *next);
    *next += (l->entries * 4 + SECTOR - 1) / SECTOR;
  }
  return directory;
}

static void
make_hosted (struct link *l, const char *name, uint64_t start,
             uint64_t sectors, const char *descriptor)
{
  struct disk_file *f = new_file (&l->made->disk, name);
  const uint64_t grains = (sectors + l->grain_size - 1) / l->grain_size;
  const uint64_t nr_tables = (grains + l->entries - 1) / l->entries;
  const uint64_t missing = l->all_tables ? 0 : next_random (l->random);
  uint64_t *tables[2], directory[2] = { 0, 0 };
  uint64_t next = descriptor ? 1 + DESCRIPTOR_SECTORS : 1, g, zero_until = 0;
  uint8_t h[SECTOR] = "KDMV";

  tables[0] = must_alloc (nr_tables * sizeof **tables);
  tables[1] = must_alloc (nr_tables * sizeof **tables);
  if (l->redundant)
    directory[1] = make_tables (l, f, nr_tables, missing, &next, tables[1]);
  directory[0] = make_tables (l, f, nr_tables, missing, &next, tables[0]);
  next = round_up (next, l->grain_size);

  put32 (h + 4, l->kind->version);
  put32 (h + 8, 1 | (l->redundant ? 2 : 0) | (l->kind->zeroed ? 4 : 0));
  put64 (h + 12, sectors);
  put64 (h + 20, l->grain_size);
  put64 (h + 28, descriptor ? 1 : 0);
  put64 (h + 36, descriptor ? DESCRIPTOR_SECTORS : 0);
  put32 (h + 44, (uint32_t) l->entries);
  put64 (h + 48, directory[1]);
  put64 (h + 56, directory[0]);
  put64 (h + 64, next);
  memcpy (h + 73, "\n \r\n", 4);
  file_write (f, h, sizeof h, 0);
  if (descriptor)
    file_write (f, descriptor, strlen (descriptor), SECTOR);

  for (g = 0; g < grains; ++g) {
    const uint64_t table = g / l->entries, i = g % l->entries;
    const uint64_t first = start + g * l->grain_size;
    uint64_t value = 0;

    if (tables[0][table] == 0)
      continue;
    if (random_below (l->random, 16) < l->fill) {
      if (chance (l, 16))       /* room that nothing uses */
        next += l->grain_size;
      value = next;
      write_data (l, f, next, first, l->grain_size);
      next += l->grain_size;
    }
    else if (l->kind->zeroed && (g < zero_until || chance (l, 8))) {
      value = 1;
      zero_until = g + random_below (l->random, 8);
      memset (l->made->content + first * SECTOR, 0,
              (l->sectors - first < l->grain_size ? l->sectors - first :
               l->grain_size) * SECTOR);
    }
    write_entry (f, tables[0][table], i, value);
    if (l->redundant)
      write_entry (f, tables[1][table], i, value);
  }
  file_resize (f, next * SECTOR);
  free (tables[0]);
  free (tables[1]);
}

static void
make_cowd (struct link *l, const char *name)
{
  struct disk_file *f = new_file (&l->made->disk, name);
  const uint64_t grains = (l->sectors + l->grain_size - 1) / l->grain_size;
  const uint64_t nr_tables = (grains + 4095) / 4096;
  uint64_t next = 4 + (nr_tables * 4 + SECTOR - 1) / SECTOR, table = 0, g;
  uint8_t h[2048] = "COWD";

  for (g = 0; g < grains; ++g) {
    if (g % 4096 == 0)
      table = 0;
    if (random_below (l->random, 16) >= l->fill)
      continue;
    if (table == 0) {
      table = next;
      write_entry (f, 4, g / 4096, table);
      next += 32;
    }
    write_entry (f, table, g % 4096, next);
    write_data (l, f, next, g * l->grain_size, l->grain_size);
    next += l->grain_size;
  }
  put32 (h + 4, 1);
  put32 (h + 8, 3);
  put32 (h + 12, (uint32_t) l->sectors);
  put32 (h + 16, (uint32_t) l->grain_size);
  put32 (h + 20, 4);
  put32 (h + 24, (uint32_t) nr_tables);
  put32 (h + 28, (uint32_t) next);
  file_write (f, h, sizeof h, 0);

  /* ESX's files are longer than what they use. */
  file_resize (f, (next + random_below (l->random, 2) * 64) * SECTOR);
}

static void
make_flat (struct link *l, const char *name, uint64_t start,
           uint64_t sectors)
{
  struct disk_file *f = new_file (&l->made->disk, name);
  uint64_t s;

  for (s = 0; s + 16 <= sectors; s += 16)
    if (random_below (l->random, 16) < l->fill)
      write_data (l, f, s, start + s, 16);
  file_resize (f, sectors * SECTOR);
}

static const char *
create_type (const struct kind *kind)
{
  switch (kind->type) {
  case MAKE_HOSTED:
    return kind->split ? "twoGbMaxExtentSparse" : "monolithicSparse";
  case MAKE_COWD: return "vmfsSparse";
  default: return kind->split ? "twoGbMaxExtentFlat" : "monolithicFlat";
  }
}

static const char *
line_type (const struct kind *kind)
{
  return kind->type == MAKE_HOSTED ? "SPARSE" :
    kind->type == MAKE_COWD ? "VMFSSPARSE" : "FLAT";
}

static char *
join (char *a, char *b)
{
  char *s = must_print ("%s%s", a, b);

  free (a);
  free (b);
  return s;
}

static char *
describe (struct link *l, uint32_t cid, const char *parent,
          uint32_t parent_cid, const char *const *names,
          const uint64_t *lengths, size_t nr)
{
  char *text;
  size_t i;

  text = must_print ("# Disk DescriptorFile\nversion=1\nCID=%08" PRIx32 "\n"
                     "parentCID=%08" PRIx32 "\ncreateType=\"%s\"\n", cid,
                     parent_cid, create_type (l->kind));
  if (parent)
    text = join (text, must_print ("parentFileNameHint=\"%s.vmdk\"\n",
                                   parent));
  for (i = 0; i < nr; ++i)
    text = join (text, must_print ("RW %" PRIu64 " %s \"%s\"%s\n",
                                   lengths[i], line_type (l->kind), names[i],
                                   l->kind->type == MAKE_FLAT ? " 0" : ""));
  text = join (text, must_print ("\n#DDB\n\nddb.adapterType = \"lsilogic\"\n"
                                 "ddb.virtualHWVersion = \"4\"\n"));
  if (chance (l, 2))
    text = join (text, must_print ("ddb.longContentID = \"%024d%08" PRIx32
                                   "\"\n", 0, cid));
  return text;
}

/* Make a link over the content of those below. */
static uint32_t
make_link (struct link *l, const char *parent, uint32_t parent_cid)
{
  const size_t nr =
    l->kind->split ? 2 + random_below (l->random, MAX_EXTENTS - 1) : 1;
  const uint32_t cid =
    (uint32_t) next_random (l->random) >> 1 | UINT32_C (1);
  const bool embedded = l->kind->type == MAKE_HOSTED && !l->kind->split;
  uint64_t lengths[MAX_EXTENTS], start = 0;
  char *names[MAX_EXTENTS], *text;
  size_t i;

  for (i = 0; i < nr; ++i) {
    lengths[i] = i + 1 == nr ? l->sectors - start :
      l->sectors / nr / l->grain_size * l->grain_size;
    names[i] = embedded ? must_print ("%s.vmdk", l->name) :
      must_print ("%s-s%03zu.vmdk", l->name, i + 1);
    start += lengths[i];
  }
  text = describe (l, cid, parent, parent_cid, (const char *const *) names,
                   lengths, nr);
  start = 0;
  for (i = 0; i < nr; ++i) {
    if (l->kind->type == MAKE_HOSTED)
      make_hosted (l, names[i], start, lengths[i], embedded ? text : NULL);
    else if (l->kind->type == MAKE_COWD)
      make_cowd (l, names[i]);
    else
      make_flat (l, names[i], start, lengths[i]);
    start += lengths[i];
    free (names[i]);
  }
  if (!embedded) {
    char *name = must_print ("%s.vmdk", l->name);

    file_write (new_file (&l->made->disk, name), text, strlen (text), 0);
    free (name);
  }
  free (text);
  return cid;
}

/* Grains of 4 KiB, and sometimes the usual ones of 64 KiB. */
static void
choose_sizes (struct link *l)
{
  const bool big = chance (l, 8);

  l->grain_size = l->kind->small_grains ? 1 : big ? 128 : 8;
  l->sectors = big ? 8192 + random_below (l->random, 4096) :
    1024 + random_below (l->random, chance (l, 4) ? 5000 : 2048);
  if (chance (l, 2) && !l->kind->small_grains)
    l->sectors = round_up (l->sectors, l->grain_size);
}

void
make_image (const struct kind *kind, uint64_t seed, struct made *made)
{
  static const struct kind sparse = { .type = MAKE_HOSTED, .version = 1 };
  uint64_t random = mix (seed, 1);
  struct link top = { .made = made, .kind = kind, .random = &random,
                      .name = "top" };
  unsigned level, nr_parents = 0;
  uint32_t cid = UINT32_MAX;
  const char *below = NULL;

  choose_sizes (&top);
  *made = (struct made) {
    .size = top.sectors * SECTOR, .grain_size = top.grain_size * SECTOR,
  };
  made->content = must_alloc (made->size);
  if (kind->child)
    nr_parents = 1 + (unsigned) random_below (&random, 2);
  for (level = 0; level <= nr_parents; ++level) {
    struct link l = top;

    l.number = FIRST_NUMBER + level;
    l.fill = (unsigned) random_below (&random, 12);
    l.entries = chance (&l, 2) ? 512 : 128;
    l.redundant = !chance (&l, 4);
    l.all_tables = !chance (&l, 3);
    if (level < nr_parents) {
      l.kind = &sparse;
      l.name = level == 0 ? "base" : "middle";
      l.grain_size = chance (&l, 2) ? 8 : 32;
      l.fill = 4 + (unsigned) random_below (&random, 8);
      if (chance (&l, 4))       /* what lies behind it is zeroes */
        l.sectors -= random_below (&random, l.sectors / 4);
    }
    cid = make_link (&l, below, cid);
    memset (made->content + l.sectors * SECTOR, 0,
            (top.sectors - l.sectors) * SECTOR);
    below = l.name;
  }
}

void
make_free (struct made *made)
{
  disk_free (&made->disk);
  free (made->content);
}

uint32_t
find_cid (const struct disk *disk)
{
  char text[(1 + DESCRIPTOR_SECTORS) * SECTOR + 1];
  const char *cid;

  file_read (disk_find (disk, "top.vmdk"), text, sizeof text - 1, 0);
  text[sizeof text - 1] = '\0';
  cid = memmem (text, sizeof text, "\nCID=", 5);
  return cid ? (uint32_t) strtoul (cid + 5, NULL, 16) : 0;
}
