/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* seSparse extents: what the entries of directory and tables mean. */

#include <config.h>

#include "one-extent.h"

#define BYTES(sectors) ((sectors) * SECTOR_SIZE)
#define GRAIN (8 * SECTOR_SIZE)

/* Sectors.  The places are not those of ESXi, to keep the file small,
 * and the room for grains is more than the file has.
 */
enum { DIRECTORY = 4, TABLES = 8, GRAINS = 264 };

#define GRAINS_SIZE 131072

static struct one o;

static int
setup (void **state)
{
  one_init (&o, GRAINS + 8 * 8);
  store_le64 (o.data + BYTES (DIRECTORY), UINT64_C (1) << 60 | 1);
  store_le64 (o.data + BYTES (DIRECTORY) + 2 * 8, UINT64_C (1) << 60);
  return 0;
}

static int
teardown (void **state)
{
  one_free (&o);
  return 0;
}

static const struct sesparse_header header = {
  .capacity = 131072, .volatile_offset = 1, .gd_offset = DIRECTORY,
  .tables_offset = TABLES, .tables_size = 4 * 64,
  .grains_offset = GRAINS, .grains_size = GRAINS_SIZE,
};

static void
open_sesparse (const struct sesparse_header *h)
{
  struct vmdk_error error;

  one_prepare (&o);
  o.extent = extent_sesparse_new (o.io, h, BYTES (h->capacity), &o.env,
                                  &error);
  if (!o.extent)
    fail_msg ("%s", error.message);
}

/* Set an entry of the table with the index 'table'. */
static void
set_entry (uint64_t table, uint64_t i, uint64_t raw)
{
  store_le64 (o.data + BYTES (TABLES + table * 64) + i * 8, raw);
}

static uint64_t
encode (uint64_t index)
{
  return UINT64_C (3) << 60 | (index & 0xfff) << 48 | index >> 12;
}

/* The entries of the worked example; the file holds but seven grains. */
static void
test_example (void **state)
{
  uint8_t expected[5 * 4096] = { 0 };

  set_entry (1, 0, UINT64_C (0x3000000000000000));
  set_entry (1, 1, UINT64_C (0x3005000000000000));
  set_entry (1, 2, UINT64_C (0x2000000000000000));
  set_entry (1, 3, UINT64_C (0x1000000000000000));
  set_entry (0, 4095, UINT64_C (0x3006000000000000));
  memset (o.data + BYTES (GRAINS), 'a', GRAIN);
  memset (o.data + BYTES (GRAINS + 5 * 8), 'b', GRAIN);
  memset (o.data + BYTES (GRAINS + 6 * 8), 'c', GRAIN);
  open_sesparse (&header);
  assert_int_equal (o.extent->grain_size, 4096);
  assert_map (&o, 0, BYTES (131072), RUN_DATA, GRAIN, GRAINS);
  assert_map (&o, GRAIN, BYTES (131064), RUN_DATA, GRAIN, GRAINS + 40);
  assert_map (&o, 2 * GRAIN, BYTES (131056), RUN_ZERO, 2 * GRAIN, 0);
  /* To the last grain of table 0, over a table that is not there. */
  assert_map (&o, 4 * GRAIN, 16380 * GRAIN, RUN_HOLE,
              (12287 - 4) * GRAIN, 0);
  assert_map (&o, 12287 * GRAIN, 100 * GRAIN, RUN_DATA, GRAIN,
              GRAINS + 48);
  assert_map (&o, 12288 * GRAIN, 4096 * GRAIN, RUN_HOLE, 4096 * GRAIN, 0);

  memset (expected, 'a', GRAIN);
  memset (expected + GRAIN, 'b', GRAIN);
  assert_read (&o, 0, expected, sizeof expected);
  assert_read (&o, 4000, expected + 4000, 5000);
  memset (expected, 'c', GRAIN);
  assert_read (&o, 12287 * GRAIN, expected, GRAIN);
  assert_logged (&o.log, 0, "");
}

/* The scrambled index, with the examples of the format: the file is as
 * large as needed, but only the place is looked at.
 */
static void
test_indexes (void **state)
{
  static const struct {
    uint64_t raw, index;
  } cases[] = {
    { UINT64_C (0x3000000000000000), 0 },
    { UINT64_C (0x3005000000000000), 5 },
    { UINT64_C (0x3003000000000001), 0x1003 },
    { UINT64_C (0x3fff000000000000), 0xfff },
    { UINT64_C (0x3000000000000001), 0x1000 },
    { UINT64_C (0x3fff000000000001), 0x1fff },
    { UINT64_C (0x3abc000000000003), 0x3abc },
    { UINT64_C (0x3fff000000000003), 0x3fff },    /* the last */
  };
  struct vmdk_error error;
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i) {
    assert_true (encode (cases[i].index) == cases[i].raw);
    /* Far apart, so that no run is longer. */
    set_entry (1, i * 2, cases[i].raw);
  }
  one_prepare (&o);
  o.io->size = BYTES (GRAINS + GRAINS_SIZE);
  o.extent = extent_sesparse_new (o.io, &header, BYTES (131072), &o.env,
                                  &error);
  assert_non_null (o.extent);
  for (i = 0; i < ARRAY_LENGTH (cases); ++i)
    assert_map (&o, i * 2 * GRAIN, GRAIN, RUN_DATA, GRAIN,
                GRAINS + cases[i].index * 8);
}

/* Indexes behind the area of the grains, up to the largest, do not wrap
 * around into it.
 */
static void
test_index_out_of_range (void **state)
{
  static const uint64_t bad[] = {
    GRAINS_SIZE / 8, GRAINS_SIZE / 8 + 1, UINT64_C (1) << 32,
    UINT64_C (1) << 51, UINT64_C (1) << 52, UINT64_C (1) << 57,
    (UINT64_C (1) << 60) - 1, (UINT64_C (1) << 57) - GRAINS / 8,
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (bad); ++i)
    set_entry (1, i, encode (bad[i]));
  set_entry (1, i, encode (0));
  open_sesparse (&header);
  for (i = 0; i < ARRAY_LENGTH (bad); ++i) {
    char piece[60];

    snprintf (piece, sizeof piece, "is 0x%" PRIx64 ", ", encode (bad[i]));
    assert_bad (&o, i * GRAIN, piece);
  }
  assert_map (&o, 0, BYTES (131072), RUN_BAD, i * GRAIN, 0);
  assert_map (&o, i * GRAIN, 1, RUN_DATA, 1, GRAINS);
}

/* In the area of the grains, but behind the end of the file. */
static void
test_index_behind_file (void **state)
{
  struct vmdk_error error;
  uint8_t byte;

  set_entry (1, 0, encode (7));
  set_entry (1, 1, encode (8));
  open_sesparse (&header);
  assert_map (&o, 0, 2 * GRAIN, RUN_DATA, GRAIN, GRAINS + 56);
  assert_map (&o, GRAIN, GRAIN, RUN_BAD, GRAIN, 0);

  /* Of the last one a part is there. */
  memset (o.data + BYTES (GRAINS + 56), 'p', GRAIN);
  o.size -= 1;
  open_sesparse (&header);
  assert_read (&o, 0, o.data + BYTES (GRAINS + 56), GRAIN - 1);
  assert_int_equal (one_read (&o, GRAIN - 1, &byte, 1, &error), -1);
  assert_int_equal (error.err, EIO);
}

static void
test_area_of_grains (void **state)
{
  struct sesparse_header h = header;

  /* The last one must be whole. */
  h.grains_size = 23;
  set_entry (1, 0, encode (1));
  set_entry (1, 1, encode (2));
  open_sesparse (&h);
  assert_map (&o, 0, 2 * GRAIN, RUN_DATA, GRAIN, GRAINS + 8);
  assert_bad (&o, GRAIN, "damaged");
}

/* Each type, with nothing else and with all other bits set. */
static void
test_types (void **state)
{
  static const struct {
    enum run_kind without, with;
  } types[16] = {
    { RUN_HOLE, RUN_BAD },
    { RUN_ZERO, RUN_ZERO },
    { RUN_ZERO, RUN_ZERO },
    { RUN_DATA, RUN_BAD },
    { RUN_BAD, RUN_BAD }, { RUN_BAD, RUN_BAD }, { RUN_BAD, RUN_BAD },
    { RUN_BAD, RUN_BAD }, { RUN_BAD, RUN_BAD }, { RUN_BAD, RUN_BAD },
    { RUN_BAD, RUN_BAD }, { RUN_BAD, RUN_BAD }, { RUN_BAD, RUN_BAD },
    { RUN_BAD, RUN_BAD }, { RUN_BAD, RUN_BAD }, { RUN_BAD, RUN_BAD },
  };
  uint64_t i;

  for (i = 0; i < 16; ++i) {
    set_entry (1, 2 * i, i << 60);
    set_entry (1, 2 * i + 1, i << 60 | (UINT64_MAX >> 4));
    set_entry (1, 100 + i, i << 60 | UINT64_C (1) << 48);
  }
  open_sesparse (&header);
  for (i = 0; i < 16; ++i) {
    assert_map (&o, 2 * i * GRAIN, 1, types[i].without, 1, 0);
    assert_map (&o, (2 * i + 1) * GRAIN, 1, types[i].with, 1, 0);
    if (i == 3)
      assert_map (&o, (100 + i) * GRAIN, 1, RUN_DATA, 1, GRAINS + 8);
    else
      assert_map (&o, (100 + i) * GRAIN, 1, types[i].with, 1, 0);
  }
}

/* An unmapped grain that keeps its index reads as zeroes. */
static void
test_unmapped (void **state)
{
  uint8_t zeroes[4096] = { 0 };

  memset (o.data + BYTES (GRAINS), 'x', GRAIN);
  set_entry (1, 0, UINT64_C (0x1000000000000000));
  set_entry (1, 1, UINT64_C (0x1002000000000000));
  open_sesparse (&header);
  assert_map (&o, 0, 3 * GRAIN, RUN_ZERO, 2 * GRAIN, 0);
  assert_read (&o, 0, zeroes, sizeof zeroes);
}

static void
test_directory_entries (void **state)
{
  static const uint64_t bad[] = {
    1, UINT32_MAX,              /* no type */
    UINT64_C (0x0800000000000000), UINT64_C (0x2000000000000000),
    UINT64_C (0x3000000000000000), UINT64_C (0x1000000100000000),
    UINT64_C (0x1800000000000000), UINT64_C (0x9000000000000000),
    /* Tables behind the area that they have. */
    UINT64_C (0x1000000000000004), UINT64_C (0x10000000ffffffff),
    UINT64_C (0x1000000004000000),
    UINT64_MAX,
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (bad); ++i) {
    char piece[60];

    store_le64 (o.data + BYTES (DIRECTORY) + 8, bad[i]);
    open_sesparse (&header);
    snprintf (piece, sizeof piece, "is 0x%" PRIx64 ", ", bad[i]);
    assert_bad (&o, 4096 * GRAIN, piece);
    assert_map (&o, 4096 * GRAIN, 5000 * GRAIN, RUN_BAD, 4096 * GRAIN, 0);
    assert_map (&o, 0, 5000 * GRAIN, RUN_HOLE, 4096 * GRAIN, 0);
  }
  store_le64 (o.data + BYTES (DIRECTORY) + 8, UINT64_C (1) << 60 | 3);
  set_entry (3, 0, encode (2));
  open_sesparse (&header);
  assert_map (&o, 4096 * GRAIN, GRAIN, RUN_DATA, GRAIN, GRAINS + 16);
}

/* The area of the tables ends with a piece of one. */
static void
test_area_of_tables (void **state)
{
  struct sesparse_header h = header;

  h.tables_size = 127;
  open_sesparse (&h);
  assert_bad (&o, 0, "grain table 0 ");
  assert_map (&o, 8192 * GRAIN, 1, RUN_HOLE, 1, 0);
  h.tables_size = 128;
  open_sesparse (&h);
  assert_map (&o, 0, 1, RUN_HOLE, 1, 0);
}

/* A table behind the end of the file. */
static void
test_table_behind_file (void **state)
{
  struct sesparse_header h = header;

  h.tables_size = 1024;
  h.grains_offset = 2048;
  store_le64 (o.data + BYTES (DIRECTORY) + 8, UINT64_C (1) << 60 | 5);
  open_sesparse (&h);
  assert_bad (&o, 4096 * GRAIN, "grain table 1 ");
}

static void
test_allocation (void **state)
{
  set_entry (1, 0, encode (5));
  set_entry (1, 1, encode (0));
  set_entry (1, 2, encode (3));
  set_entry (1, 3, encode (4));
  open_sesparse (&header);
  assert_allocation (&o, 0, 9 * GRAIN, RUN_DATA, 4 * GRAIN);
  assert_map (&o, 2 * GRAIN + 10, 9 * GRAIN, RUN_DATA, 2 * GRAIN - 10, 0);
  assert_map (&o, 2 * GRAIN, 9 * GRAIN, RUN_DATA, 2 * GRAIN, GRAINS + 24);
}

#define TEST(f) cmocka_unit_test_setup_teardown (f, setup, teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    TEST (test_example),
    TEST (test_indexes),
    TEST (test_index_out_of_range),
    TEST (test_index_behind_file),
    TEST (test_area_of_grains),
    TEST (test_types),
    TEST (test_unmapped),
    TEST (test_directory_entries),
    TEST (test_area_of_tables),
    TEST (test_table_behind_file),
    TEST (test_allocation),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
