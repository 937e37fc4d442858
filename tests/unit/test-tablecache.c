/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The cache of table pages: finding, adding twice, and the budget. */

#include <config.h>

#include "tablecache.h"
#include "unit.h"

static const uint64_t owners[2] = { 1, 2 };

static struct table_page *
new_page (uint64_t owner, unsigned level, uint64_t index, size_t size)
{
  struct table_page *page = table_page_new (size);

  assert_non_null (page);
  page->key = (struct table_key) {
    .owner = owner, .level = level, .index = index,
  };
  memset (page->entries, (int) index, size);
  return page;
}

/* Is the page there?  What is in it must be what was put in. */
static bool
is_there (struct table_cache *cache, uint64_t owner, unsigned level,
          uint64_t index)
{
  const struct table_key key = {
    .owner = owner, .level = level, .index = index,
  };
  struct table_page *page = table_cache_find (cache, &key);

  if (!page)
    return false;
  assert_true (page->key.owner == owner);
  assert_int_equal (page->key.level, level);
  assert_true (page->key.index == index);
  assert_int_equal (page->entries[0], (uint8_t) index);
  table_page_put (page);
  return true;
}

static void
test_new_page (void **state)
{
  struct table_page *page = table_page_new (100);

  assert_non_null (page);
  assert_int_equal (page->bytes, sizeof *page + 100);
  assert_true (page->note[0] == 0 && page->note[1] == 0);
  assert_int_equal ((uintptr_t) page->entries % 8, 0);
  table_page_put (page);
  table_page_put (NULL);
}

/* Every part of the key counts. */
static void
test_find_and_add (void **state)
{
  struct table_cache *cache = table_cache_new (1 << 20);
  struct table_page *page;

  assert_non_null (cache);
  assert_false (is_there (cache, owners[0], 1, 7));
  page = new_page (owners[0], 1, 7, 64);
  assert_ptr_equal (table_cache_add (cache, page), page);
  table_page_put (page);
  assert_true (is_there (cache, owners[0], 1, 7));
  assert_false (is_there (cache, owners[1], 1, 7));
  assert_false (is_there (cache, owners[0], 0, 7));
  assert_false (is_there (cache, owners[0], 2, 7));
  assert_false (is_there (cache, owners[0], 1, 8));
  assert_false (is_there (cache, owners[0], 1,
                          7 + (UINT64_C (1) << 32)));
  assert_false (is_there (cache, 0, 1, 7));
  table_cache_free (cache);
  table_cache_free (NULL);
}

/* Many keys, more than there are buckets in a shard. */
static void
test_many (void **state)
{
  struct table_cache *cache = table_cache_new (UINT64_C (1) << 30);
  uint64_t i;

  assert_non_null (cache);
  for (i = 0; i < 40000; ++i)
    table_page_put (table_cache_add (cache, new_page (owners[i % 2],
                                                      i % 3, i, 8)));
  for (i = 0; i < 40000; ++i) {
    assert_true (is_there (cache, owners[i % 2], i % 3, i));
    assert_false (is_there (cache, owners[i % 2], 3, i));
  }
  table_cache_free (cache);
}

/* The second thread to load a page is given the first one's. */
static void
test_added_twice (void **state)
{
  struct table_cache *cache = table_cache_new (1 << 20);
  struct table_page *first = new_page (owners[0], 0, 5, 64);
  struct table_page *second = new_page (owners[0], 0, 5, 64);

  assert_non_null (cache);
  assert_ptr_equal (table_cache_add (cache, first), first);
  assert_ptr_equal (table_cache_add (cache, second), first);
  table_page_put (first);
  table_page_put (first);
  assert_true (is_there (cache, owners[0], 0, 5));
  table_cache_free (cache);
}

/* A page in use outlives its place in the cache. */
static void
test_in_use_while_evicted (void **state)
{
  struct table_cache *cache = table_cache_new (0);
  struct table_page *page = new_page (owners[0], 0, 1000, 4096);
  uint64_t i;

  assert_non_null (cache);
  assert_ptr_equal (table_cache_add (cache, page), page);
  for (i = 0; i < 500; ++i)
    table_page_put (table_cache_add (cache, new_page (owners[0], 0, i,
                                                      4096)));
  assert_false (is_there (cache, owners[0], 0, 1000));
  for (i = 0; i < 4096; ++i)
    assert_int_equal (page->entries[i], (uint8_t) 1000);
  table_page_put (page);
  table_cache_free (cache);
}

static size_t
count (struct table_cache *cache, uint64_t nr)
{
  size_t n = 0;
  uint64_t i;

  for (i = 0; i < nr; ++i)
    n += is_there (cache, owners[0], 0, i);
  return n;
}

/* The budget holds, and most of it is put to use. */
static void
test_budget (void **state)
{
  const size_t budget = 1 << 20, size = 4000;
  struct table_cache *cache = table_cache_new (budget);
  const size_t fits = budget / (sizeof (struct table_page) + size);
  uint64_t i;

  assert_non_null (cache);
  for (i = 0; i < 2000; ++i) {
    table_page_put (table_cache_add (cache, new_page (owners[0], 0, i, size)));
    assert_true (is_there (cache, owners[0], 0, i));
    if (i % 100 == 99)
      assert_true (count (cache, i + 1) <= fits);
  }
  assert_in_range (count (cache, 2000), fits * 3 / 4, fits);
  table_cache_free (cache);
}

/* Without a budget the newest page stays, so that one who has just
 * added it finds it; but no others.
 */
static void
test_no_budget (void **state)
{
  struct table_cache *cache = table_cache_new (0);
  uint64_t i;

  assert_non_null (cache);
  for (i = 0; i < 1000; ++i) {
    table_page_put (table_cache_add (cache, new_page (owners[0], 0, i, 64)));
    assert_true (is_there (cache, owners[0], 0, i));
  }
  assert_in_range (count (cache, 1000), 1, 16);
  table_cache_free (cache);
}

/* What is looked up often stays; what is not goes first. */
static void
test_least_recently_used (void **state)
{
  struct table_cache *cache = table_cache_new (1 << 20);
  uint64_t i;

  assert_non_null (cache);
  for (i = 0; i < 16; ++i)
    table_page_put (table_cache_add (cache, new_page (owners[0], 0, i,
                                                      4000)));
  for (i = 16; i < 3000; ++i) {
    assert_true (is_there (cache, owners[0], 0, i % 8));
    table_page_put (table_cache_add (cache, new_page (owners[0], 0, i,
                                                      4000)));
  }
  assert_int_equal (count (cache, 8), 8);
  for (i = 8; i < 16; ++i)
    assert_false (is_there (cache, owners[0], 0, i));
  table_cache_free (cache);
}

/* Adding a page again is a use as well. */
static void
test_adding_again_is_a_use (void **state)
{
  struct table_cache *cache = table_cache_new (1 << 20);
  uint64_t i;

  assert_non_null (cache);
  for (i = 1; i < 3000; ++i) {
    table_page_put (table_cache_add (cache, new_page (owners[0], 0, 0, 4000)));
    table_page_put (table_cache_add (cache, new_page (owners[0], 0, i, 4000)));
    assert_true (i < 500 || i > 600 || !is_there (cache, owners[0], 0, 1));
  }
  assert_true (is_there (cache, owners[0], 0, 0));
  table_cache_free (cache);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_new_page),
    cmocka_unit_test (test_find_and_add),
    cmocka_unit_test (test_many),
    cmocka_unit_test (test_added_twice),
    cmocka_unit_test (test_in_use_while_evicted),
    cmocka_unit_test (test_budget),
    cmocka_unit_test (test_no_budget),
    cmocka_unit_test (test_least_recently_used),
    cmocka_unit_test (test_adding_again_is_a_use),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
