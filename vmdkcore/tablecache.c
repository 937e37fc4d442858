/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <pthread.h>
#include <stdlib.h>

#include "budget.h"
#include "tablecache.h"

/* Threads that look up different pages meet in one shard in 16. */
#define NR_SHARDS 16
#define NR_BUCKETS 1024

struct shard {
  pthread_mutex_t lock;
  struct table_page *newest, *oldest;
  size_t bytes;
  struct table_page *buckets[NR_BUCKETS];
};

struct table_cache {
  size_t shard_budget;
  struct budget held;           /* bytes, of pages that owners hold */
  atomic_uint_fast64_t owners;
  struct shard shards[NR_SHARDS];
};

struct table_cache *
table_cache_new (uint64_t budget)
{
  struct table_cache *cache = calloc (1, sizeof *cache);
  size_t i;

  if (!cache)
    return NULL;
  cache->shard_budget = (size_t) (budget / NR_SHARDS);
  budget_init (&cache->held, budget / 4);
  atomic_init (&cache->owners, 0);
  for (i = 0; i < NR_SHARDS; ++i)
    pthread_mutex_init (&cache->shards[i].lock, NULL);
  return cache;
}

void
table_cache_free (struct table_cache *cache)
{
  size_t i;

  if (!cache)
    return;
  for (i = 0; i < NR_SHARDS; ++i) {
    struct shard *s = &cache->shards[i];

    while (s->newest) {
      struct table_page *page = s->newest;

      s->newest = page->older;
      free (page);
    }
    pthread_mutex_destroy (&s->lock);
  }
  free (cache);
}

uint64_t
table_cache_owner (struct table_cache *cache)
{
  return atomic_fetch_add (&cache->owners, 1);
}

struct table_page *
table_page_new (size_t size)
{
  struct table_page *page = malloc (sizeof *page + size);

  if (!page)
    return NULL;
  *page = (struct table_page) { .bytes = sizeof *page + size };
  atomic_init (&page->refs, 1);
  return page;
}

bool
table_cache_hold (struct table_cache *cache, const struct table_page *page)
{
  return budget_take (&cache->held, page->bytes);
}

void
table_cache_release (struct table_cache *cache, const struct table_page *page)
{
  budget_give (&cache->held, page->bytes);
}

struct table_page *
table_page_get (struct table_page *page)
{
  atomic_fetch_add (&page->refs, 1);
  return page;
}

void
table_page_put (struct table_page *page)
{
  if (page && atomic_fetch_sub (&page->refs, 1) == 1)
    free (page);
}

static uint64_t
hash_key (const struct table_key *key)
{
  uint64_t h = key->owner;

  /* The multipliers of splitmix64, chosen by its author for diffusion. */
  h = (h ^ key->level) * UINT64_C (0xbf58476d1ce4e5b9);
  h = (h ^ h >> 31 ^ key->index) * UINT64_C (0x94d049bb133111eb);
  return h ^ h >> 29;
}

static struct shard *
shard_of (struct table_cache *cache, uint64_t hash)
{
  return &cache->shards[hash % NR_SHARDS];
}

static struct table_page **
bucket_of (struct shard *s, uint64_t hash)
{
  return &s->buckets[hash / NR_SHARDS % NR_BUCKETS];
}

static bool
same_key (const struct table_key *a, const struct table_key *b)
{
  return a->owner == b->owner && a->level == b->level &&
    a->index == b->index;
}

static void
unlink_lru (struct shard *s, struct table_page *page)
{
  *(page->newer ? &page->newer->older : &s->newest) = page->older;
  *(page->older ? &page->older->newer : &s->oldest) = page->newer;
}

static void
link_newest (struct shard *s, struct table_page *page)
{
  page->newer = NULL;
  page->older = s->newest;
  *(s->newest ? &s->newest->newer : &s->oldest) = page;
  s->newest = page;
}

/* Find a page, make it the newest and take a reference.  Locked. */
static struct table_page *
find (struct shard *s, uint64_t hash, const struct table_key *key)
{
  struct table_page *page = *bucket_of (s, hash);

  while (page && !same_key (&page->key, key))
    page = page->hash_next;
  if (page) {
    atomic_fetch_add (&page->refs, 1);
    if (s->newest != page) {
      unlink_lru (s, page);
      link_newest (s, page);
    }
  }
  return page;
}

/* Drop the oldest page from the cache.  Locked. */
static void
evict (struct shard *s)
{
  struct table_page *page = s->oldest;
  struct table_page **p = bucket_of (s, hash_key (&page->key));

  while (*p != page)
    p = &(*p)->hash_next;
  *p = page->hash_next;
  unlink_lru (s, page);
  s->bytes -= page->bytes;
  table_page_put (page);
}

struct table_page *
table_cache_find (struct table_cache *cache, const struct table_key *key)
{
  const uint64_t hash = hash_key (key);
  struct shard *s = shard_of (cache, hash);
  struct table_page *page;

  pthread_mutex_lock (&s->lock);
  page = find (s, hash, key);
  pthread_mutex_unlock (&s->lock);
  return page;
}

struct table_page *
table_cache_add (struct table_cache *cache, struct table_page *page)
{
  const uint64_t hash = hash_key (&page->key);
  struct shard *s = shard_of (cache, hash);
  struct table_page *other;

  pthread_mutex_lock (&s->lock);
  other = find (s, hash, &page->key);
  if (!other) {
    struct table_page **bucket = bucket_of (s, hash);

    atomic_fetch_add (&page->refs, 1);
    page->hash_next = *bucket;
    *bucket = page;
    link_newest (s, page);
    s->bytes += page->bytes;
    while (s->bytes > cache->shard_budget && s->oldest != page)
      evict (s);
  }
  pthread_mutex_unlock (&s->lock);

  if (!other)
    return page;
  table_page_put (page);
  return other;
}
