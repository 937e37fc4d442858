/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Entries that point at metadata. */

#include <config.h>

#include "tables.h"

#define BASE UINT64_C (1000000)
#define E 128                   /* a sector of entries */
#define GRAIN UINT64_C (16)

/* A grain may end where the tables begin, and begin where they end; any
 * other that meets them is damage.
 */
static void
check_around_the_tables (uint64_t grain_size)
{
  uint64_t start, end, sector;
  struct tables t;

  tables_init (&t, 4, E, 100 * E, grain_size, false);
  start = t.first_table[0];
  end = tables_sector (&t, 0, 100);
  tables_open (&t);
  for (sector = 4; sector < end + 20; ++sector) {
    const bool bad = sector + grain_size > start && sector < end;

    tables_set_grain (&t, 0, 5, sector);
    tables_reopen (&t, t.size);
    assert_run (&t, 5, 1, bad ? ENTRY_BAD : sector, 1);
    if (bad)
      assert_explained (&t, 5, VMDK_ERROR_CORRUPT, "holds metadata");
  }
  tables_free (&t);
}

static void
test_around_the_tables (void **state)
{
  check_around_the_tables (1);
  check_around_the_tables (GRAIN);
}

static void
test_message (void **state)
{
  struct tables t;
  char piece[100];

  tables_init (&t, 4, E, 100 * E, GRAIN, false);
  tables_set_grain (&t, 0, 2 * E + 5, t.first_table[0] + 1);
  tables_open (&t);
  assert_run (&t, 2 * E + 5, 1, ENTRY_BAD, 1);
  snprintf (piece, sizeof piece, "grain %d points at sector %" PRIu64,
            2 * E + 5, t.first_table[0] + 1);
  assert_explained (&t, 2 * E + 5, VMDK_ERROR_CORRUPT, piece);
  assert_logged (&t.log, 1, "grain table 2: 1 entries are damaged");
  tables_free (&t);
}

/* The redundant table knows better. */
static void
test_mended (void **state)
{
  struct tables t;

  tables_init (&t, 4, E, 100 * E, GRAIN, true);
  tables_set_grains (&t, 5, BASE);
  tables_set_grain (&t, 0, 5, t.first_table[0]);
  tables_open (&t);
  assert_run (&t, 5, 1, BASE, 1);
  assert_logged (&t.log, 1, "redundant");
  tables_free (&t);
}

/* Absent tables do not hide where the others are. */
static void
test_with_absent_tables (void **state)
{
  struct tables t;

  tables_init (&t, 4, E, 100 * E, GRAIN, false);
  tables_set_table (&t, 0, 99, 0);
  tables_set_table (&t, 0, 98, 0);
  tables_set_grain (&t, 0, 5, tables_sector (&t, 0, 97));
  tables_set_grain (&t, 0, 6, tables_sector (&t, 0, 98));
  tables_open (&t);
  assert_run (&t, 5, 1, ENTRY_BAD, 1);
  assert_run (&t, 6, 1, tables_sector (&t, 0, 98), 1);
  tables_free (&t);
}

/* Tables that grains lie between, as a writer leaves them who appends
 * each when it is needed.
 */
static void
test_grains_between_tables (void **state)
{
  struct tables t;

  tables_init (&t, 4, E, 100 * E, GRAIN, false);
  tables_set_table (&t, 0, 1, BASE);
  tables_set_table (&t, 0, 0, t.first_table[0]);
  tables_set_table (&t, 0, 2, t.first_table[0] + 50);
  tables_set_grain (&t, 0, 5, t.first_table[0] + 10);
  tables_open (&t);
  assert_run (&t, 5, 1, t.first_table[0] + 10, 1);
  tables_free (&t);
}

/* Let the second copy be the primary one, as all known writers have it. */
static void
swap_copies (struct tables *t)
{
  const uint64_t directory = t->layout.directory[0];
  const uint64_t table = t->first_table[0];

  t->layout.directory[0] = t->layout.directory[1];
  t->layout.directory[1] = directory;
  t->first_table[0] = t->first_table[1];
  t->first_table[1] = table;
}

/* What a grain of the first table and one of the last give that both copies
 * place at this sector.
 */
static void
check_place (struct tables *t, uint64_t sector, bool bad)
{
  const uint64_t last = (t->nr_tables - 1) * E + 3;

  tables_set_grains (t, 5, sector);
  tables_set_grains (t, last, sector);
  tables_reopen (t, t->size);
  assert_run (t, 5, 1, bad ? ENTRY_BAD : sector, 1);
  assert_run (t, last, 1, bad ? ENTRY_BAD : sector, 1);
  if (bad)
    assert_explained (t, last, VMDK_ERROR_CORRUPT, "holds metadata");
}

/* In the usual layout no grain lies in any table of either copy, whichever
 * page of the directory names it.
 */
static void
check_usual_layout (uint64_t nr_tables)
{
  struct tables t;

  tables_init (&t, 4, E, nr_tables * E, GRAIN, true);
  swap_copies (&t);
  t.layout.overhead = tables_sector (&t, 0, nr_tables);
  tables_open (&t);
  check_place (&t, tables_sector (&t, 1, 0), true);
  check_place (&t, tables_sector (&t, 1, nr_tables / 2), true);
  check_place (&t, tables_sector (&t, 1, nr_tables) - 1, true);
  check_place (&t, tables_sector (&t, 0, 0), true);
  check_place (&t, tables_sector (&t, 0, nr_tables) - 1, true);
  check_place (&t, tables_sector (&t, 0, nr_tables), false);
  tables_free (&t);
}

static void
test_usual_layout (void **state)
{
  check_usual_layout (100);
  check_usual_layout (4097);
  check_usual_layout (9000);
}

/* Of another layout less is known: what is between may be a grain. */
static void
test_other_layouts (void **state)
{
  struct tables t;

  tables_init (&t, 4, E, 100 * E, GRAIN, true);
  tables_open (&t);
  check_place (&t, tables_sector (&t, 1, 50), false);
  swap_copies (&t);
  tables_set_table (&t, 1, 0, BASE);
  check_place (&t, tables_sector (&t, 1, 50), false);
  tables_set_table (&t, 1, 0, tables_sector (&t, 1, 0));
  tables_set_table (&t, 0, 0, BASE);
  check_place (&t, tables_sector (&t, 1, 50), false);
  tables_set_table (&t, 0, 0, tables_sector (&t, 0, 0));
  /* The header permits grains there, and somebody may have put them where
   * tables are missing.
   */
  t.layout.overhead = tables_sector (&t, 0, 100) - 1;
  check_place (&t, tables_sector (&t, 1, 50), false);
  t.layout.overhead++;
  check_place (&t, tables_sector (&t, 1, 50), true);
  tables_free (&t);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_around_the_tables),
    cmocka_unit_test (test_message),
    cmocka_unit_test (test_mended),
    cmocka_unit_test (test_with_absent_tables),
    cmocka_unit_test (test_grains_between_tables),
    cmocka_unit_test (test_usual_layout),
    cmocka_unit_test (test_other_layouts),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
