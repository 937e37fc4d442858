/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The places in a sparse file that can be given to grains and tables.
 *
 * The caller holds a lock over all of these functions.  Places are sectors
 * of the file.
 */

#ifndef VMDK_PLACES_H
#define VMDK_PLACES_H

#include "budget.h"
#include "freed.h"
#include "io.h"

struct room;

struct places {
  struct io *io;
  uint64_t grain_size;          /* sectors */
  bool aligned;                 /* grains begin at multiples of their size */

  uint64_t next;                /* the first sector that was never given */
  uint64_t untouched;           /* from this sector on the file has never been
                                   written and reads as zeroes */
  struct freed freed;           /* grains that must not get another place than
                                   the one that they have left */
  bool forgot;                  /* there are more of these, of which memory
                                   was too short for a record */

  /* Places of grains that nobody uses. */
  struct budget *budget;        /* bytes of memory, for this */
  struct room *rooms;
  size_t nr_rooms, max_rooms;
};

/* Where a place for grains comes from. */
enum origin {
  ORIGIN_CLEAN,                 /* never used, reads as zeroes */
  ORIGIN_USED,                  /* by others, who have left it for good */
  ORIGIN_OWN                    /* the entry in the file may still name it */
};

/* Forget all that has been added, and give back the memory. */
extern void places_forget (struct places *p);

/* Begin to give new places from the sector 'next' on, of a file of which
 * everything may have been written.
 */
extern void places_begin (struct places *p, uint64_t next);

/* Free the memory. */
extern void places_destroy (struct places *p);

/* Nobody uses the place of 'n' grains any more.  If there are too many such,
 * or there is no memory to remember them, they are forgotten until the file is
 * checked the next time.
 */
extern void places_add (struct places *p, uint64_t place, uint64_t n);

/* Take 'sectors' sectors at the end of the file, which becomes larger if it
 * must.
 */
extern int places_take_end (struct places *p, uint64_t sectors,
                            uint64_t *place, struct vmdk_error *error);

/* Give back what was taken last from the end, from 'place' on, which may
 * have been written.
 */
extern void places_return_end (struct places *p, uint64_t place);

/* The first sector from 'sector' on that a grain may have. */
extern uint64_t places_align (const struct places *p, uint64_t sector);

/* Find a place for the first of the 'n' grains from 'grain' on, and as many
 * of the others as can follow it; *n is changed.
 */
extern int places_find (struct places *p, uint64_t grain, uint64_t *n,
                        uint64_t *place, enum origin *origin,
                        struct vmdk_error *error);

/* Nothing has come of writing to what places_find has given. */
extern void places_return (struct places *p, uint64_t grain, uint64_t n,
                           uint64_t place, enum origin origin);

/* The freed grains may have other places from now on: their records go to
 * 'to', which is empty.
 */
extern void places_collect (struct places *p, struct freed *to);

#endif /* VMDK_PLACES_H */
