/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Where each grain of a stream that is being written is: in its place in the
 * file, or held until that is known.
 *
 * Memory: 8 bytes for each 32 MiB of the disk, 2 KiB for those that have
 * data, and for each grain that is held about 64 bytes beside its content,
 * and 4 KiB for each 32 MiB with such ones.
 *
 * Threads: calls must not overlap.  A held grain that is busy belongs to the
 * thread that made it so.
 */

#ifndef VMDK_STREAM_GRAINS_H
#define VMDK_STREAM_GRAINS_H

#include "stream-spill.h"

/* The place of a grain in the file, if it has been put there: a sector. */
enum {
  PLACE_NONE = 0,               /* nothing has been written to it */
  PLACE_ZERO = 1                /* it has been made zeroes */
};

enum held_form {
  HELD_NOTHING,                 /* only busy */
  HELD_RAW,                     /* as it is read */
  HELD_PACKED                   /* as the file gets it */
};

/* A grain that is busy, or has content that is not in the file.  That is at
 * 'data', or in the slot; a raw one with neither is zeroes.
 */
struct held {
  struct held *next_idle;
  uint64_t grain;
  uint64_t written[2];          /* raw: a bit for each sector that has been
                                   written up to its end */
  uint8_t *data;
  uint32_t slot;
  uint32_t size;                /* packed: bytes */
  enum held_form form;
  bool busy;
};

struct grain_table {
  uint32_t places[STREAM_TABLE_GRAINS];
  struct held **held;           /* NULL if there are none */
  unsigned nr_held;
};

struct grain_map {
  uint64_t nr_grains, nr_tables;
  struct grain_table **tables;  /* NULL: all grains are PLACE_NONE */
  struct held *idle;
  struct held **spare;          /* of a table that holds none any more */
};

/* A map in which no grain has a place. */
extern int grain_map_init (struct grain_map *map, uint64_t nr_grains,
                           struct vmdk_error *error);

/* Also frees the content of those held. */
extern void grain_map_destroy (struct grain_map *map);

extern uint32_t grain_map_place (const struct grain_map *map,
                                 uint64_t grain);

/* Cannot fail for a grain that is held. */
extern int grain_map_set_place (struct grain_map *map, uint64_t grain,
                                uint32_t place, struct vmdk_error *error);

/* Make PLACE_ZERO of a whole table whose grains are all PLACE_NONE, and of
 * which none is held.  False if it is not one of that kind.
 */
extern bool grain_map_zero_table (struct grain_map *map, uint64_t table);

/* The places of a table; NULL if they are all below STREAM_FIRST_PLACE. */
extern const uint32_t *grain_map_places (const struct grain_map *map,
                                         uint64_t table);

/* NULL if the grain is not held. */
extern struct held *grain_map_held (const struct grain_map *map,
                                    uint64_t grain);

/* Begin to hold a grain, without content. */
extern struct held *grain_map_hold (struct grain_map *map, uint64_t grain,
                                    struct vmdk_error *error);

/* End it; it must have no content any more. */
extern void grain_map_drop (struct grain_map *map, struct held *held);

/* How many grains from this one on, at most 'max', are in tables that are
 * alike for all their grains, and hold none.  *place gets what they are.
 */
extern uint64_t grain_map_uniform (const struct grain_map *map,
                                   uint64_t grain, uint64_t max,
                                   uint32_t *place);

#endif /* VMDK_STREAM_GRAINS_H */
