/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "recorder.h"
#include "structure.h"

struct look {
  const struct content *file;
  uint8_t *used;                /* one a sector */
  uint64_t sectors;
  uint64_t seed;
  const char *what;
};

static uint32_t
get32 (const struct look *l, uint64_t offset)
{
  const uint8_t *p = l->file->data + offset;

  if (offset + 4 > l->file->size)
    crash_fail ("seed %" PRIu64 ", %s: %s: a table is not in the file",
                l->seed, l->what, l->file->name);
  return (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 |
    (uint32_t) p[3] << 24;
}

static void
use (struct look *l, uint64_t sector, uint64_t n)
{
  uint64_t s;

  for (s = sector; s < sector + n; ++s) {
    if (s >= l->sectors || l->used[s])
      crash_fail ("seed %" PRIu64 ", %s: %s: sector %" PRIu64 " is %s",
                  l->seed, l->what, l->file->name, s,
                  s >= l->sectors ? "not there" : "used twice");
    l->used[s] = 1;
  }
}

/* 'gd' and 'rgd' are sectors, the second 0 if there is none. */
static void
look_at_tables (struct look *l, uint64_t gd, uint64_t rgd, uint64_t grains,
                uint64_t grain_size, uint64_t entries)
{
  const uint64_t tables = (grains + entries - 1) / entries;
  const uint64_t table_size = entries * 4 / 512;
  uint64_t t, i;

  use (l, gd, (tables * 4 + 511) / 512);
  if (rgd)
    use (l, rgd, (tables * 4 + 511) / 512);
  for (t = 0; t < tables; ++t) {
    const uint64_t gt = get32 (l, gd * 512 + t * 4);
    const uint64_t rgt = rgd ? get32 (l, rgd * 512 + t * 4) : gt;

    if ((gt == 0) != (rgt == 0))
      crash_fail ("seed %" PRIu64 ", %s: %s: table %" PRIu64 " has one copy",
                  l->seed, l->what, l->file->name, t);
    if (gt == 0)
      continue;
    use (l, gt, table_size);
    if (rgd)
      use (l, rgt, table_size);
    for (i = 0; i < entries && t * entries + i < grains; ++i) {
      const uint32_t entry = get32 (l, gt * 512 + i * 4);

      if (get32 (l, rgt * 512 + i * 4) != entry)
        crash_fail ("seed %" PRIu64 ", %s: %s: the copies differ in grain %"
                    PRIu64, l->seed, l->what, l->file->name,
                    t * entries + i);
      if (entry > 1)
        use (l, entry, grain_size);
    }
  }
}

static void
look_at (struct look *l)
{
  const uint8_t *p = l->file->data;

  if (l->file->size < 2048)
    return;
  if (memcmp (p, "KDMV", 4) == 0) {
    const uint64_t grain_size = get32 (l, 20);

    if (p[72] != 0)
      crash_fail ("seed %" PRIu64 ", %s: %s: is marked as unclean",
                  l->seed, l->what, l->file->name);
    use (l, 0, 1);
    look_at_tables (l, get32 (l, 56), p[8] & 2 ? get32 (l, 48) : 0,
                    (get32 (l, 12) + grain_size - 1) / grain_size,
                    grain_size, get32 (l, 44));
  }
  else if (memcmp (p, "COWD", 4) == 0) {
    const uint64_t grain_size = get32 (l, 16);
    uint64_t s;

    if (get32 (l, 1648) != 0)
      crash_fail ("seed %" PRIu64 ", %s: %s: is marked as unclean",
                  l->seed, l->what, l->file->name);
    use (l, 0, 4);
    look_at_tables (l, get32 (l, 20), 0,
                    (get32 (l, 12) + grain_size - 1) / grain_size,
                    grain_size, 4096);
    for (s = get32 (l, 28); s < l->sectors; ++s)
      if (l->used[s])
        crash_fail ("seed %" PRIu64 ", %s: %s: freeSector is before a sector "
                    "that is used", l->seed, l->what, l->file->name);
  }
}

void
structure_check (const char *dir, uint64_t seed, const char *what)
{
  struct folder_content f;
  size_t i;

  folder_load (&f, dir);
  for (i = 0; i < f.nr; ++i) {
    struct look l = {
      .file = &f.files[i], .sectors = (f.files[i].size + 511) / 512,
      .seed = seed, .what = what,
    };

    if (strncmp (f.files[i].name, "top", 3) != 0)
      continue;
    l.used = calloc (l.sectors + 1, 1);
    if (!l.used)
      crash_fail ("out of memory");
    look_at (&l);
    free (l.used);
  }
  folder_free (&f);
}
