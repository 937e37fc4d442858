/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Loads, and arithmetic at its edges. */

#include <config.h>

#include "unit.h"

static const uint8_t bytes[] = {
  0xff, 0x01, 0x82, 0x43, 0xc4, 0x25, 0xa6, 0x67, 0xe8, 0xff,
};

/* At odd addresses, and with the top bit of each byte set somewhere: a
 * sign that is extended would show.
 */
static void
test_loads (void **state)
{
  assert_int_equal (load_le16 (bytes + 1), 0x8201);
  assert_int_equal (load_le16 (bytes + 8), 0xffe8);
  assert_int_equal (load_le32 (bytes + 1), UINT32_C (0xc4438201));
  assert_int_equal (load_le32 (bytes + 5), UINT32_C (0xe867a625));
  assert_true (load_le64 (bytes + 1) == UINT64_C (0xe867a625c4438201));
  assert_true (load_le64 (bytes) == UINT64_C (0x67a625c4438201ff));
}

static void
test_add (void **state)
{
  uint64_t r;

  assert_true (add_u64 (0, 0, &r));
  assert_true (r == 0);
  assert_true (add_u64 (UINT64_MAX - 1, 1, &r));
  assert_true (r == UINT64_MAX);
  assert_true (add_u64 (0, UINT64_MAX, &r));
  assert_true (r == UINT64_MAX);
  assert_false (add_u64 (UINT64_MAX, 1, &r));
  assert_false (add_u64 (1, UINT64_MAX, &r));
  assert_false (add_u64 (UINT64_MAX, UINT64_MAX, &r));
  assert_false (add_u64 (UINT64_C (1) << 63, UINT64_C (1) << 63, &r));
}

static void
test_multiply (void **state)
{
  uint64_t r;

  assert_true (mul_u64 (0, UINT64_MAX, &r));
  assert_true (r == 0);
  assert_true (mul_u64 (UINT64_MAX, 1, &r));
  assert_true (r == UINT64_MAX);
  assert_true (mul_u64 (UINT32_MAX, UINT32_MAX, &r));
  assert_true (r == UINT64_C (0xfffffffe00000001));
  assert_false (mul_u64 (UINT64_C (1) << 32, UINT64_C (1) << 32, &r));
  assert_false (mul_u64 (UINT64_MAX, 2, &r));
  assert_true (mul_u64 (MAX_SECTORS, SECTOR_SIZE, &r));
  assert_true (r <= INT64_MAX);
}

/* One sector more would not be a signed 64 bit number of bytes. */
static void
test_max_sectors (void **state)
{
  assert_true ((MAX_SECTORS + 1) * SECTOR_SIZE == UINT64_C (1) << 63);
}

static void
test_div_up (void **state)
{
  static const struct { uint64_t a, b, r; } cases[] = {
    { 0, 1, 0 }, { 0, 512, 0 }, { 1, 512, 1 }, { 511, 512, 1 },
    { 512, 512, 1 }, { 513, 512, 2 }, { 7, 1, 7 },
    { UINT64_MAX, 1, UINT64_MAX },
    { UINT64_MAX, 2, UINT64_C (1) << 63 },
    { UINT64_MAX, UINT64_MAX, 1 },
    { UINT64_MAX - 1, UINT64_MAX, 1 },
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i)
    assert_true (div_up (cases[i].a, cases[i].b) == cases[i].r);
}

static void
test_min (void **state)
{
  assert_true (min_u64 (1, 2) == 1);
  assert_true (min_u64 (2, 1) == 1);
  assert_true (min_u64 (UINT64_MAX, UINT64_MAX) == UINT64_MAX);
  assert_true (min_u64 (UINT64_MAX, 1) == 1);
}

static void
test_powers (void **state)
{
  unsigned i;

  assert_false (is_power_of_2 (0));
  assert_false (is_power_of_2 (UINT64_MAX));
  for (i = 0; i < 64; ++i) {
    const uint64_t n = UINT64_C (1) << i;

    assert_true (is_power_of_2 (n));
    if (i > 1) {
      assert_false (is_power_of_2 (n + 1));
      assert_false (is_power_of_2 (n - 1));
    }
  }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_loads),
    cmocka_unit_test (test_add),
    cmocka_unit_test (test_multiply),
    cmocka_unit_test (test_max_sectors),
    cmocka_unit_test (test_div_up),
    cmocka_unit_test (test_min),
    cmocka_unit_test (test_powers),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
