/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* What hosted sparse, COWD and seSparse extents have in common: grains
 * that lie uncompressed at the places that a gtable gives.
 */

#ifndef VMDK_GRAINS_H
#define VMDK_GRAINS_H

#include "bytes.h"
#include "extent.h"
#include "gtable.h"

/* Kinds embed this as their first member. */
struct grains {
  struct extent extent;
  struct io *io;
  struct gtable *gt;
  const struct logger *logger;
  const struct extent_env *env;
  uint64_t capacity;            /* sectors, by the header */
  uint64_t grain_size;          /* sectors */
};

/* The sectors of the file, rounded up. */
static inline uint64_t
grains_file_sectors (const struct grains *g)
{
  return div_up (g->io->size, SECTOR_SIZE);
}

/* Why an extent cannot be written whose line in the descriptor is longer
 * than what its header has, and whether that is so.
 */
#define GRAINS_TOO_SHORT "its header has less than the descriptor says"

static inline bool
grains_are_too_short (const struct grains *g)
{
  return g->extent.length >
    div_up (g->capacity, g->grain_size) * g->extent.grain_size;
}

#define ZEROED_WARNING \
  "%s: grains are marked as zeroed though the header does not say that " \
  "they can be; they are read as zeroes"

/* Check that the 'length' (bytes) that a descriptor gives an extent is
 * not larger than what its header has, beyond the rest of a grain.
 */
extern int grains_check_length (const struct io *io, uint64_t capacity,
                                uint64_t grain_size, uint64_t length,
                                const struct logger *logger,
                                struct vmdk_error *error);

/* Fill in a zeroed struct and set up the gtable.  Of 'layout' the
 * caller sets the form and place of the tables, plain_from if raw entries are
 * sectors, and the two functions, which get 'g' as their opaque pointer.
 * 'env' is borrowed until it is closed.  Takes a reference to 'io' on success.
 */
extern int grains_init (struct grains *g, struct io *io, uint64_t capacity,
                        uint64_t grain_size, uint64_t length,
                        const struct extent_env *env,
                        struct gtable_layout *layout,
                        struct vmdk_error *error);

/* The kind of a run by its code; RUN_DATA for a place in the file. */
extern enum run_kind grains_run_kind (uint64_t code);

/* Finish the decoding of a table entry that names the sector 'sector'
 * for the grain 'grain': bad if that is not in the file, partial if the
 * file ends inside.
 */
extern uint64_t grains_locate (const struct grains *g, uint64_t grain,
                               uint64_t sector, bool *partial);

/* Members of struct extent_ops. */
extern int grains_map (struct extent *extent, uint64_t offset,
                       uint64_t count, enum map_purpose purpose,
                       struct run *run, struct vmdk_error *error);
extern int grains_explain (struct extent *extent, uint64_t offset,
                           struct vmdk_error *error);
extern void grains_close (struct extent *extent);

#endif /* VMDK_GRAINS_H */
