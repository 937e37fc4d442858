/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* What the redundant copy is for: damage of the primary one does not
 * cost a byte, and is told once.
 */

#include <config.h>

#include "tables.h"

#define BASE UINT64_C (1000000)
#define DAMAGED UINT64_C (0xfffffff0)
#define E 64
#define NR (E * 300)            /* three sectors of directory */

/* Grain i lies at BASE + 16 i, in both copies. */
static void
init (struct tables *t)
{
  uint64_t i;

  tables_init (t, 4, E, NR, 16, true);
  for (i = 0; i < NR; ++i)
    tables_set_grains (t, i, BASE + 16 * i);
}

static void
assert_whole (struct tables *t)
{
  assert_run (t, 0, NR, BASE, NR);
  assert_run (t, 5, 1, BASE + 5 * 16, 1);
}

/* How often a piece of text is in the log. */
static unsigned
times_logged (const struct tables *t, const char *piece)
{
  const char *p = t->log.text;
  unsigned n = 0;

  while ((p = strstr (p, piece))) {
    n++;
    p++;
  }
  return n;
}

static void
test_damaged_directory_entries (void **state)
{
  struct vmdk_error error;
  uint64_t bad = 99;
  struct tables t;

  init (&t);
  tables_set_table (&t, 0, 0, DAMAGED);
  tables_set_table (&t, 0, 7, 1);
  tables_set_table (&t, 0, 299, DAMAGED);
  tables_open (&t);
  assert_whole (&t);
  assert_logged (&t.log, 1, "t.vmdk: the grain directory is damaged");
  assert_logged (&t.log, 1, " 3 of its entries");
  assert_int_equal (gtable_check_directory (t.gt, &bad, &error), 0);
  assert_int_equal (bad, 0);
  tables_free (&t);
}

/* No writer takes a table away: one that only the redundant directory
 * knows was lost.
 */
static void
test_directory_entry_zeroed (void **state)
{
  struct tables t;

  init (&t);
  tables_set_table (&t, 0, 3, 0);
  tables_open (&t);
  assert_whole (&t);
  assert_logged (&t.log, 1, "the grain directory is damaged");
  tables_free (&t);
}

/* The primary directory counts where it is whole. */
static void
test_damaged_redundant_directory (void **state)
{
  struct tables t;
  uint64_t i;

  init (&t);
  for (i = 0; i < 300; ++i)
    tables_set_table (&t, 1, i, i % 3 == 0 ? 0 : DAMAGED);
  tables_open (&t);
  assert_whole (&t);
  assert_string_equal (t.log.text, "");
  tables_free (&t);
}

static void
test_damaged_in_both (void **state)
{
  struct vmdk_error error;
  uint64_t bad = 99;
  struct tables t;

  init (&t);
  tables_set_table (&t, 0, 3, DAMAGED);
  tables_set_table (&t, 1, 3, DAMAGED + 1);
  tables_set_table (&t, 0, 9, DAMAGED);
  tables_open (&t);
  assert_run (&t, 0, NR, BASE, 3 * E);
  assert_run (&t, 3 * E, NR - 3 * E, ENTRY_BAD, E);
  assert_run_by_allocation (&t, 3 * E, NR - 3 * E, ENTRY_BAD, E);
  assert_run (&t, 4 * E, NR - 4 * E, BASE + 4 * E * 16, NR - 4 * E);
  assert_int_equal (gtable_check_directory (t.gt, &bad, &error), 0);
  assert_int_equal (bad, 1);
  assert_explained (&t, 3 * E + 1, VMDK_ERROR_CORRUPT,
                    "directory entry of grain table 3 at offset 2060 is "
                    "0xfffffff0");
  tables_free (&t);
}

/* A hole in one and nonsense in the other is a hole. */
static void
test_hole_and_damage (void **state)
{
  struct tables t;

  init (&t);
  tables_set_table (&t, 0, 3, 0);
  tables_set_table (&t, 1, 3, DAMAGED);
  tables_set_table (&t, 0, 5, 0);
  tables_set_table (&t, 1, 5, 0);
  tables_open (&t);
  assert_run (&t, 3 * E, NR - 3 * E, ENTRY_HOLE, E);
  assert_run (&t, 5 * E, NR - 5 * E, ENTRY_HOLE, E);
  assert_string_equal (t.log.text, "");
  tables_free (&t);
}

/* Nonsense in the primary one stands where a table was, or it would be 0: a
 * hole in the other is not what became of it.
 */
static void
test_damage_and_hole (void **state)
{
  struct vmdk_error error;
  uint64_t bad = 99;
  struct tables t;

  init (&t);
  tables_set_table (&t, 0, 3, DAMAGED);
  tables_set_table (&t, 1, 3, 0);
  tables_set_table (&t, 0, 5, DAMAGED);
  tables_open (&t);
  assert_run (&t, 3 * E, NR - 3 * E, ENTRY_BAD, E);
  assert_run (&t, 4 * E, NR - 4 * E, BASE + 4 * E * 16, NR - 4 * E);
  assert_logged (&t.log, 1, " 1 of its entries");
  assert_int_equal (gtable_check_directory (t.gt, &bad, &error), 0);
  assert_int_equal (bad, 1);
  assert_explained (&t, 3 * E, VMDK_ERROR_CORRUPT,
                    "directory entry of grain table 3 at offset 2060 is "
                    "0xfffffff0");
  tables_free (&t);
}

/* A primary directory that validation has found unusable. */
static void
test_no_primary_directory (void **state)
{
  struct tables t;

  init (&t);
  t.layout.directory[0] = 0;
  tables_open (&t);
  assert_whole (&t);
  assert_string_equal (t.log.text, "");

  tables_set_table (&t, 1, 2, DAMAGED);
  tables_reopen (&t, t.size);
  assert_run (&t, 2 * E, NR - 2 * E, ENTRY_BAD, E);
  assert_explained (&t, 2 * E, VMDK_ERROR_CORRUPT, "grain table 2 ");
  tables_free (&t);
}

static void
test_damaged_table_entries (void **state)
{
  struct tables t;

  init (&t);
  tables_set_grain (&t, 0, 0, DAMAGED);
  tables_set_grain (&t, 0, 63, 2);
  tables_set_grain (&t, 0, 100 * E, 3);
  tables_open (&t);
  assert_whole (&t);
  assert_logged (&t.log, 1, "t.vmdk: grain table 0 is damaged");
  assert_logged (&t.log, 1, "2 of its entries");
  assert_int_equal (times_logged (&t, "grain table"), 1);
  tables_free (&t);
}

/* The redundant table may say that there is a hole, or zeroes. */
static void
test_mended_with_holes (void **state)
{
  struct tables t;

  init (&t);
  tables_set_grain (&t, 0, 10, DAMAGED);
  tables_set_grain (&t, 1, 10, 0);
  tables_set_grain (&t, 0, 20, DAMAGED);
  tables_set_grain (&t, 1, 20, 1);
  tables_open (&t);
  assert_run (&t, 0, NR, BASE, 10);
  assert_run (&t, 10, 1, ENTRY_HOLE, 1);
  assert_run (&t, 20, 1, ENTRY_ZERO, 1);
  tables_free (&t);
}

/* The primary entry counts where it is whole, also if they differ. */
static void
test_redundant_table_differs (void **state)
{
  struct tables t;
  uint64_t i;

  init (&t);
  for (i = 0; i < NR; ++i)
    tables_set_grain (&t, 1, i, i % 3 == 0 ? 0 : i % 3 == 1 ?
                      DAMAGED : BASE);
  tables_open (&t);
  assert_whole (&t);
  assert_string_equal (t.log.text, "");
  tables_free (&t);
}

static void
test_table_entry_damaged_in_both (void **state)
{
  struct tables t;

  init (&t);
  tables_set_grain (&t, 0, 10, DAMAGED);
  tables_set_grain (&t, 1, 10, DAMAGED);
  tables_set_grain (&t, 0, 11, DAMAGED);
  tables_set_grain (&t, 0, 12, 3);
  tables_set_grain (&t, 1, 12, 2);
  tables_open (&t);
  assert_run (&t, 0, NR, BASE, 10);
  assert_run (&t, 10, NR - 10, ENTRY_BAD, 1);
  assert_run (&t, 11, NR - 11, BASE + 11 * 16, 1);
  assert_run (&t, 12, NR - 12, ENTRY_BAD, 1);
  assert_run (&t, 13, NR - 13, BASE + 13 * 16, NR - 13);
  assert_logged (&t.log, 2, "1 of its entries");
  assert_logged (&t.log, 2, "grain table 0: 2 entries are damaged");
  assert_explained (&t, 10, VMDK_ERROR_CORRUPT,
                    "table entry of grain 10 at offset");
  assert_explained (&t, 12, VMDK_ERROR_CORRUPT, "is 0x3,");
  tables_free (&t);
}

/* The redundant directory has no whole way to the table. */
static void
test_table_without_twin (void **state)
{
  static const uint64_t entries[] = { 0, DAMAGED };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (entries); ++i) {
    struct tables t;

    init (&t);
    tables_set_grain (&t, 0, 10, DAMAGED);
    tables_set_grain (&t, 0, 12, DAMAGED);
    tables_set_table (&t, 1, 0, entries[i]);
    tables_open (&t);
    assert_run (&t, 10, NR - 10, ENTRY_BAD, 1);
    assert_run (&t, 11, NR - 11, BASE + 11 * 16, 1);
    assert_run (&t, 12, NR - 12, ENTRY_BAD, 1);
    assert_run (&t, 13, NR - 13, BASE + 13 * 16, NR - 13);
    tables_free (&t);
  }
}

/* The primary entry is of a grain that the file has only the beginning
 * of, the redundant one is 'other'.
 */
static void
check_partial (uint64_t other, bool better)
{
  const uint64_t partial = BASE + 2 * 16 * NR - 8;
  struct tables t;

  init (&t);
  t.file_sectors = BASE + 2 * 16 * NR;
  tables_set_grain (&t, 0, 10, partial);
  tables_set_grain (&t, 1, 10, other);
  tables_open (&t);
  assert_run (&t, 10, 1, better ? other : partial, 1);
  tables_free (&t);
}

/* The redundant entry is taken if it is better. */
static void
test_partial_grain (void **state)
{
  check_partial (BASE, true);
  check_partial (DAMAGED, false);
  check_partial (BASE + 2 * 16 * NR - 7, false);
}

/* A hole is not better: the data that are there, and those that are
 * lost, would read as zeroes.
 */
static void
test_partial_grain_is_no_hole (void **state)
{
  check_partial (0, false);
  check_partial (1, false);
}

/* The file ends in the primary tables, which come last in it. */
static void
test_truncated (void **state)
{
  struct tables t;
  uint64_t cut;

  init (&t);
  /* The copies change places: the primary one is now behind. */
  t.layout.directory[0] ^= t.layout.directory[1];
  t.layout.directory[1] ^= t.layout.directory[0];
  t.layout.directory[0] ^= t.layout.directory[1];
  tables_open (&t);
  assert_whole (&t);
  for (cut = 300; cut < 200 * SECTOR_SIZE; cut = cut * 3 + 1) {
    tables_reopen (&t, t.size - cut);
    assert_whole (&t);
    assert_logged (&t.log, 1, "is damaged");
  }
  /* And in the middle of the primary directory. */
  tables_reopen (&t, (t.layout.directory[0] + 1) * SECTOR_SIZE);
  assert_whole (&t);
  assert_logged (&t.log, 2, "the grain directory is damaged");
  tables_free (&t);
}

/* The same without a second copy: what is there is read. */
static void
test_truncated_without_copy (void **state)
{
  struct tables t;
  uint64_t i;

  tables_init (&t, 4, 512, 2048, 16, false);
  for (i = 0; i < 2048; ++i)
    tables_set_grains (&t, i, BASE + 16 * i);
  tables_open (&t);

  /* Two sectors of the last table are missing. */
  tables_reopen (&t, t.size - 2 * SECTOR_SIZE);
  assert_run (&t, 0, 2048, BASE, 2048 - 256);
  assert_run (&t, 2048 - 256, 256, ENTRY_BAD, 256);
  assert_logged (&t.log, 1, "grain table 3: 256 entries are damaged");
  assert_explained (&t, 2047, VMDK_ERROR_IO, "end of file");
  tables_free (&t);
}

/* Each kind of damage is told once for an extent, not once a page. */
static void
test_said_once (void **state)
{
  struct tables t;
  uint64_t i;

  init (&t);
  for (i = 0; i < 300; ++i) {
    tables_set_grain (&t, 0, i * E, DAMAGED);
    tables_set_grain (&t, 0, i * E + 1, DAMAGED);
    tables_set_grain (&t, 1, i * E + 1, DAMAGED);
    if (i % 2 == 0)
      tables_set_table (&t, 0, i, DAMAGED);
  }
  tables_open (&t);
  for (i = 0; i < 300; ++i) {
    assert_run (&t, i * E, 2, BASE + i * E * 16, 1);
    assert_run (&t, i * E + 1, 2, ENTRY_BAD, 1);
  }
  assert_int_equal (t.log.warnings, 3);
  assert_int_equal (t.log.notes, 0);
  assert_int_equal (times_logged (&t, "the grain directory is damaged"), 1);
  assert_int_equal (times_logged (&t, "redundant one is used"), 2);
  assert_int_equal (times_logged (&t, "entries are damaged"), 1);
  tables_free (&t);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_damaged_directory_entries),
    cmocka_unit_test (test_directory_entry_zeroed),
    cmocka_unit_test (test_damaged_redundant_directory),
    cmocka_unit_test (test_damaged_in_both),
    cmocka_unit_test (test_hole_and_damage),
    cmocka_unit_test (test_damage_and_hole),
    cmocka_unit_test (test_no_primary_directory),
    cmocka_unit_test (test_damaged_table_entries),
    cmocka_unit_test (test_mended_with_holes),
    cmocka_unit_test (test_redundant_table_differs),
    cmocka_unit_test (test_table_entry_damaged_in_both),
    cmocka_unit_test (test_table_without_twin),
    cmocka_unit_test (test_partial_grain),
    cmocka_unit_test (test_partial_grain_is_no_hole),
    cmocka_unit_test (test_truncated),
    cmocka_unit_test (test_truncated_without_copy),
    cmocka_unit_test (test_said_once),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
