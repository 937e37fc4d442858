/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>
#include <stdlib.h>

#include "bytes.h"
#include "places.h"

/* The file is made larger in steps of so many sectors. */
#define GROWTH (UINT64_C (16) * 1024 * 1024 / SECTOR_SIZE)

/* Entries have 32 bits, and the largest number is not used. */
#define MAX_SECTOR UINT64_C (0xfffffffe)

/* So many rooms are remembered, of each file. */
#define MAX_ROOMS 65536

struct room {
  uint64_t place, n;            /* grains */
};

void
places_forget (struct places *p)
{
  free (p->rooms);
  budget_give (p->budget, p->max_rooms * sizeof *p->rooms);
  p->rooms = NULL;
  p->nr_rooms = p->max_rooms = 0;
}

void
places_begin (struct places *p, uint64_t next)
{
  p->next = places_align (p, next);
  p->untouched = div_up (p->io->size, SECTOR_SIZE);
}

void
places_destroy (struct places *p)
{
  freed_clear (&p->freed);
  places_forget (p);
}

uint64_t
places_align (const struct places *p, uint64_t sector)
{
  return p->aligned ? div_up (sector, p->grain_size) * p->grain_size : sector;
}

void
places_add (struct places *p, uint64_t place, uint64_t n)
{
  if (p->nr_rooms == MAX_ROOMS)
    return;
  if (p->nr_rooms == p->max_rooms) {
    const size_t more = p->max_rooms + 16, max = p->max_rooms + more;
    struct room *rooms;

    if (!budget_take (p->budget, more * sizeof *rooms))
      return;
    rooms = reallocarray (p->rooms, max, sizeof *rooms);
    if (!rooms) {
      budget_give (p->budget, more * sizeof *rooms);
      return;
    }
    p->rooms = rooms;
    p->max_rooms = max;
  }
  p->rooms[p->nr_rooms++] = (struct room) { .place = place, .n = n };
}

/* Make the file reach to 'end' (sectors). */
static int
grow (struct places *p, uint64_t end, struct vmdk_error *error)
{
  if (end <= p->io->size / SECTOR_SIZE)
    return 0;

  if (io_truncate (p->io, min_u64 (end + GROWTH, MAX_SECTOR) * SECTOR_SIZE,
                   error) == 0)
    return 0;

  /* A file that must not be so large, or in a file system without holes has
   * no room for so much, may be as large as is needed.
   */
  return error->err == EFBIG || error->err == ENOSPC ?
    io_truncate (p->io, end * SECTOR_SIZE, error) : -1;
}

int
places_take_end (struct places *p, uint64_t sectors, uint64_t *place,
                 struct vmdk_error *error)
{
  if (sectors > MAX_SECTOR - min_u64 (p->next, MAX_SECTOR))
    return error_set (error, VMDK_ERROR_IO, ENOSPC,
                      "%s: the file cannot become larger than 2 TiB",
                      p->io->name);
  if (grow (p, p->next + sectors, error) == -1)
    return -1;
  *place = p->next;
  p->next = places_align (p, p->next + sectors);
  return 0;
}

void
places_return_end (struct places *p, uint64_t place)
{
  p->untouched = max_u64 (p->untouched, p->next);
  p->next = place;
}

int
places_find (struct places *p, uint64_t grain, uint64_t *n, uint64_t *place,
             enum origin *origin, struct vmdk_error *error)
{
  int r;

  if (p->forgot)
    return error_nomem (error);
  r = freed_take (&p->freed, grain, p->grain_size, place, error);
  if (r != 0) {
    *origin = ORIGIN_OWN;
    *n = 1;
    return r == 1 ? 0 : -1;
  }
  *n = freed_gap (&p->freed, grain, *n);
  if (p->nr_rooms > 0) {
    struct room *room = &p->rooms[p->nr_rooms - 1];

    *n = min_u64 (*n, room->n);
    *place = room->place;
    room->place += *n * p->grain_size;
    room->n -= *n;
    p->nr_rooms -= room->n == 0;
    *origin = ORIGIN_USED;
    return 0;
  }
  if (places_take_end (p, *n * p->grain_size, place, error) == -1)
    return -1;
  *origin = *place >= p->untouched ? ORIGIN_CLEAN : ORIGIN_USED;
  return 0;
}

void
places_return (struct places *p, uint64_t grain, uint64_t n, uint64_t place,
               enum origin origin)
{
  struct vmdk_error ignored;

  if (origin != ORIGIN_OWN)
    places_add (p, place, n);
  else if (freed_add (&p->freed, grain, n, place, &ignored) == -1)
    p->forgot = true;
}

void
places_collect (struct places *p, struct freed *to)
{
  freed_move (&p->freed, to);
  p->forgot = false;
}
