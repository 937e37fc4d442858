/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Runs of grains in tables without damage. */

#include <config.h>

#include "tables.h"

#define BASE UINT64_C (1000000) /* sectors; behind every table here */

/* In both widths: holes, zeroes, data that follow each other, data that
 * do not, and the end of the extent.
 */
static void
test_kinds (void **state)
{
  unsigned size;

  for (size = 4; size <= 8; size += 4) {
    struct tables t;
    uint64_t i;

    tables_init (&t, size, 512, 1000, 128, true);
    for (i = 10; i < 20; ++i)
      tables_set_grains (&t, i, 1);
    for (i = 20; i < 40; ++i)           /* 20 in one piece */
      tables_set_grains (&t, i, BASE + i * 128);
    for (i = 40; i < 50; ++i)           /* 10 backwards */
      tables_set_grains (&t, i, BASE + (100 - i) * 128);
    tables_set_grains (&t, 51, BASE);
    tables_set_grains (&t, 52, BASE);   /* the same grain twice */
    tables_set_grains (&t, 53, BASE + 129); /* not aligned */
    tables_set_grains (&t, 54, BASE + 129 + 128);
    tables_open (&t);

    assert_run (&t, 0, 1000, ENTRY_HOLE, 10);
    assert_run (&t, 3, 1000 - 3, ENTRY_HOLE, 7);
    assert_run (&t, 3, 2, ENTRY_HOLE, 2);
    assert_run (&t, 9, 1, ENTRY_HOLE, 1);
    assert_run (&t, 10, 990, ENTRY_ZERO, 10);
    assert_run (&t, 20, 980, BASE + 20 * 128, 20);
    assert_run (&t, 21, 979, BASE + 21 * 128, 19);
    assert_run (&t, 21, 5, BASE + 21 * 128, 5);
    assert_run (&t, 39, 900, BASE + 39 * 128, 1);
    assert_run (&t, 40, 900, BASE + 60 * 128, 1);
    assert_run (&t, 49, 900, BASE + 51 * 128, 1);
    assert_run (&t, 50, 900, ENTRY_HOLE, 1);
    assert_run (&t, 51, 900, BASE, 1);
    assert_run (&t, 52, 900, BASE, 1);
    assert_run (&t, 53, 900, BASE + 129, 2);
    assert_run (&t, 55, 945, ENTRY_HOLE, 945);
    assert_run (&t, 999, 1, ENTRY_HOLE, 1);

    assert_run_by_allocation (&t, 0, 1000, ENTRY_HOLE, 10);
    assert_run_by_allocation (&t, 10, 990, ENTRY_ZERO, 10);
    assert_run_by_allocation (&t, 20, 980, BASE + 20 * 128, 30);
    assert_run_by_allocation (&t, 45, 955, BASE + 55 * 128, 5);
    assert_run_by_allocation (&t, 45, 3, BASE + 55 * 128, 3);
    assert_run_by_allocation (&t, 51, 949, BASE, 4);
    assert_string_equal (t.log.text, "");
    tables_free (&t);
  }
}

/* Data that go on in the next tables. */
static void
test_across_tables (void **state)
{
  static const uint32_t sizes[] = {
    1, 2, 64, 512, 4096, 8192, 65536,
  };
  size_t s;

  for (s = 0; s < ARRAY_LENGTH (sizes); ++s) {
    const uint32_t e = sizes[s];
    const uint64_t nr = 3 * (uint64_t) e + e / 2 + 1;
    struct tables t;
    uint64_t i;

    tables_init (&t, 4, e, nr, 8, false);
    for (i = 0; i < nr; ++i)
      tables_set_grains (&t, i, BASE + i * 8);
    tables_open (&t);
    assert_run (&t, 0, nr, BASE, nr);
    assert_run (&t, 1, nr - 1, BASE + 8, nr - 1);
    assert_run (&t, e, nr - e, BASE + e * UINT64_C (8), nr - e);
    assert_run (&t, nr - 1, 1, BASE + (nr - 1) * 8, 1);
    assert_run (&t, e - 1, 2, BASE + (e - 1) * UINT64_C (8), 2);

    /* A gap at the start of the third table. */
    tables_set_grain (&t, 0, 2 * (uint64_t) e, BASE - 8);
    tables_reopen (&t, t.size);
    assert_run (&t, 0, nr, BASE, 2 * (uint64_t) e);
    assert_run (&t, 2 * (uint64_t) e, nr - 2 * (uint64_t) e, BASE - 8, 1);
    assert_run_by_allocation (&t, 0, nr, BASE, nr);

    /* And then one at its end. */
    tables_set_grain (&t, 0, 2 * (uint64_t) e, BASE + 16 * e);
    tables_set_grain (&t, 0, 3 * (uint64_t) e - 1, ENTRY_HOLE);
    tables_reopen (&t, t.size);
    assert_run (&t, 0, nr, BASE, 3 * (uint64_t) e - 1);
    assert_run (&t, 3 * (uint64_t) e - 1, nr - 3 * (uint64_t) e + 1,
                ENTRY_HOLE, 1);
    tables_free (&t);
  }
}

/* Tables that are not there are holes, and are not looked for. */
static void
test_absent_tables (void **state)
{
  struct tables t;
  unsigned before;
  uint64_t i;

  tables_init (&t, 4, 64, 64 * 100, 16, false);
  for (i = 0; i < 100; ++i)
    if (i != 50)
      tables_set_table (&t, 0, i, 0);
  tables_set_grain (&t, 0, 50 * 64 + 1, BASE);
  tables_open (&t);
  before = t.reads;
  assert_run (&t, 0, 50 * 64, ENTRY_HOLE, 50 * 64);
  assert_int_equal (t.reads, before + 1);       /* the directory */
  assert_run (&t, 0, 6400, ENTRY_HOLE, 50 * 64 + 1);
  assert_run (&t, 10, 6390, ENTRY_HOLE, 50 * 64 + 1 - 10);
  assert_run (&t, 70, 5, ENTRY_HOLE, 5);
  assert_run (&t, 50 * 64 + 1, 6400 - 50 * 64 - 1, BASE, 1);
  assert_run (&t, 50 * 64 + 2, 6400 - 50 * 64 - 2, ENTRY_HOLE,
              6400 - 50 * 64 - 2);
  assert_run_by_allocation (&t, 50 * 64 + 2, 6400 - 50 * 64 - 2,
                            ENTRY_HOLE, 6400 - 50 * 64 - 2);
  tables_free (&t);
}

/* More tables than a page of the directory has entries: runs end and
 * begin on either side of the border, and go over it.
 */
static void
test_directory_pages (void **state)
{
  unsigned size;

  for (size = 4; size <= 8; size += 4) {
    const uint64_t nr = 2 * 4096 * 3 + 10;
    struct tables t;
    uint64_t i;

    tables_init (&t, size, 2, nr, 8, true);
    for (i = 0; i < nr; ++i)
      tables_set_grains (&t, i, BASE + i * 8);
    for (i = 8180; i < 8200; ++i)
      tables_set_grains (&t, i, 0);
    for (i = 4096 * 2 - 4; i < 4096 * 2 + 4; ++i)
      tables_set_table (&t, 0, i, 0), tables_set_table (&t, 1, i, 0);
    tables_open (&t);

    assert_run (&t, 6200, nr - 6200, BASE + 6200 * 8, 8180 - 6200);
    assert_run (&t, 8180, nr - 8180, ENTRY_HOLE, 20);
    assert_run (&t, 8190, nr - 8190, ENTRY_HOLE, 10);
    /* A run ends after 1024 pages. */
    assert_run (&t, 0, nr, BASE, 2048);
    assert_run (&t, 8200, nr - 8200, BASE + 8200 * 8, 2048);
    assert_run (&t, 16384 - 8, nr - 16384 + 8, ENTRY_HOLE, 16);
    assert_run (&t, nr - 2000, 2000, BASE + (nr - 2000) * 8, 2000);
    assert_run (&t, nr - 1, 1, BASE + (nr - 1) * 8, 1);
    assert_string_equal (t.log.text, "");
    tables_free (&t);
  }
}

/* What 32 bits hold, and what they do not. */
static void
test_large_entries (void **state)
{
  const uint64_t far = UINT64_C (1) << 40;
  struct tables t;

  tables_init (&t, 8, 512, 512, 128, false);
  t.file_sectors = UINT64_C (1) << 54;
  tables_set_grain (&t, 0, 0, far);
  tables_set_grain (&t, 0, 1, far + 128);
  tables_set_grain (&t, 0, 2, 128);
  tables_set_grain (&t, 0, 3, UINT64_C (1) << 54);
  tables_set_grain (&t, 0, 4, UINT64_MAX);
  tables_open (&t);
  assert_run (&t, 0, 512, far, 2);
  assert_run (&t, 2, 510, 128, 1);
  assert_run (&t, 3, 509, ENTRY_BAD, 2);
  tables_free (&t);

  tables_init (&t, 4, 512, 512, 128, false);
  t.file_sectors = UINT64_C (1) << 32;
  tables_set_grain (&t, 0, 0, UINT32_MAX - 127);
  tables_set_grain (&t, 0, 1, 1);
  tables_open (&t);
  assert_run (&t, 0, 512, UINT32_MAX - 127, 1);
  assert_run (&t, 1, 511, ENTRY_ZERO, 1);
  tables_free (&t);
}

/* Every page is read once. */
static void
test_pages_are_kept (void **state)
{
  struct tables t;
  unsigned i;

  tables_init (&t, 4, 8192, 8192 * 2, 128, true);
  tables_set_grains (&t, 1, BASE);
  tables_open (&t);
  for (i = 0; i < 3; ++i) {
    assert_run (&t, 0, 16384, ENTRY_HOLE, 1);
    assert_run (&t, 2, 16382, ENTRY_HOLE, 16382);
    assert_int_equal (t.reads, 1 + 4);
  }
  tables_free (&t);
}

static void
test_two_extents_share_a_cache (void **state)
{
  struct tables a, b;

  tables_init (&a, 4, 512, 512, 128, false);
  tables_init (&b, 4, 512, 512, 128, false);
  table_cache_free (b.layout.cache);
  b.layout.cache = a.layout.cache;
  tables_set_grain (&a, 0, 0, BASE);
  tables_set_grain (&b, 0, 0, 2 * BASE);
  tables_open (&a);
  tables_open (&b);
  assert_run (&a, 0, 1, BASE, 1);
  assert_run (&b, 0, 1, 2 * BASE, 1);
  assert_run (&a, 0, 1, BASE, 1);
  b.layout.cache = NULL;
  tables_free (&b);
  tables_free (&a);
}

static void
test_healthy_directory (void **state)
{
  struct vmdk_error error;
  uint64_t bad = 99;
  struct tables t;

  tables_init (&t, 4, 2, 20000, 8, true);
  tables_open (&t);
  assert_int_equal (gtable_check_directory (t.gt, &bad, &error), 0);
  assert_int_equal (bad, 0);
  tables_free (&t);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_kinds),
    cmocka_unit_test (test_across_tables),
    cmocka_unit_test (test_absent_tables),
    cmocka_unit_test (test_directory_pages),
    cmocka_unit_test (test_large_entries),
    cmocka_unit_test (test_pages_are_kept),
    cmocka_unit_test (test_two_extents_share_a_cache),
    cmocka_unit_test (test_healthy_directory),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
