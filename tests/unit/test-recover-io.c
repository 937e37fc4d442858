/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* How recover.c reads and writes: large files, sectors that cannot be read,
 * and no more calls than are needed.
 */

#include <config.h>

#include "recover-image.h"

/* A file that takes many windows of the smallest size, 16 MiB. */
static void
test_windows (void **state)
{
  const uint64_t window = 4096 * 8;
  uint64_t i;

  (void) state;
  make (2, 512, 1300, 128, window * 20 + 200);

  /* The ends of windows are inside grains. */
  for (i = 0; i < 600; ++i)
    set_all (i, (uint32_t) (window * 20 - 60 - i * 1000));
  assert_done (run (false, true, 1));
  assert_int_equal (report.nr_allocated, 600);
  assert_int_equal (report.end, window * 20 - 60 + 128);

  /* They meet where a window begins, or ends, or in the last sector. */
  set_all (1000, (uint32_t) (window * 20));
  assert_refused (run (false, true, 1), VMDK_ERROR_CORRUPT,
                  "grain 1000 at sector 655360 overlaps "
                  "grain 0 at sector 655300");
  set_all (1000, (uint32_t) (window * 20 - 60 - 127));
  assert_refused (run (false, true, 1), VMDK_ERROR_CORRUPT, "overlaps");
  set_all (1000, (uint32_t) (window * 20 - 60 - 128));
  assert_done (run (false, true, 1));
  set_all (1000, 0);
  set_all (1299, (uint32_t) (window * 20 + 199));
  set_all (1298, (uint32_t) (window * 20 + 199 - 127));
  assert_refused (run (false, true, 1), VMDK_ERROR_CORRUPT, "overlaps");
  set_all (1298, (uint32_t) (window * 20 + 199 - 128));
  set_all (0, 0);
  assert_done (run (false, true, 1));

}

/* A file can be much larger than what its tables can name; so many bits would
 * take for ever.  What lies far behind is not passed either.
 */
static void
test_huge_file (void **state)
{
  const uint64_t sectors = MAX_SECTORS;

  (void) state;
  make (2, 512, 1300, 128, sectors);
  set_all (1000, 655360);
  assert_done (run (false, true, 1));
  assert_int_equal (report.end, 655360 + 128);
  m.layout.directory[1] = UINT64_C (1) << 32;
  assert_refused (run (false, true, 1), VMDK_ERROR_UNSUPPORTED,
                  "behind its first 2 TiB");
  make (2, 512, 1300, 128, sectors);
  m.layout.plain_from = UINT64_C (1) << 32;
  assert_refused (run (false, true, 1), VMDK_ERROR_UNSUPPORTED,
                  "behind its first 2 TiB");
}

/* A table that cannot be read is written anew from its twin; if that can
 * neither, or a directory, the error is told.
 */
static void
test_unreadable (void **state)
{
  unsigned copy;

  (void) state;
  for (copy = 0; copy < 2; ++copy) {
    make (2, 512, 1300, 8, 0);
    fill ();
    memset (entry (copy, 512), 0xee, 4 * SECTOR_SIZE);
    m.fail_from[0] = load_le32 (directory_entry (copy, 1)) + 2;
    m.fail_until[0] = m.fail_from[0] + 1;
    assert_done (recover ());
    assert_int_equal (report.nr_mended, 512);
    assert_int_equal (m.fail_until[0], 0);
    check_consistent ();
  }
  m.fail_from[0] = load_le32 (directory_entry (0, 1));
  m.fail_from[1] = load_le32 (directory_entry (1, 1)) + 3;
  m.fail_until[0] = m.fail_from[0] + 1;
  m.fail_until[1] = m.fail_from[1] + 1;
  assert_refused (recover (), VMDK_ERROR_IO, "unreadable");
  m.fail_until[1] = 0;
  m.fail_from[0] = m.layout.directory[1];
  m.fail_until[0] = m.fail_from[0] + 1;
  assert_refused (recover (), VMDK_ERROR_IO, "unreadable");
}

/* What is written is what was checked, also if it can be read one time and
 * cannot the other.
 */
static void
test_unreadable_at_times (void **state)
{
  uint32_t first[2];

  (void) state;
  make (2, 512, 1300, 8, 0);
  set_all (0, place (10));
  set (0, 1, place (10));
  m.fail_from[0] = load_le32 (directory_entry (0, 0));
  m.fail_until[0] = m.fail_from[0] + 4;
  m.fail_last = 3;
  assert_done (recover ());
  assert_int_equal (get (0, 1), 0);
  image_sync (&m.io, &error);
  check_consistent ();

  /* With the tables in another order each is read by itself. */
  make (2, 512, 1300, 8, 0);
  first[0] = load_le32 (directory_entry (0, 0));
  first[1] = load_le32 (directory_entry (0, 1));
  store_le32 (directory_entry (0, 0), first[1]);
  store_le32 (directory_entry (0, 1), first[0]);
  set (0, 3, place (10));
  m.fail_from[0] = first[1];
  m.fail_until[0] = first[1] + 4;
  m.fail_first = 4;
  assert_refused (recover (), VMDK_ERROR_IO, "unreadable");
}

/* Of a table only the sector is written that is not as it must be. */
static void
test_writes (void **state)
{
  (void) state;
  make (2, 512, 1300, 8, 0);
  fill ();
  set_all (400, 0);
  image_sync (&m.io, &error);
  set (1, 400, 1);
  assert_done (recover ());
  assert_int_equal (m.writes, 1);
  assert_int_equal (m.written, SECTOR_SIZE);
  check_consistent ();
}

/* Tables that follow each other are read together. */
static void
test_reads (void **state)
{
  (void) state;
  make (2, 128, 130 * 128 + 5, 8, 0);
  assert_done (recover ());
  assert_int_equal (m.reads, 4);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_windows),
    cmocka_unit_test (test_huge_file),
    cmocka_unit_test (test_unreadable),
    cmocka_unit_test (test_unreadable_at_times),
    cmocka_unit_test (test_writes),
    cmocka_unit_test (test_reads),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
