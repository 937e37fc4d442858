/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tables.h"
#include "util.h"

/* What both kinds of header say. */
struct sparse {
  const struct disk_file *f;
  bool cowd;
  uint64_t capacity, grain_size; /* sectors */
  uint64_t entries;             /* of a table */
  uint64_t nr_grains, nr_tables;
  unsigned nr_copies;
  uint64_t directory[2];        /* sectors */
  uint64_t header_end;          /* of header and descriptor */
  bool zeroed;                  /* entries may be 1 */
  bool unclean;
  uint32_t free_sector;         /* of a COWD */
  uint8_t *uses;                /* of each sector */
  char *problem;                /* the first */
};

enum use { USE_NONE, USE_METADATA, USE_GRAIN };

static bool
load_header (const struct disk_file *f, struct sparse *s)
{
  uint8_t h[2048];

  *s = (struct sparse) { .f = f };
  file_read (f, h, sizeof h, 0);
  if (memcmp (h, "KDMV", 4) == 0) {
    const uint32_t flags = get32 (h + 8);

    s->capacity = get64 (h + 12);
    s->grain_size = get64 (h + 20);
    s->header_end = get64 (h + 28) ? get64 (h + 28) + get64 (h + 36) : 1;
    s->entries = get32 (h + 44);
    s->directory[s->nr_copies++] = get64 (h + 56);
    if (flags & 2)
      s->directory[s->nr_copies++] = get64 (h + 48);
    s->zeroed = flags & 4;
    s->unclean = h[72];
  }
  else if (memcmp (h, "COWD", 4) == 0) {
    s->cowd = true;
    s->capacity = get32 (h + 12);
    s->grain_size = get32 (h + 16);
    s->header_end = 4;
    s->entries = 4096;
    s->directory[s->nr_copies++] = get32 (h + 20);
    s->free_sector = get32 (h + 28);
    s->unclean = get32 (h + 1648);
  }
  else
    return false;
  s->nr_grains = (s->capacity + s->grain_size - 1) / s->grain_size;
  s->nr_tables = (s->nr_grains + s->entries - 1) / s->entries;
  return true;
}

#define PROBLEM(s, ...)                                 \
  do {                                                  \
    if (!(s)->problem)                                  \
      (s)->problem = must_print (__VA_ARGS__);          \
  } while (0)

static void
use (struct sparse *s, enum use what, const char *name, uint64_t number,
     uint64_t sector, uint64_t n)
{
  const uint64_t size = (s->f->size + SECTOR - 1) / SECTOR;
  uint64_t i;

  for (i = sector; i < sector + n; ++i) {
    if (i >= size) {
      PROBLEM (s, "%s %" PRIu64 " at sector %" PRIu64 " is not inside the "
               "file of %" PRIu64 " sectors", name, number, sector, size);
      return;
    }
    if (s->uses[i])
      PROBLEM (s, "%s %" PRIu64 " at sector %" PRIu64 " overlaps a %s",
               name, number, sector,
               s->uses[i] == USE_GRAIN ? "grain" : "table");
    s->uses[i] = (uint8_t) what;
  }
  if (s->cowd && sector + n > s->free_sector)
    PROBLEM (s, "%s %" PRIu64 " at sector %" PRIu64 " is behind the free "
             "sector %" PRIu32, name, number, sector, s->free_sector);
}

static uint32_t
entry (const struct sparse *s, uint64_t sector, uint64_t i)
{
  uint8_t raw[4];

  file_read (s->f, raw, 4, sector * SECTOR + 4 * i);
  return get32 (raw);
}

static void
walk_table (struct sparse *s, uint64_t table, const uint32_t place[2])
{
  uint64_t i;
  unsigned k;

  for (k = 0; k < s->nr_copies; ++k)
    use (s, USE_METADATA, "table", table, place[k],
         (s->entries * 4 + SECTOR - 1) / SECTOR);
  for (i = 0; i < s->entries; ++i) {
    const uint64_t grain = table * s->entries + i;
    const uint32_t e = entry (s, place[0], i);

    if (s->nr_copies == 2 && entry (s, place[1], i) != e)
      PROBLEM (s, "grain %" PRIu64 " is %" PRIu32 " and redundantly %"
               PRIu32, grain, e, entry (s, place[1], i));
    if (grain >= s->nr_grains) {
      if (e != 0)
        PROBLEM (s, "grain %" PRIu64 " is behind the end", grain);
    }
    else if (e == 1 && !s->zeroed)
      PROBLEM (s, "grain %" PRIu64 " is 1 without the flag", grain);
    else if (e > 1)
      use (s, USE_GRAIN, "grain", grain, e, s->grain_size);
  }
}

static void
walk (struct sparse *s)
{
  uint64_t table;
  unsigned k;

  s->uses = must_alloc ((s->f->size + SECTOR - 1) / SECTOR);
  use (s, USE_METADATA, "header", 0, 0, s->header_end);
  for (k = 0; k < s->nr_copies; ++k)
    use (s, USE_METADATA, "directory", k, s->directory[k],
         (s->nr_tables * 4 + SECTOR - 1) / SECTOR);
  for (table = 0; table < s->nr_tables; ++table) {
    uint32_t place[2] = { 0, 0 };

    for (k = 0; k < s->nr_copies; ++k)
      place[k] = entry (s, s->directory[k], table);
    if (s->nr_copies == 2 && (place[0] == 0) != (place[1] == 0))
      PROBLEM (s, "table %" PRIu64 " is in one directory only", table);
    if (place[0] != 0 && (s->nr_copies == 1 || place[1] != 0))
      walk_table (s, table, place);
  }
}

char *
tables_check (const struct disk_file *f, bool closed)
{
  struct sparse s;

  if (!load_header (f, &s))
    return NULL;
  walk (&s);
  free (s.uses);
  if (closed && s.unclean)
    PROBLEM (&s, "it is marked as unclean");
  if (closed && s.cowd && s.free_sector > (f->size + SECTOR - 1) / SECTOR)
    PROBLEM (&s, "the free sector %" PRIu32 " is behind the end of the file",
             s.free_sector);
  if (s.problem) {
    char *named = must_print ("%s: %s", f->name, s.problem);

    free (s.problem);
    return named;
  }
  return NULL;
}

uint8_t *
tables_find (const struct disk_file *f)
{
  const uint64_t size = (f->size + SECTOR - 1) / SECTOR;
  struct sparse s;
  uint64_t i;

  if (!load_header (f, &s))
    return must_alloc (size);
  s.free_sector = UINT32_MAX;
  walk (&s);
  free (s.problem);
  for (i = 0; i < size; ++i)
    s.uses[i] = s.uses[i] == USE_METADATA;
  return s.uses;
}
