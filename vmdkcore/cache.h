/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* A bounded cache of inflated grains, shared by all streams of one image or
 * several.
 * However many small reads of a grain come at once, it is inflated once:
 * who comes while it is being inflated waits for it.
 *
 * Any thread.  No lock is held while a grain is inflated or copied.
 */

#ifndef VMDK_CACHE_H
#define VMDK_CACHE_H

#include "error.h"

struct grain_cache;
struct grain_source;

/* 'budget' is in bytes.  NULL if memory is short. */
extern struct grain_cache *grain_cache_new (uint64_t budget);

/* A number that no other owner of grains in this cache has or had: grains may
 * stay when their owner has gone.
 */
extern uint64_t grain_cache_owner (struct grain_cache *cache);

/* No grain may be in use.  NULL is accepted. */
extern void grain_cache_free (struct grain_cache *cache);

/* Where a grain is inflated to. */
struct grain_room {
  uint8_t *data;                /* what has room for a grain; or, if NULL: */
  struct grain_cache *cache;    /* memory of this cache's, or malloc's if NULL */
  const struct grain_source *source;
};

/* Get it, or NULL if memory is short.  To be called when the inflating begins,
 * not before waiting for its turn: those who wait need no memory.
 */
extern uint8_t *grain_room_get (struct grain_room *room);

/* Which grain is meant, and how to get it. */
struct grain_source {
  uint64_t owner;               /* a number that only the extent has */
  uint64_t grain;
  size_t size;                  /* bytes of a grain */

  /* Write 'size' bytes to the room. */
  int (*inflate) (const struct grain_source *source, struct grain_room *room,
                  struct vmdk_error *error);
  void *opaque;                 /* the owner's */
  uint64_t place;               /* the owner's */
};

/* Copy 'count' bytes at 'offset' within a grain to 'buf', from the cache
 * or by inflating the grain.  A whole grain that is not in the cache is
 * inflated into 'buf' and not kept: who reads whole grains does not
 * come back.
 */
extern int grain_cache_read (struct grain_cache *cache,
                             const struct grain_source *source,
                             size_t offset, void *buf, size_t count,
                             struct vmdk_error *error);

#endif /* VMDK_CACHE_H */
