/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Many threads that find and add the same pages, with room for half of
 * them.
 */

#include <config.h>

#include "tablecache.h"
#include "unit.h"

#define NR_THREADS 16
#define NR_PAGES 400
#define ENTRIES 512

static struct table_cache *cache;
static atomic_uint wrong, added, found;

/* The contents follow from the key. */
static void
fill (struct table_page *page)
{
  uint64_t *entries = (uint64_t *) page->entries;
  uint64_t i;

  for (i = 0; i < ENTRIES; ++i)
    entries[i] = page->key.index * 1000003 + i;
}

static bool
is_right (const struct table_page *page, const struct table_key *key)
{
  const uint64_t *entries = (const uint64_t *) page->entries;
  uint64_t i;

  if (page->key.index != key->index)
    return false;
  for (i = 0; i < ENTRIES; i += 37)
    if (entries[i] != key->index * 1000003 + i)
      return false;
  return true;
}

static void *
work (void *arg)
{
  uint64_t seed = (uintptr_t) arg + 1;
  struct table_page *kept[4] = { NULL };
  unsigned i;

  for (i = 0; i < 20000; ++i) {
    const struct table_key key = {
      .owner = 1, .index = random_below (&seed, NR_PAGES),
    };
    struct table_page *page = table_cache_find (cache, &key);

    if (page)
      atomic_fetch_add (&found, 1);
    else {
      page = table_page_new (ENTRIES * sizeof (uint64_t));
      if (!page) {
        atomic_fetch_add (&wrong, 1);
        break;
      }
      page->key = key;
      fill (page);
      page = table_cache_add (cache, page);
      atomic_fetch_add (&added, 1);
    }
    if (!is_right (page, &key))
      atomic_fetch_add (&wrong, 1);

    /* Some are held while others are evicted. */
    table_page_put (kept[i % 4]);
    kept[i % 4] = page;
  }
  for (i = 0; i < 4; ++i)
    table_page_put (kept[i]);
  return NULL;
}

static void
test_threads (void **state)
{
  pthread_t threads[NR_THREADS];
  uintptr_t i;

  cache = table_cache_new (NR_PAGES / 2 * ENTRIES * sizeof (uint64_t));
  assert_non_null (cache);
  for (i = 0; i < NR_THREADS; ++i)
    assert_int_equal (pthread_create (&threads[i], NULL, work, (void *) i),
                      0);
  for (i = 0; i < NR_THREADS; ++i)
    pthread_join (threads[i], NULL);
  assert_int_equal (atomic_load (&wrong), 0);

  /* Both paths were taken, often. */
  assert_true (atomic_load (&added) > NR_PAGES);
  assert_true (atomic_load (&found) > NR_PAGES);
  table_cache_free (cache);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_threads),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
