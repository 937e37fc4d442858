/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* A bounded cache of decoded pieces of tables ("pages"), shared by all
 * tables of an image.
 *
 * All functions may be called from any thread.  The locks in here are
 * held for a look-up only, never over I/O.
 */

#ifndef VMDK_TABLECACHE_H
#define VMDK_TABLECACHE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_cache;

/* What a page is a piece of: 'owner' is a number that table_cache_owner
 * gave, 'level' and 'index' are the owner's.
 */
struct table_key {
  uint64_t owner;
  uint64_t index;
  unsigned level;
};

/* A page is written by one thread until it is added to the cache, and
 * never changes afterwards.
 */
struct table_page {
  struct table_key key;
  atomic_uint refs;
  uint32_t nr;                  /* entries */
  bool transient;               /* not to be kept, since a read failed */
  bool changed;                 /* the owner's, of pages not in the cache */
  uint64_t copies[2];           /* the same */
  size_t bytes;                 /* memory, with this header */
  uint64_t note[2];             /* the owner's */
  struct table_page *hash_next;
  struct table_page *newer, *older;
  _Alignas (8) uint8_t entries[];
};

/* 'budget' is in bytes; pages that owners hold may have a quarter as much
 * beside.  Returns NULL if memory is short.
 */
extern struct table_cache *table_cache_new (uint64_t budget);

/* No page may be in use. */
extern void table_cache_free (struct table_cache *cache);

/* A number that no other owner of pages in this cache has or had: pages
 * may stay when their owner has gone.
 */
extern uint64_t table_cache_owner (struct table_cache *cache);

/* A new page with room for 'size' bytes of entries and one reference,
 * not in the cache.  NULL if memory is short.
 */
extern struct table_page *table_page_new (size_t size);

/* The page with this key, or NULL.  The caller gets a reference. */
extern struct table_page *table_cache_find (struct table_cache *cache,
                                            const struct table_key *key);

/* Put a page into the cache, whose 'key' is set.  Consumes the caller's
 * reference and returns a page with that key and a reference: this one
 * or, if another thread was faster, an equal one.
 */
extern struct table_page *table_cache_add (struct table_cache *cache,
                                           struct table_page *page);

/* May its owner hold on to this page for as long as it likes?  Returns false if
 * too many are held already; otherwise table_cache_release must follow before
 * the owner's reference is dropped.
 */
extern bool table_cache_hold (struct table_cache *cache,
                              const struct table_page *page);

/* The owner does not hold the page any more. */
extern void table_cache_release (struct table_cache *cache,
                                 const struct table_page *page);

/* Take another reference to a page; returns it. */
extern struct table_page *table_page_get (struct table_page *page);

/* Drop a reference.  NULL is accepted. */
extern void table_page_put (struct table_page *page);

#endif /* VMDK_TABLECACHE_H */
