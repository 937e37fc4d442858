/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* COWD extents: what the entries of their tables mean. */

#include <config.h>

#include "one-extent.h"

#define BYTES(sectors) ((sectors) * SECTOR_SIZE)

/* 64 MiB in grains of a sector after the writes of sectors 0, 5 and
 * 12295.
 */
static void
make_example (struct one *o)
{
  uint8_t *p;

  one_init (o, 72);
  p = o->data;
  memcpy (p, "COWD", 4);
  store_le32 (p + 4, 1);
  store_le32 (p + 8, 3);
  store_le32 (p + 12, 131072);
  store_le32 (p + 16, 1);
  store_le32 (p + 20, 4);
  store_le32 (p + 24, 32);
  store_le32 (p + 28, 72);
  store_le32 (p + BYTES (4), 5);
  store_le32 (p + BYTES (4) + 3 * 4, 39);
  store_le32 (p + BYTES (5), 37);
  store_le32 (p + BYTES (5) + 5 * 4, 38);
  store_le32 (p + BYTES (39) + 7 * 4, 71);
  memset (p + BYTES (37), 'a', SECTOR_SIZE);
  memset (p + BYTES (38), 'b', SECTOR_SIZE);
  memset (p + BYTES (71), 'c', SECTOR_SIZE);
}

static struct cowd_header
decode (const struct one *o)
{
  struct cowd_header h;
  struct vmdk_error error;

  if (cowd_decode (o->data, o->size, "t.vmdk", &h, &error) == -1)
    fail_msg ("%s", error.message);
  return h;
}

static void
open_cowd (struct one *o, uint64_t sectors)
{
  const struct cowd_header h = decode (o);
  struct vmdk_error error;

  one_prepare (o);
  o->extent = extent_cowd_new (o->io, &h, BYTES (sectors), &o->env, &error);
  if (!o->extent)
    fail_msg ("%s", error.message);
}

static void
test_example (void **state)
{
  uint8_t expected[8 * 512] = { 0 };
  struct one o;

  make_example (&o);
  open_cowd (&o, 131072);
  assert_int_equal (o.extent->length, BYTES (131072));
  assert_int_equal (o.extent->grain_size, SECTOR_SIZE);
  assert_map (&o, 0, BYTES (131072), RUN_DATA, 512, 37);
  assert_map (&o, 512, BYTES (131071), RUN_HOLE, 4 * 512, 0);
  assert_map (&o, BYTES (5), 10000, RUN_DATA, 512, 38);
  assert_map (&o, BYTES (6), BYTES (131066), RUN_HOLE, BYTES (12289), 0);
  assert_map (&o, BYTES (12295), BYTES (100), RUN_DATA, 512, 71);
  assert_map (&o, BYTES (12296), BYTES (118776), RUN_HOLE, BYTES (118776),
              0);

  memset (expected, 'a', 512);
  memset (expected + 5 * 512, 'b', 512);
  assert_read (&o, 0, expected, sizeof expected);
  assert_read (&o, 100, expected + 100, 3000);
  memset (expected, 0, sizeof expected);
  memset (expected + 512, 'c', 512);
  assert_read (&o, BYTES (12294), expected, sizeof expected);
  assert_logged (&o.log, 0, "");
  one_free (&o);
}

/* An entry of 1 is a zero: it hides the parent. */
static void
test_zero (void **state)
{
  struct one o;

  make_example (&o);
  store_le32 (o.data + BYTES (5) + 1 * 4, 1);
  store_le32 (o.data + BYTES (5) + 2 * 4, 1);
  open_cowd (&o, 131072);
  assert_map (&o, 512, BYTES (100), RUN_ZERO, 2 * 512, 0);
  assert_map (&o, BYTES (3), BYTES (100), RUN_HOLE, 2 * 512, 0);
  one_free (&o);
}

/* Grains cannot lie in the header or directory, tables, or outside. */
static void
test_bad_grains (void **state)
{
  static const uint32_t bad[] = { 2, 3, 4, 72, 73, UINT32_MAX };
  struct one o;
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (bad); ++i) {
    char piece[40];

    make_example (&o);
    store_le32 (o.data + BYTES (5) + 9 * 4, bad[i]);
    open_cowd (&o, 131072);
    snprintf (piece, sizeof piece, "is 0x%" PRIx32 ", ", bad[i]);
    assert_bad (&o, BYTES (9) + 17, piece);
    assert_map (&o, BYTES (9), 5000, RUN_BAD, 512, 0);
    assert_map (&o, BYTES (5), 5000, RUN_DATA, 512, 38);
    one_free (&o);
  }
  make_example (&o);
  store_le32 (o.data + BYTES (5) + 9 * 4, 20);
  open_cowd (&o, 131072);
  assert_bad (&o, BYTES (9), "sector 20, which holds metadata");
  one_free (&o);
}

static void
test_bad_tables (void **state)
{
  static const uint32_t bad[] = { 1, 3, 4, 72, UINT32_MAX };
  struct one o;
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (bad); ++i) {
    make_example (&o);
    store_le32 (o.data + BYTES (4) + 4, bad[i]);
    open_cowd (&o, 131072);
    assert_bad (&o, BYTES (4096), "grain table 1 ");
    assert_map (&o, BYTES (4096), BYTES (5000), RUN_BAD, BYTES (4096), 0);
    assert_map (&o, BYTES (4095), 512, RUN_HOLE, 512, 0);
    assert_map (&o, BYTES (8192), 512, RUN_HOLE, 512, 0);
    one_free (&o);
  }
}

/* The directory here has two sectors, which may hold no grain. */
static void
test_long_directory (void **state)
{
  struct one o;

  make_example (&o);
  store_le32 (o.data + 24, 129);
  memset (o.data + BYTES (4), 0, BYTES (68));
  store_le32 (o.data + BYTES (4), 6);
  store_le32 (o.data + BYTES (6), 5);
  store_le32 (o.data + BYTES (6) + 4, 38);
  open_cowd (&o, 131072);
  assert_bad (&o, 0, "is 0x5, ");
  assert_map (&o, 512, 512, RUN_DATA, 512, 38);
  one_free (&o);
}

/* Tables of 512 entries, as Workstation 3 had them. */
static void
test_512_entries (void **state)
{
  struct one o;

  make_example (&o);
  store_le32 (o.data + 12, 32768);
  store_le32 (o.data + 24, 64);
  memset (o.data + BYTES (4), 0, BYTES (68));
  store_le32 (o.data + BYTES (4) + 63 * 4, 40);
  store_le32 (o.data + BYTES (40) + 511 * 4, 71);
  store_le32 (o.data + BYTES (4) + 1 * 4, 50);
  store_le32 (o.data + BYTES (50), 60);
  open_cowd (&o, 32768);
  assert_map (&o, 0, BYTES (32768), RUN_HOLE, BYTES (512), 0);
  assert_map (&o, BYTES (512), 5000, RUN_DATA, 512, 60);
  assert_map (&o, BYTES (513), BYTES (32255), RUN_HOLE, BYTES (32254), 0);
  assert_map (&o, BYTES (32767), 512, RUN_DATA, 512, 71);
  one_free (&o);
}

/* Nine grains of eight sectors, the last of which is cut by the end of
 * the disk: there the file may end, too.  Of others, what is in the file
 * can be read.
 */
static void
test_partial_grains (void **state)
{
  struct vmdk_error error;
  uint8_t buf[8 * 512];
  struct one o;

  make_example (&o);
  store_le32 (o.data + 12, 69);
  store_le32 (o.data + 16, 8);
  store_le32 (o.data + 24, 1);
  store_le32 (o.data + BYTES (5) + 2 * 4, 64);
  store_le32 (o.data + BYTES (5) + 4 * 4, 65);
  store_le32 (o.data + BYTES (5) + 8 * 4, 67);
  memset (o.data + BYTES (67), 'd', BYTES (5));
  open_cowd (&o, 69);
  assert_map (&o, BYTES (16), BYTES (8), RUN_DATA, BYTES (8), 64);
  assert_map (&o, BYTES (64), BYTES (5), RUN_DATA, BYTES (5), 67);
  assert_read (&o, BYTES (64), o.data + BYTES (67), BYTES (5));
  assert_read (&o, BYTES (32), o.data + BYTES (65), BYTES (7));
  assert_int_equal (one_read (&o, BYTES (32), buf, BYTES (8), &error), -1);
  assert_int_equal (error.err, EIO);
  assert_int_equal (one_read (&o, BYTES (39), buf, 1, &error), -1);
  assert_int_equal (error.err, EIO);
  assert_allocation (&o, BYTES (32), BYTES (8), RUN_DATA, BYTES (8));
  one_free (&o);
}

/* By allocation, the place does not matter. */
static void
test_allocation (void **state)
{
  struct one o;

  make_example (&o);
  store_le32 (o.data + BYTES (5) + 1 * 4, 71);
  store_le32 (o.data + BYTES (5) + 2 * 4, 38);
  open_cowd (&o, 131072);
  assert_map (&o, 0, BYTES (131072), RUN_DATA, 512, 37);
  assert_allocation (&o, 100, BYTES (131071), RUN_DATA, 3 * 512 - 100);
  assert_allocation (&o, 100, 700, RUN_DATA, 700);
  one_free (&o);
}

/* A line may give the extent less, or up to a grain more. */
static void
test_length (void **state)
{
  struct vmdk_error error;
  struct cowd_header h;
  struct one o;

  make_example (&o);
  open_cowd (&o, 6);
  assert_int_equal (o.extent->length, BYTES (6));
  assert_map (&o, BYTES (5), 512, RUN_DATA, 512, 38);
  assert_logged (&o.log, 0, "");
  h = decode (&o);
  assert_null (extent_cowd_new (o.io, &h, BYTES (131073), &o.env, &error));
  assert_error (&error, VMDK_ERROR_CORRUPT, EINVAL,
                "131073 sectors, its header has 131072");
  assert_int_equal (o.io->refs, 2);

  store_le32 (o.data + 16, 8);
  store_le32 (o.data + 12, 131065);
  store_le32 (o.data + 24, 4);
  memset (o.data + BYTES (4), 0, BYTES (68));
  open_cowd (&o, 131072);
  assert_logged (&o.log, 1, "reads as zeroes");
  assert_map (&o, BYTES (131064), BYTES (8), RUN_HOLE, BYTES (8), 0);
  one_free (&o);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_example),
    cmocka_unit_test (test_zero),
    cmocka_unit_test (test_bad_grains),
    cmocka_unit_test (test_bad_tables),
    cmocka_unit_test (test_long_directory),
    cmocka_unit_test (test_512_entries),
    cmocka_unit_test (test_partial_grains),
    cmocka_unit_test (test_allocation),
    cmocka_unit_test (test_length),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
