/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cache.h"

#define NR_SHARDS 8

/* A bucket for so much of the budget, but at least so many in a shard: grains
 * may have 512 bytes, though few disks have such.
 */
#define BYTES_PER_BUCKET 4096
#define MIN_BUCKETS 256

struct grain {
  uint64_t owner;
  uint64_t number;
  uint8_t *data;                /* NULL while it is being inflated */
  size_t size;                  /* 0 before it has memory */
  unsigned users;               /* threads; it is not freed meanwhile */
  struct grain *hash_next;
  struct grain *newer, *older;
};

struct shard {
  pthread_mutex_t lock;
  pthread_cond_t inflated;      /* some grain, or it failed */
  size_t bytes;
  struct grain *newest, *oldest;
  struct grain **buckets;
};

struct grain_cache {
  size_t shard_budget, nr_buckets; /* of each shard */
  atomic_uint_fast64_t owners;
  struct shard shards[NR_SHARDS];
};

struct grain_cache *
grain_cache_new (uint64_t budget)
{
  struct grain_cache *cache = calloc (1, sizeof *cache);
  size_t i;

  if (!cache)
    return NULL;
  cache->shard_budget = (size_t) (budget / NR_SHARDS);
  cache->nr_buckets = MIN_BUCKETS + cache->shard_budget / BYTES_PER_BUCKET;
  atomic_init (&cache->owners, 0);
  for (i = 0; i < NR_SHARDS; ++i) {
    pthread_mutex_init (&cache->shards[i].lock, NULL);
    pthread_cond_init (&cache->shards[i].inflated, NULL);
  }
  for (i = 0; i < NR_SHARDS; ++i) {
    cache->shards[i].buckets = calloc (cache->nr_buckets,
                                       sizeof *cache->shards[i].buckets);
    if (!cache->shards[i].buckets) {
      grain_cache_free (cache);
      return NULL;
    }
  }
  return cache;
}

uint64_t
grain_cache_owner (struct grain_cache *cache)
{
  return atomic_fetch_add (&cache->owners, 1);
}

static void
free_grain (struct grain *grain)
{
  free (grain->data);
  free (grain);
}

void
grain_cache_free (struct grain_cache *cache)
{
  size_t i;

  if (!cache)
    return;
  for (i = 0; i < NR_SHARDS; ++i) {
    struct shard *s = &cache->shards[i];

    while (s->newest) {
      struct grain *grain = s->newest;

      s->newest = grain->older;
      free_grain (grain);
    }
    free (s->buckets);
    pthread_cond_destroy (&s->inflated);
    pthread_mutex_destroy (&s->lock);
  }
  free (cache);
}

/* Neighbours go to different shards. */
static struct shard *
shard_of (struct grain_cache *cache, uint64_t number)
{
  return &cache->shards[number % NR_SHARDS];
}

/* Neither do grains at regular distances meet in one bucket. */
static struct grain **
bucket_of (const struct grain_cache *cache, struct shard *s, uint64_t owner,
           uint64_t number)
{
  uint64_t h = owner;

  /* The multipliers of splitmix64, chosen by its author for diffusion. */
  h = (h ^ h >> 31 ^ number) * UINT64_C (0xbf58476d1ce4e5b9);
  h = (h ^ h >> 27) * UINT64_C (0x94d049bb133111eb);
  return &s->buckets[(h ^ h >> 31) % cache->nr_buckets];
}

/* What a grain counts for. */
static size_t
cost (size_t size)
{
  return sizeof (struct grain) + size;
}

static void
unlink_lru (struct shard *s, struct grain *grain)
{
  *(grain->newer ? &grain->newer->older : &s->newest) = grain->older;
  *(grain->older ? &grain->older->newer : &s->oldest) = grain->newer;
}

static void
link_newest (struct shard *s, struct grain *grain)
{
  grain->newer = NULL;
  grain->older = s->newest;
  *(s->newest ? &s->newest->newer : &s->oldest) = grain;
  s->newest = grain;
}

/* Take a grain out of the cache.  Locked. */
static void
forget (const struct grain_cache *cache, struct shard *s, struct grain *grain)
{
  struct grain **p = bucket_of (cache, s, grain->owner, grain->number);

  while (*p != grain)
    p = &(*p)->hash_next;
  *p = grain->hash_next;
  unlink_lru (s, grain);
  if (grain->size > 0)
    s->bytes -= cost (grain->size);
}

/* Make room by dropping the oldest grains that nobody uses.  Returns the
 * memory of one that had 'size' bytes, if any: to use it again at once
 * keeps it from being scattered over the allocator's arenas.  Locked.
 */
static uint8_t *
shrink (const struct grain_cache *cache, struct shard *s, size_t size)
{
  struct grain *grain = s->oldest;
  uint8_t *data = NULL;

  while (grain && s->bytes > cache->shard_budget) {
    struct grain *newer = grain->newer;

    if (grain->users == 0) {
      forget (cache, s, grain);
      if (!data && grain->size == size) {
        data = grain->data;
        grain->data = NULL;
      }
      free_grain (grain);
    }
    grain = newer;
  }
  return data;
}

/* A grain, inflated or not.  Locked. */
static struct grain *
lookup (const struct grain_cache *cache, struct shard *s, uint64_t owner,
        uint64_t number)
{
  struct grain *grain = *bucket_of (cache, s, owner, number);

  while (grain && (grain->owner != owner || grain->number != number))
    grain = grain->hash_next;
  return grain;
}

/* Find a grain that is inflated, waiting for it if it is on its way.
 * Locked.
 */
static struct grain *
find (const struct grain_cache *cache, struct shard *s, uint64_t owner,
      uint64_t number)
{
  for (;;) {
    struct grain *grain = lookup (cache, s, owner, number);

    if (!grain || grain->data)
      return grain;
    pthread_cond_wait (&s->inflated, &s->lock);
  }
}

/* Add a grain that is not inflated yet.  Locked. */
static struct grain *
add (const struct grain_cache *cache, struct shard *s,
     const struct grain_source *source)
{
  struct grain *grain = calloc (1, sizeof *grain);
  struct grain **bucket = bucket_of (cache, s, source->owner, source->grain);

  if (!grain)
    return NULL;
  grain->owner = source->owner;
  grain->number = source->grain;
  grain->hash_next = *bucket;
  *bucket = grain;
  link_newest (s, grain);
  return grain;
}

uint8_t *
grain_room_get (struct grain_room *room)
{
  struct grain_cache *cache = room->cache;
  const struct grain_source *source = room->source;
  struct grain *grain;
  struct shard *s;

  if (room->data)
    return room->data;
  if (cache) {
    s = shard_of (cache, source->grain);
    pthread_mutex_lock (&s->lock);
    grain = lookup (cache, s, source->owner, source->grain);
    grain->size = source->size;
    s->bytes += cost (grain->size);
    room->data = shrink (cache, s, source->size);
    pthread_mutex_unlock (&s->lock);
  }
  if (!room->data)
    room->data = malloc (source->size);
  return room->data;
}

int
grain_cache_read (struct grain_cache *cache,
                  const struct grain_source *source, size_t offset,
                  void *buf, size_t count, struct vmdk_error *error)
{
  struct shard *s = shard_of (cache, source->grain);
  const bool whole = count == source->size;
  struct grain_room room = { whole ? buf : NULL, cache, source };
  struct grain *grain;
  int r = 0;

  if (offset > source->size || count > source->size - offset)
    return error_set (error, VMDK_ERROR_INVALID, EINVAL,
                      "%zu bytes at %zu of a grain of %zu", count, offset,
                      source->size);
  pthread_mutex_lock (&s->lock);
  grain = find (cache, s, source->owner, source->grain);
  if (grain) {
    grain->users++;
    unlink_lru (s, grain);
    link_newest (s, grain);
  }
  else if (!whole) {
    grain = add (cache, s, source);
    if (!grain) {
      pthread_mutex_unlock (&s->lock);
      return error_nomem (error);
    }
    grain->users++;
    pthread_mutex_unlock (&s->lock);

    r = source->inflate (source, &room, error);

    pthread_mutex_lock (&s->lock);
    if (r == 0)
      grain->data = room.data;
    else {
      forget (cache, s, grain);
      free (room.data);
    }
    pthread_cond_broadcast (&s->inflated);
  }
  pthread_mutex_unlock (&s->lock);

  if (!grain)
    return source->inflate (source, &room, error);
  if (r == -1) {
    free_grain (grain);
    return -1;
  }
  memcpy (buf, grain->data + offset, count);

  pthread_mutex_lock (&s->lock);
  grain->users--;
  free (shrink (cache, s, 0));
  pthread_mutex_unlock (&s->lock);
  return 0;
}
