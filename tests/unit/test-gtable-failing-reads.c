/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Reads of tables that fail: what they hide is bad for as long as they
 * fail, and what can be read is not touched by it.
 */

#include <config.h>

#include <limits.h>

#include "tables.h"

#define BASE UINT64_C (1000000)
#define DAMAGED UINT64_C (0xfffffff0)
#define E 512
#define NR (E * 300)

/* The range of bytes that cannot be read, the number of reads of it
 * that still succeed, and then of those that fail.
 */
static uint64_t from, to;
static unsigned good_reads, bad_reads;

static bool
fails (struct tables *t, uint64_t offset, size_t count)
{
  if (offset >= to || offset + count <= from)
    return false;
  t->calls++;
  return t->calls > good_reads && t->calls - good_reads <= bad_reads;
}

/* Let reads that meet 'n' sectors from 'sector' on fail. */
static void
fail_at (struct tables *t, uint64_t sector, uint64_t n, unsigned good,
         unsigned bad)
{
  from = sector * SECTOR_SIZE;
  to = from + n * SECTOR_SIZE;
  good_reads = good;
  bad_reads = bad;
  t->calls = 0;
  t->fails = fails;
}

#define FOREVER (UINT_MAX - 1)

static void
init (struct tables *t, bool redundant)
{
  uint64_t i;

  tables_init (t, 4, E, NR, 16, redundant);
  for (i = 0; i < NR; ++i)
    tables_set_grains (t, i, BASE + 16 * i);
  tables_open (t);
}

static void
assert_whole (struct tables *t)
{
  assert_run (t, 0, NR, BASE, NR);
}

/* One sector of a table: its 128 entries are bad, and no others. */
static void
test_table_sector (void **state)
{
  struct tables t;

  init (&t, false);
  fail_at (&t, tables_sector (&t, 0, 7) + 2, 1, 0, FOREVER);
  assert_run (&t, 0, NR, BASE, 7 * E + 256);
  assert_run (&t, 7 * E + 256, NR - 7 * E - 256, ENTRY_BAD, 128);
  assert_run (&t, 7 * E + 384, NR - 7 * E - 384,
              BASE + (7 * E + 384) * 16, NR - 7 * E - 384);
  assert_explained (&t, 7 * E + 256, VMDK_ERROR_IO, "pread: ");

  /* The next time they can be read. */
  t.fails = NULL;
  assert_whole (&t);
  tables_free (&t);
}

/* The redundant table has what the primary one hides. */
static void
test_table_sector_mended (void **state)
{
  struct tables t;

  init (&t, true);
  fail_at (&t, tables_sector (&t, 0, 7) + 2, 1, 0, FOREVER);
  assert_whole (&t);
  assert_logged (&t.log, 1, "grain table 7 is damaged");
  tables_free (&t);
}

static void
test_both_tables (void **state)
{
  struct tables t;

  init (&t, true);
  tables_set_grain (&t, 0, 7 * E, DAMAGED);
  fail_at (&t, tables_sector (&t, 1, 7), 4, 0, FOREVER);
  assert_run (&t, 7 * E, E, ENTRY_BAD, 1);
  assert_run (&t, 7 * E + 1, E, BASE + (7 * E + 1) * 16, E);
  t.fails = NULL;
  assert_whole (&t);
  tables_free (&t);
}

/* A sector of the directory: its 128 tables are bad. */
static void
test_directory_sector (void **state)
{
  struct tables t;
  struct vmdk_error error;
  uint64_t bad;

  init (&t, false);
  fail_at (&t, t.layout.directory[0] + 1, 1, 0, FOREVER);
  assert_run (&t, 0, NR, BASE, 128 * E);
  assert_run (&t, 128 * E, NR - 128 * E, ENTRY_BAD, 128 * E);
  assert_run (&t, 256 * E, NR - 256 * E, BASE + 256 * E * 16,
              NR - 256 * E);
  assert_int_equal (gtable_check_directory (t.gt, &bad, &error), 0);
  assert_int_equal (bad, 128);
  assert_explained (&t, 128 * E, VMDK_ERROR_IO, "pread: ");
  t.fails = NULL;
  assert_whole (&t);
  assert_int_equal (gtable_check_directory (t.gt, &bad, &error), 0);
  assert_int_equal (bad, 0);
  tables_free (&t);
}

static void
test_directory_sector_mended (void **state)
{
  struct tables t;

  init (&t, true);
  fail_at (&t, t.layout.directory[0] + 1, 1, 0, FOREVER);
  assert_whole (&t);
  assert_logged (&t.log, 1, "128 of its entries");
  tables_free (&t);
}

/* Unlike an entry that is nonsense, one that cannot be read says nothing
 * against a hole in the redundant directory.
 */
static void
test_directory_sector_mended_with_holes (void **state)
{
  struct tables t;

  init (&t, true);
  tables_set_table (&t, 0, 130, 0);
  tables_set_table (&t, 1, 130, 0);
  fail_at (&t, t.layout.directory[0] + 1, 1, 0, FOREVER);
  assert_run (&t, 130 * E, NR - 130 * E, ENTRY_HOLE, E);
  assert_logged (&t.log, 1, "128 of its entries");
  tables_free (&t);
}

/* A read of many sectors that fails once, while those of single sectors
 * do not, costs nothing.
 */
static void
test_once (void **state)
{
  struct tables t;
  uint64_t sector;

  for (sector = 4; sector < 20; ++sector) {
    init (&t, false);
    fail_at (&t, sector, 1, 0, 1);
    assert_whole (&t);
    assert_string_equal (t.log.text, "");
    tables_free (&t);
  }
}

/* A failure of the redundant directory, which is only looked at since
 * the primary one is damaged, is not remembered either.
 */
static void
test_redundant_directory_fails_for_a_while (void **state)
{
  struct tables t;

  init (&t, true);
  tables_set_table (&t, 0, 7, DAMAGED);
  fail_at (&t, t.layout.directory[1], 1, 0, FOREVER);
  assert_run (&t, 7 * E, E, ENTRY_BAD, E);
  t.fails = NULL;
  assert_whole (&t);
  tables_free (&t);
}

/* The same on the way to a redundant table. */
static void
test_way_to_redundant_table_fails_for_a_while (void **state)
{
  struct tables t;

  init (&t, true);
  tables_set_grain (&t, 0, 7 * E, DAMAGED);
  fail_at (&t, t.layout.directory[1], 1, 0, FOREVER);
  assert_run (&t, 7 * E, E, ENTRY_BAD, 1);
  t.fails = NULL;
  assert_whole (&t);
  tables_free (&t);
}

/* A failure that goes away does not hide that a table is not there: a
 * hole in the primary directory that the redundant one might fill.
 */
static void
test_hole_while_redundant_directory_fails (void **state)
{
  struct tables t;

  init (&t, true);
  tables_set_table (&t, 0, 7, 0);
  fail_at (&t, t.layout.directory[1], 1, 0, FOREVER);
  assert_run (&t, 6 * E, 1, BASE + 6 * E * 16, 1);
  t.fails = NULL;
  assert_whole (&t);
  tables_free (&t);
}

/* A page of the directory is not kept as long as one of its sectors
 * cannot be read, so that a look-up reads it more than once.  If another
 * of its sectors fails the second time, there is no table, and nothing
 * else in the file must be taken for one: here its first sectors hold
 * what would be entries.
 */
static bool
fails_in_two_places (struct tables *t, uint64_t offset, size_t count)
{
  const uint64_t directory = t->layout.directory[0] * SECTOR_SIZE;

  if (offset >= directory + 3 * SECTOR_SIZE ||
      offset + count <= directory)
    return false;
  if (count > SECTOR_SIZE || offset == directory + SECTOR_SIZE)
    return true;
  /* Sector 0, read alone: good the first time. */
  return offset == directory && t->calls++ >= good_reads;
}

static void
test_directory_page_that_is_not_kept (void **state)
{
  for (good_reads = 0; good_reads < 4; ++good_reads) {
    const uint64_t grain = 5 * E + 200;
    uint64_t code = 99, count = 99;
    struct vmdk_error error;
    struct tables t;
    unsigned i;

    init (&t, false);
    for (i = 0; i < 4 * SECTOR_SIZE; i += 4)
      store_le32 (t.data + i, 777777);
    t.fails = fails_in_two_places;
    assert_int_equal (gtable_run (t.gt, grain, 1, false, &code, &count,
                                  &error), 0);
    if (code != ENTRY_BAD && code != BASE + grain * 16)
      fail_msg ("after %u good reads: code %" PRIu64, good_reads, code);
    tables_free (&t);
  }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_table_sector),
    cmocka_unit_test (test_table_sector_mended),
    cmocka_unit_test (test_both_tables),
    cmocka_unit_test (test_directory_sector),
    cmocka_unit_test (test_directory_sector_mended),
    cmocka_unit_test (test_directory_sector_mended_with_holes),
    cmocka_unit_test (test_once),
    cmocka_unit_test (test_redundant_directory_fails_for_a_while),
    cmocka_unit_test (test_way_to_redundant_table_fails_for_a_while),
    cmocka_unit_test (test_hole_while_redundant_directory_fails),
    cmocka_unit_test (test_directory_page_that_is_not_kept),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
