/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <stdlib.h>

#include "stream-grains.h"

/* Stands for all tables whose grains are PLACE_ZERO and not held; never
 * written.
 */
static struct grain_table all_zeroes;

int
grain_map_init (struct grain_map *map, uint64_t nr_grains,
                struct vmdk_error *error)
{
  map->nr_grains = nr_grains;
  map->nr_tables = div_up (nr_grains, STREAM_TABLE_GRAINS);
  map->idle = NULL;
  map->spare = NULL;
  map->tables = calloc (map->nr_tables, sizeof *map->tables);
  return map->tables ? 0 : error_nomem (error);
}

static void
free_table (struct grain_table *table)
{
  unsigned i;

  if (table == &all_zeroes)
    return;
  for (i = 0; table && table->held && i < STREAM_TABLE_GRAINS; ++i)
    if (table->held[i]) {
      free (table->held[i]->data);
      free (table->held[i]);
    }
  if (table)
    free (table->held);
  free (table);
}

void
grain_map_destroy (struct grain_map *map)
{
  uint64_t i;

  for (i = 0; map->tables && i < map->nr_tables; ++i)
    free_table (map->tables[i]);
  free (map->tables);
  map->tables = NULL;
  free (map->spare);
  map->spare = NULL;
  while (map->idle) {
    struct held *h = map->idle;

    map->idle = h->next_idle;
    free (h);
  }
}

static bool
is_uniform (const struct grain_table *table)
{
  return !table || table == &all_zeroes;
}

uint32_t
grain_map_place (const struct grain_map *map, uint64_t grain)
{
  const struct grain_table *table =
    map->tables[grain / STREAM_TABLE_GRAINS];

  if (is_uniform (table))
    return table ? PLACE_ZERO : PLACE_NONE;
  return table->places[grain % STREAM_TABLE_GRAINS];
}

const uint32_t *
grain_map_places (const struct grain_map *map, uint64_t table)
{
  return is_uniform (map->tables[table]) ? NULL :
    map->tables[table]->places;
}

/* The table of a grain, with memory of its own. */
static struct grain_table *
own_table (struct grain_map *map, uint64_t grain, struct vmdk_error *error)
{
  struct grain_table **p = &map->tables[grain / STREAM_TABLE_GRAINS];
  struct grain_table *table;
  unsigned i;

  if (!is_uniform (*p))
    return *p;
  table = calloc (1, sizeof *table);
  if (!table) {
    error_nomem (error);
    return NULL;
  }
  for (i = 0; *p && i < STREAM_TABLE_GRAINS; ++i)
    table->places[i] = PLACE_ZERO;
  *p = table;
  return table;
}

int
grain_map_set_place (struct grain_map *map, uint64_t grain, uint32_t place,
                     struct vmdk_error *error)
{
  struct grain_table *table;

  if (grain_map_place (map, grain) == place)
    return 0;
  table = own_table (map, grain, error);
  if (!table)
    return -1;
  table->places[grain % STREAM_TABLE_GRAINS] = place;
  return 0;
}

bool
grain_map_zero_table (struct grain_map *map, uint64_t table)
{
  if (!is_uniform (map->tables[table]))
    return false;
  map->tables[table] = &all_zeroes;
  return true;
}

struct held *
grain_map_held (const struct grain_map *map, uint64_t grain)
{
  const struct grain_table *table =
    map->tables[grain / STREAM_TABLE_GRAINS];

  return is_uniform (table) || !table->held ? NULL :
    table->held[grain % STREAM_TABLE_GRAINS];
}

static struct held *
new_held (struct grain_map *map)
{
  struct held *h = map->idle;

  if (h)
    map->idle = h->next_idle;
  else
    h = malloc (sizeof *h);
  return h;
}

struct held *
grain_map_hold (struct grain_map *map, uint64_t grain,
                struct vmdk_error *error)
{
  struct grain_table *table = own_table (map, grain, error);
  struct held *h;

  if (!table)
    return NULL;
  if (!table->held) {
    table->held = map->spare ? map->spare :
      calloc (STREAM_TABLE_GRAINS, sizeof *table->held);
    map->spare = NULL;
  }
  h = table->held ? new_held (map) : NULL;
  if (!h) {
    error_nomem (error);
    return NULL;
  }
  *h = (struct held) { .grain = grain, .slot = SPILL_NO_SLOT };
  table->held[grain % STREAM_TABLE_GRAINS] = h;
  table->nr_held++;
  return h;
}

void
grain_map_drop (struct grain_map *map, struct held *h)
{
  struct grain_table *table = map->tables[h->grain / STREAM_TABLE_GRAINS];

  table->held[h->grain % STREAM_TABLE_GRAINS] = NULL;
  if (--table->nr_held == 0) {
    free (map->spare);
    map->spare = table->held;
    table->held = NULL;
  }
  h->next_idle = map->idle;
  map->idle = h;
}

uint64_t
grain_map_uniform (const struct grain_map *map, uint64_t grain, uint64_t max,
                   uint32_t *place)
{
  const uint64_t first = grain / STREAM_TABLE_GRAINS;
  const struct grain_table *table = map->tables[first];
  uint64_t end = first;

  if (!is_uniform (table))
    return 0;
  *place = table ? PLACE_ZERO : PLACE_NONE;
  while (end < map->nr_tables && map->tables[end] == table &&
         end * STREAM_TABLE_GRAINS < grain + max)
    end++;
  return min_u64 (max, min_u64 (end * STREAM_TABLE_GRAINS, map->nr_grains) -
                  grain);
}
