/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <stdlib.h>

#include "bytes.h"
#include "recycling.h"

struct left {
  struct freed freed;
  struct left *next;
};

/* So many records of what is left are kept; the places of others are found
 * again when the file is checked the next time.
 */
#define MAX_LEFT 65536

void
recycling_collect (struct recycling *r)
{
  places_collect (r->places, &r->collected);
}

bool
recycling_has_collected (const struct recycling *r)
{
  return !freed_is_empty (&r->collected);
}

bool
recycling_has_left (const struct recycling *r)
{
  return r->left != NULL;
}

/* Give the storage of free grains back, if that is possible.  Who still reads
 * there finds zeroes, as if they had been freed a moment before.
 */
static void
give_back (void *opaque, uint64_t place, uint64_t n)
{
  const struct recycling *r = opaque;
  struct vmdk_error ignored;

  (void) io_punch (r->places->io, place * SECTOR_SIZE,
                   n * r->places->grain_size * SECTOR_SIZE, &ignored);
}

/* And give the place to the next who needs one. */
static void
recycle (void *opaque, uint64_t place, uint64_t n)
{
  struct recycling *r = opaque;

  give_back (r, place, n);
  pthread_mutex_lock (r->lock);
  places_add (r->places, place, n);
  pthread_mutex_unlock (r->lock);
}

/* Give back the storage of what has been collected, and keep the places for
 * when nobody reads there.
 */
static void
leave (struct recycling *r)
{
  const size_t nr = atomic_load (&r->collected.nr);
  struct left *left = NULL;

  freed_walk (&r->collected, give_back, r);
  if (nr > 0 && r->nr_left + nr <= MAX_LEFT)
    left = calloc (1, sizeof *left);
  if (!left)
    return;
  freed_move (&r->collected, &left->freed);
  left->next = r->left;
  r->left = left;
  r->nr_left += nr;
}

/* Go over what is left, and forget it. */
static void
clear_left (struct recycling *r,
            void (*visit) (void *opaque, uint64_t place, uint64_t n))
{
  while (r->left) {
    struct left *left = r->left;

    r->left = left->next;
    if (visit)
      freed_walk (&left->freed, visit, r);
    freed_clear (&left->freed);
    free (left);
  }
  r->nr_left = 0;
}

void
recycling_done (struct recycling *r, bool durable, bool unused)
{
  if (durable && unused) {
    freed_walk (&r->collected, recycle, r);
    clear_left (r, recycle);
  }
  else if (durable)
    leave (r);
  freed_clear (&r->collected);
}

void
recycling_clear (struct recycling *r)
{
  clear_left (r, NULL);
  freed_clear (&r->collected);
}
