/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The markers of a stream. */

#include <config.h>

#include "header.h"
#include "unit.h"

static const struct hosted_header h = {
  .capacity = 131072,
  .grain_size = 128,
  .entries_per_table = 512,
};

/* The markers of the streams that VMware makes. */
static void
test_decode (void **state)
{
  static const struct {
    uint8_t bytes[STREAM_MARKER_SIZE];
    uint64_t value;
    uint32_t size, type;
  } cases[] = {
    { { 0 }, 0, 0, STREAM_EOS },
    { { 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0 },
      4, 0, STREAM_TABLE },
    { { 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0 },
      1, 0, STREAM_DIRECTORY },
    { { 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0 },
      1, 0, STREAM_FOOTER },
    { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0 },
      0, 0, STREAM_PROGRESS },
    /* A grain: what follows its size is data. */
    { { 0x80, 0, 0, 0, 0, 0, 0, 0, 0x34, 0x12, 0, 0, 0x78, 1, 0xed, 0xc1 },
      128, 0x1234, 0xc1ed0178 },
    { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 },
      UINT64_C (0x0807060504030201), 0x0c0b0a09, 0x100f0e0d },
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i) {
    struct stream_marker m = { 1, 1, 99 };

    stream_marker_decode (cases[i].bytes, &m);
    assert_true (m.value == cases[i].value);
    assert_true (m.size == cases[i].size);
    assert_true (m.type == cases[i].type);
  }
}

static void
test_plausible (void **state)
{
  static const struct {
    uint64_t value;
    uint32_t size;
    bool plausible;
  } cases[] = {
    { 0, 1, true },
    { 0, 0, false },
    { 0, 131072, true },
    { 0, 131073, false },
    { 0, UINT32_MAX, false },
    { 128, 100, true },
    { 127, 100, false },
    { 129, 100, false },
    { 130944, 100, true },
    { 131072, 100, false },
    { UINT64_MAX, 100, false },
    { UINT64_MAX - 127, 100, false },
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i) {
    const struct stream_marker m = { cases[i].value, cases[i].size, 0 };

    if (stream_grain_is_plausible (&h, &m) != cases[i].plausible)
      fail_msg ("case %zu", i);
  }
}

/* The last grain counts though the disk ends in it. */
static void
test_last_grain (void **state)
{
  struct hosted_header odd = h;
  const struct stream_marker m = { 131072, 100, 0 };

  odd.capacity = 131073;
  assert_true (stream_grain_is_plausible (&odd, &m));
}

/* The largest grains: 2 * 32 MiB do not wrap. */
static void
test_largest_grain (void **state)
{
  struct hosted_header large = h;
  struct stream_marker m = { 0, 67108864, 0 };

  large.grain_size = MAX_GRAIN_SIZE;
  assert_true (stream_grain_is_plausible (&large, &m));
  m.size++;
  assert_false (stream_grain_is_plausible (&large, &m));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_decode),
    cmocka_unit_test (test_plausible),
    cmocka_unit_test (test_last_grain),
    cmocka_unit_test (test_largest_grain),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
