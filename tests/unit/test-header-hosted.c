/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Decoding of the hosted sparse header, and what follows from it. */

#include <config.h>

#include "header.h"
#include "unit.h"

/* The header of a 64 MiB disk as every producer writes it. */
static const uint8_t example[HOSTED_HEADER_SIZE] = {
  0x4b, 0x44, 0x4d, 0x56, 0x01, 0x00, 0x00, 0x00,
  0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00,
  0x00, 0x00, 0x00, 0x00, 0x80, 0x00, 0x00, 0x00,
  0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
  0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00,
  0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00,
  0x15, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
  0x1e, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
  0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
  0x00, 0x0a, 0x20, 0x0d, 0x0a, 0x00, 0x00, 0x00,
};

static void
test_example (void **state)
{
  struct hosted_header h;

  assert_int_equal (header_probe (example, sizeof example), FILE_HOSTED);
  memset (&h, 0xff, sizeof h);
  hosted_decode (example, &h);
  assert_int_equal (h.version, 1);
  assert_int_equal (h.flags, 3);
  assert_int_equal (h.capacity, 131072);
  assert_int_equal (h.grain_size, 128);
  assert_int_equal (h.descriptor_offset, 1);
  assert_int_equal (h.descriptor_size, 20);
  assert_int_equal (h.entries_per_table, 512);
  assert_int_equal (h.rgd_offset, 21);
  assert_int_equal (h.gd_offset, 30);
  assert_int_equal (h.overhead, 128);
  assert_false (h.newlines_changed);
  assert_false (h.unclean);
  assert_int_equal (h.compression, 0);
  assert_int_equal (hosted_nr_grains (&h), 1024);
  assert_int_equal (hosted_nr_tables (&h), 2);
  assert_false (hosted_is_wrapper (&h));
}

/* Each field has its own bytes, all of them. */
static void
test_every_byte (void **state)
{
  uint8_t p[HOSTED_HEADER_SIZE];
  struct hosted_header h;
  size_t i;

  for (i = 0; i < sizeof p; ++i)
    p[i] = (uint8_t) (i + 0x80);
  p[8] = HOSTED_REDUNDANT;
  hosted_decode (p, &h);
  assert_true (h.version == UINT32_C (0x87868584));
  assert_true (h.flags == UINT32_C (0x8b8a8902));
  assert_true (h.capacity == UINT64_C (0x939291908f8e8d8c));
  assert_true (h.grain_size == UINT64_C (0x9b9a999897969594));
  assert_true (h.descriptor_offset == UINT64_C (0xa3a2a1a09f9e9d9c));
  assert_true (h.descriptor_size == UINT64_C (0xabaaa9a8a7a6a5a4));
  assert_true (h.entries_per_table == UINT32_C (0xafaeadac));
  assert_true (h.rgd_offset == UINT64_C (0xb7b6b5b4b3b2b1b0));
  assert_true (h.gd_offset == UINT64_C (0xbfbebdbcbbbab9b8));
  assert_true (h.overhead == UINT64_C (0xc7c6c5c4c3c2c1c0));
  assert_true (h.unclean);
  assert_int_equal (h.compression, 0xcecd);
}

/* Without the flag the redundant directory's field means nothing. */
static void
test_no_redundant_flag (void **state)
{
  uint8_t p[HOSTED_HEADER_SIZE];
  struct hosted_header h;

  memcpy (p, example, sizeof p);
  p[8] = 1;
  hosted_decode (p, &h);
  assert_int_equal (h.rgd_offset, 0);
  assert_int_equal (h.gd_offset, 30);
}

/* Each of the four bytes counts, but only if the flag says that they
 * are there.
 */
static void
test_newlines (void **state)
{
  uint8_t p[HOSTED_HEADER_SIZE];
  struct hosted_header h;
  size_t i;

  for (i = 73; i < 77; ++i) {
    memcpy (p, example, sizeof p);
    p[i] ^= 0x07;
    hosted_decode (p, &h);
    assert_true (h.newlines_changed);
    p[8] &= (uint8_t) ~HOSTED_NEWLINE_TEST;
    hosted_decode (p, &h);
    assert_false (h.newlines_changed);
  }
}

static void
test_unclean (void **state)
{
  uint8_t p[HOSTED_HEADER_SIZE];
  struct hosted_header h;

  memcpy (p, example, sizeof p);
  p[72] = 1;
  hosted_decode (p, &h);
  assert_true (h.unclean);
}

static void
test_wrapper (void **state)
{
  struct hosted_header h;

  hosted_decode (example, &h);
  h.capacity = 0;
  assert_true (hosted_is_wrapper (&h));
  h.descriptor_offset = 0;
  assert_false (hosted_is_wrapper (&h));
}

static void
test_counts (void **state)
{
  static const struct {
    uint64_t capacity, grain_size;
    uint32_t entries;
    uint64_t grains, tables;
  } cases[] = {
    { 1, 128, 512, 1, 1 },
    { 128, 128, 512, 1, 1 },
    { 129, 128, 512, 2, 1 },
    { 65536, 128, 512, 512, 1 },
    { 65537, 128, 512, 513, 2 },
    { 4192256, 128, 512, 32752, 64 },
    { 83886080, 128, 512, 655360, 1280 },
    { 3, 1, 1, 3, 3 },
    { UINT64_C (1) << 33, MAX_GRAIN_SIZE, MAX_TABLE_ENTRIES,
      UINT64_C (1) << 17, 2 },
    { MAX_SECTORS, MAX_GRAIN_SIZE, MAX_TABLE_ENTRIES,
      UINT64_C (1) << 38, UINT64_C (1) << 22 },
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i) {
    const struct hosted_header h = {
      .capacity = cases[i].capacity, .grain_size = cases[i].grain_size,
      .entries_per_table = cases[i].entries,
    };

    assert_true (hosted_nr_grains (&h) == cases[i].grains);
    assert_true (hosted_nr_tables (&h) == cases[i].tables);
  }
}

/* At and around the ends of each piece of metadata: the header in
 * sector 0, the descriptor in 1 to 20, directories in 21 and 30.
 */
static void
test_is_metadata (void **state)
{
  struct hosted_header h;
  uint64_t sector, n;

  hosted_decode (example, &h);
  for (sector = 0; sector < 40; ++sector)
    for (n = 1; n < 40; ++n) {
      bool meets = false;
      uint64_t i;

      for (i = sector; i < sector + n; ++i)
        meets = meets || i <= 21 || i == 30;
      if (hosted_is_metadata (&h, sector, n) != meets)
        fail_msg ("sector %" PRIu64 ", %" PRIu64, sector, n);
    }

  h.rgd_offset = 0;
  h.gd_offset = 100;
  h.capacity = 65536 * 129;             /* a second sector of directory */
  assert_false (hosted_is_metadata (&h, 21, 79));
  assert_true (hosted_is_metadata (&h, 21, 80));
  assert_true (hosted_is_metadata (&h, 101, 1));
  assert_false (hosted_is_metadata (&h, 102, 128));
  assert_true (hosted_is_metadata (&h, 20, 1));
  h.descriptor_offset = 0;
  assert_false (hosted_is_metadata (&h, 1, 99));
  assert_true (hosted_is_metadata (&h, 0, 1));

  h.gd_offset = 0;
  h.rgd_offset = 200;
  assert_true (hosted_is_metadata (&h, 201, 1));
  assert_false (hosted_is_metadata (&h, 100, 100));
}

/* A descriptor without sectors is in nobody's way. */
static void
test_empty_descriptor_is_no_metadata (void **state)
{
  struct hosted_header h;

  hosted_decode (example, &h);
  h.descriptor_offset = 200;
  h.descriptor_size = 0;
  assert_false (hosted_is_metadata (&h, 128, 128));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_example),
    cmocka_unit_test (test_every_byte),
    cmocka_unit_test (test_no_redundant_flag),
    cmocka_unit_test (test_newlines),
    cmocka_unit_test (test_unclean),
    cmocka_unit_test (test_wrapper),
    cmocka_unit_test (test_counts),
    cmocka_unit_test (test_is_metadata),
    cmocka_unit_test (test_empty_descriptor_is_no_metadata),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
