/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Pages stay in the cache when the gtable that they belong to has gone.
 * Another one, which may well be at the same address, must not find
 * them.
 */

#include <config.h>

#include <string.h>

#include "bytes.h"
#include "gtable.h"
#include "unit.h"

static uint64_t
decode_table (void *opaque, uint64_t table, uint64_t raw)
{
  return raw;
}

static uint64_t
decode_grain (void *opaque, uint64_t grain, uint64_t raw, bool *partial)
{
  return raw;
}

/* The code that the first grain gets, from a file whose directory is in
 * sector 2 and whose only table is in sector 3.
 */
static uint64_t
first_code (struct table_cache *cache, uint32_t entry)
{
  uint8_t data[4 * SECTOR_SIZE] = { 0 };
  const struct logger logger = { 0 };
  struct vmdk_error error;
  struct gtable_layout layout = {
    .io = io_mem_new (data, sizeof data, "t.vmdk", &error),
    .cache = cache,
    .logger = &logger,
    .entry_size = 4,
    .entries_per_table = 128,
    .nr_grains = 1,
    .grain_size = 8,
    .table_size = 1,
    .directory = { 2 },
    .decode_table = decode_table,
    .decode_grain = decode_grain,
  };
  struct gtable *gt;
  uint64_t code, count;

  data[2 * SECTOR_SIZE] = 3;
  memcpy (data + 3 * SECTOR_SIZE, &entry, sizeof entry);
  assert_non_null (layout.io);
  gt = gtable_new (&layout);
  assert_non_null (gt);
  assert_int_equal (gtable_run (gt, 0, 1, false, &code, &count, &error), 0);
  gtable_free (gt);
  io_unref (layout.io);
  return code;
}

static void
test_one_after_another (void **state)
{
  struct table_cache *cache = table_cache_new (1024 * 1024);
  unsigned i;

  assert_non_null (cache);
  for (i = 0; i < 100; ++i) {
    /* The same in either byte order. */
    const uint32_t entry = i % 2 ? UINT32_C (0x10000010) : 0;

    assert_int_equal (first_code (cache, entry), entry);
  }
  table_cache_free (cache);
}

static void
test_owners_differ (void **state)
{
  struct table_cache *cache = table_cache_new (1024 * 1024);
  uint64_t owner;

  assert_non_null (cache);
  owner = table_cache_owner (cache);
  assert_true (table_cache_owner (cache) != owner);
  table_cache_free (cache);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_one_after_another),
    cmocka_unit_test (test_owners_differ),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
