/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* recover.c over images of several shapes: as writers leave them, and
 * damaged.
 */

#include <config.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "recover-image.h"

/* What is in order is not touched. */
static void
test_clean (void **state)
{
  unsigned shape;

  (void) state;
  for (shape = 0; shape < 4; ++shape) {
    make_shape (shape);
    fill ();
    assert_done (run (false, false, 0));
    assert_int_equal (m.writes, 0);
    check_consistent ();
  }
}

/* Whatever a writer left is put right: each entry is what readers saw, the
 * primary's.
 */
static void
test_published (void **state)
{
  static uint32_t old[5000], new[5000], was[5000];
  unsigned round;
  uint64_t i;

  (void) state;
  for (round = 0; round < 160; ++round) {
    const bool interrupted = round / 4 % 2;

    make_shape (round % 4);
    fill ();
    publish (old, new);
    for (i = 0; i < m.layout.nr_grains; ++i)
      was[i] = get (0, i);
    assert_done (run (interrupted, true, 0));
    assert_int_equal (report.nr_differing, report.nr_mended);
    for (i = 0; i < m.layout.nr_grains; ++i) {
      assert_int_equal (get (0, i), was[i]);
      assert_true (was[i] == old[i] || was[i] == new[i]);
    }
    check_consistent ();
  }
}

/* Without leave to repair the differences are only counted. */
static void
test_only_looking (void **state)
{
  (void) state;
  make_shape (0);
  fill ();
  set_all (7, 0);
  set (1, 7, 1);
  set_all (1299, 1);
  set (0, 1299, 0);
  store_le32 (directory_entry (1, 1), 0);
  assert_done (run (false, false, 0));
  assert_int_equal (m.writes, 0);
  assert_int_equal (report.nr_differing, 3);
  assert_int_equal (report.nr_mended, 0);
  assert_done (recover ());
  assert_int_equal (report.nr_mended, 3);
  check_consistent ();
}

/* Anything may stand in the tables and directories: it is refused, and not
 * changed, or made consistent.
 */
static void
test_damaged (void **state)
{
  static uint8_t before[MAX_DATA];
  unsigned round, done = 0, refused = 0, i;

  (void) state;
  for (round = 0; round < 3000; ++round) {
    const unsigned changes = 1 + (unsigned) random_below (&seed, 3);

    make_shape (4 + round % 2);
    assert_true (m.sectors <= MAX_META);
    fill ();
    for (i = 0; i < changes; ++i) {
      const uint64_t at = FIRST_DIRECTORY * SECTOR_SIZE + 4 *
        random_below (&seed, round % 3 == 0 ? SECTOR_SIZE / 4 :
                      (m.first_grain - FIRST_DIRECTORY) * SECTOR_SIZE / 4);
      const uint64_t random = next_random (&seed) >> 20;
      const uint32_t values[] = {
        0, 1, (uint32_t) random, (uint32_t) (random % (m.sectors + 2)),
        load_le32 (m.data + at) + (uint32_t) (random % 5) - 2,
        (uint32_t) (m.sectors - random % 3), UINT32_MAX,
      };

      store_le32 (m.data + at, values[random_below (&seed, 7)]);
    }
    memcpy (before, m.data, sizeof before);
    image_sync (&m.io, &error);
    if (run (round / 2 % 2, true, 0) == 0) {
      check_consistent ();
      done++;
    }
    else {
      assert_error (&error, VMDK_ERROR_CORRUPT, 0, "t.vmdk: ");
      assert_int_equal (m.writes, 0);
      assert_memory_equal (before, m.data, sizeof before);
      refused++;
    }
  }
  assert_true (done > 100 && refused > 100);
}

/* Tables lie where they can, whole. */
static void
test_tables_misplaced (void **state)
{
  (void) state;
  make (2, 512, 1300, 8, 0);
  fill ();

  /* Half in the other directory. */
  store_le32 (directory_entry (0, 2),
              (uint32_t) m.layout.directory[1] - 2);
  assert_refused (recover (), VMDK_ERROR_CORRUPT, "overlaps");

  /* The same in both directories. */
  make (2, 512, 1300, 8, 0);
  store_le32 (directory_entry (1, 2), load_le32 (directory_entry (0, 2)));
  assert_refused (recover (), VMDK_ERROR_CORRUPT,
                  "redundant grain table 2 at sector 12 overlaps "
                  "grain table 2 at sector 12");

  /* The end of the file is inside one: it is made again behind that. */
  make (2, 512, 1300, 8, 0);
  fill ();
  store_le32 (directory_entry (0, 2), (uint32_t) m.sectors - 3);
  assert_done (recover ());
  assert_int_equal (load_le32 (directory_entry (0, 2)), m.sectors);
  assert_int_equal (report.end, m.sectors + 4);
  assert_int_equal (report.nr_mended, 1);
  check_consistent ();

  /* Without a twin that is the end of it. */
  make (1, 4096, 5000, 1, 0);
  store_le32 (directory_entry (0, 1), (uint32_t) m.sectors - 3);
  assert_refused (recover (), VMDK_ERROR_CORRUPT, "grain table 1");

  /* Where a directory comes before the descriptor, which only the decoder
   * knows, a table may begin before that and go on inside.
   */
  make (1, 512, 1300, 8, 0);
  descriptor = m.first_grain + 1003;
  m.layout.plain_from = descriptor + 1;
  store_le32 (directory_entry (0, 2), (uint32_t) descriptor - 3);
  assert_refused (recover (), VMDK_ERROR_CORRUPT,
                  "where grain table 2 is");
  descriptor = 0;
}

/* All of a directory's tables are made again, with one sync before they are
 * named.
 */
static void
test_missing_directory (void **state)
{
  unsigned copy;
  uint64_t i;

  (void) state;
  for (copy = 0; copy < 2; ++copy) {
    make (2, 128, 130 * 128 + 5, 8, 0);
    fill ();
    for (i = 0; i < m.nr_tables; ++i)
      store_le32 (directory_entry (copy, i), 0);
    assert_done (recover ());
    assert_int_equal (m.writes, m.nr_tables + 2);
    assert_int_equal (report.nr_mended, m.nr_tables);
    assert_int_equal (report.end, m.sectors + m.nr_tables);
    check_consistent ();
  }

  /* But not behind what an entry can name. */
  make (2, 512, 1300, 8, UINT32_MAX - UINT64_C (4));
  store_le32 (directory_entry (1, 2), 0);
  assert_refused (recover (), VMDK_ERROR_CORRUPT, "no place for 1 missing");
}

static atomic_bool begun, stop;

/* Another thread, which begins to sync all the time and never comes to an
 * end.
 */
static void *
begin_syncs (void *opaque)
{
  (void) opaque;
  while (!atomic_load (&stop)) {
    atomic_store (&m.io.unsynced, false);
    atomic_store (&begun, true);
  }
  return NULL;
}

/* A sync that others have begun does not count: the tables may not be durable
 * before it has ended.
 */
static void
test_other_syncs (void **state)
{
  pthread_t thread;
  unsigned round;
  uint64_t i;

  (void) state;
  for (round = 0; round < 200; ++round) {
    make (2, 128, 20 * 128 + 5, 8, 0);
    fill ();
    for (i = 0; i < m.nr_tables; ++i)
      store_le32 (directory_entry (round % 2, i), 0);
    atomic_store (&stop, false);
    atomic_store (&begun, false);
    assert_int_equal (pthread_create (&thread, NULL, begin_syncs, NULL), 0);
    while (!atomic_load (&begun))
      sched_yield ();
    assert_done (recover ());
    atomic_store (&stop, true);
    assert_int_equal (pthread_join (thread, NULL), 0);
    assert_false (m.named_too_early);
    assert_int_equal (report.nr_mended, m.nr_tables);
  }
}

/* Of the last grain only what the disk has must be there. */
static void
test_partial (void **state)
{
  (void) state;
  make (2, 512, 1300, 8, 0);
  set_all (1299, (uint32_t) m.sectors - 1);
  assert_done (recover ());
  assert_int_equal (report.end, m.sectors + 7);
  set_all (1299, 0);
  set_all (1298, (uint32_t) m.sectors - 7);
  assert_refused (recover (), VMDK_ERROR_CORRUPT, "grain 1298 at sector");
  set (0, 1298, 0);
  assert_refused (recover (), VMDK_ERROR_CORRUPT, "grain 1298 at sector");
  set_all (1298, (uint32_t) m.sectors - 8);
  assert_done (recover ());
}

/* Nobody knows what is in tables of other forms. */
static void
test_unsupported (void **state)
{
  (void) state;
  make_shape (0);
  m.layout.entry_size = 8;
  assert_refused (recover (), VMDK_ERROR_UNSUPPORTED, "not written");
  make_shape (0);
  m.layout.entries_per_table = 64;
  assert_refused (recover (), VMDK_ERROR_UNSUPPORTED, "not written");
  m.layout.entries_per_table = 131072;
  assert_refused (recover (), VMDK_ERROR_UNSUPPORTED, "not written");
  make_shape (0);
  m.layout.nr_grains = UINT64_C (1) << 50;
  assert_refused (recover (), VMDK_ERROR_UNSUPPORTED, "not written");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_clean),
    cmocka_unit_test (test_published),
    cmocka_unit_test (test_only_looking),
    cmocka_unit_test (test_damaged),
    cmocka_unit_test (test_tables_misplaced),
    cmocka_unit_test (test_missing_directory),
    cmocka_unit_test (test_other_syncs),
    cmocka_unit_test (test_partial),
    cmocka_unit_test (test_unsupported),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
