/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Encoding of headers: each field in its place (sections 4.1 and 6.1 of the
 * format), zeroes everywhere else, and decoding gives the same again.
 */

#include <config.h>

#include "header.h"
#include "unit.h"

/* A field is 'size' bytes at 'offset'. */
struct field {
  size_t offset, size;
};

static void
assert_zero_but (const uint8_t *p, size_t len, const struct field *fields,
                 size_t nr)
{
  size_t i, k;

  for (i = 0; i < len; ++i) {
    bool is_field = false;

    for (k = 0; k < nr; ++k)
      is_field |= i >= fields[k].offset &&
        i < fields[k].offset + fields[k].size;
    if (!is_field && p[i] != 0)
      fail_msg ("byte %zu is %02x", i, p[i]);
  }
}

static void
test_hosted_fields (void **state)
{
  static const struct field fields[] = {
    { 0, 4 }, { 4, 4 }, { 8, 4 }, { 12, 8 }, { 20, 8 }, { 28, 8 },
    { 36, 8 }, { 44, 4 }, { 48, 8 }, { 56, 8 }, { 64, 8 }, { 72, 1 },
    { 73, 4 }, { 77, 2 },
  };
  const struct hosted_header h = {
    .version = UINT32_C (0x87868584), .flags = UINT32_C (0x8b8a8983),
    .capacity = UINT64_C (0x939291908f8e8d8c),
    .grain_size = UINT64_C (0x9b9a999897969594),
    .descriptor_offset = UINT64_C (0xa3a2a1a09f9e9d9c),
    .descriptor_size = UINT64_C (0xabaaa9a8a7a6a5a4),
    .entries_per_table = UINT32_C (0xafaeadac),
    .rgd_offset = UINT64_C (0xb7b6b5b4b3b2b1b0),
    .gd_offset = UINT64_C (0xbfbebdbcbbbab9b8),
    .overhead = UINT64_C (0xc7c6c5c4c3c2c1c0),
    .unclean = true, .compression = 0xcecd,
  };
  uint8_t p[HOSTED_HEADER_SIZE];
  size_t i;

  (void) state;
  memset (p, 0xff, sizeof p);
  hosted_encode (&h, p);
  assert_memory_equal (p, "KDMV", 4);
  /* The bytes count up from 0x84 at offset 4, but for the flags. */
  for (i = 4; i < 72; ++i)
    if (i != 8)
      assert_int_equal (p[i], 0x80 + i);
  assert_int_equal (p[8], 0x83);
  assert_int_equal (p[72], 1);
  assert_memory_equal (p + 73, "\n \r\n", 4);
  assert_int_equal (p[77], 0xcd);
  assert_int_equal (p[78], 0xce);
  assert_zero_but (p, sizeof p, fields, ARRAY_LENGTH (fields));
}

/* Without the flag that says that they are valid there are no newlines. */
static void
test_hosted_without_newlines (void **state)
{
  const struct hosted_header h = { .flags = HOSTED_REDUNDANT };
  uint8_t p[HOSTED_HEADER_SIZE];

  (void) state;
  hosted_encode (&h, p);
  assert_memory_equal (p + 73, "\0\0\0\0", 4);
}

static void
test_hosted_decodes (void **state)
{
  uint64_t seed = 1;
  unsigned i;

  (void) state;
  for (i = 0; i < 1000; ++i) {
    const struct hosted_header h = {
      .version = (uint32_t) next_random (&seed),
      .flags = (uint32_t) next_random (&seed) | HOSTED_REDUNDANT,
      .capacity = next_random (&seed),
      .grain_size = next_random (&seed),
      .descriptor_offset = next_random (&seed),
      .descriptor_size = next_random (&seed),
      .entries_per_table = (uint32_t) next_random (&seed),
      .rgd_offset = next_random (&seed),
      .gd_offset = next_random (&seed),
      .overhead = next_random (&seed),
      .unclean = random_below (&seed, 2) != 0,
      .compression = (uint16_t) next_random (&seed),
    };
    uint8_t p[HOSTED_HEADER_SIZE];
    struct hosted_header d;

    hosted_encode (&h, p);
    assert_int_equal (header_probe (p, sizeof p), FILE_HOSTED);
    memset (&d, 0, sizeof d);
    hosted_decode (p, &d);
    assert_true (d.version == h.version && d.flags == h.flags &&
                 d.capacity == h.capacity && d.grain_size == h.grain_size &&
                 d.descriptor_offset == h.descriptor_offset &&
                 d.descriptor_size == h.descriptor_size &&
                 d.entries_per_table == h.entries_per_table &&
                 d.rgd_offset == h.rgd_offset &&
                 d.gd_offset == h.gd_offset && d.overhead == h.overhead &&
                 d.unclean == h.unclean && d.compression == h.compression);
    assert_false (d.newlines_changed);
  }
}

static void
test_cowd_fields (void **state)
{
  static const struct field fields[] = {
    { 0, 4 }, { 4, 4 }, { 8, 4 }, { 12, 4 }, { 16, 4 }, { 20, 4 }, { 24, 4 },
    { 28, 4 }, { 1648, 4 },
  };
  const struct cowd_header h = {
    .version = 1, .capacity = UINT32_C (0xfffffffe), .grain_size = 2048,
    .gd_offset = 4, .nr_tables = 129, .unclean = true,
  };
  uint8_t p[COWD_HEADER_SIZE];

  (void) state;
  memset (p, 0xff, sizeof p);
  cowd_encode (&h, p);
  assert_memory_equal (p, "COWD", 4);
  assert_int_equal (load_le32 (p + 4), 1);
  assert_int_equal (load_le32 (p + 8), 3);
  assert_true (load_le32 (p + 12) == UINT32_C (0xfffffffe));
  assert_int_equal (load_le32 (p + 16), 2048);
  assert_int_equal (load_le32 (p + 20), 4);
  assert_int_equal (load_le32 (p + 24), 129);
  /* 129 entries take two sectors. */
  assert_int_equal (load_le32 (p + COWD_FREE_SECTOR), 6);
  assert_int_equal (load_le32 (p + COWD_UNCLEAN), 1);
  assert_zero_but (p, sizeof p, fields, ARRAY_LENGTH (fields));
}

/* At the sizes where the number of tables, or of the directory's sectors,
 * changes, what is encoded passes the checks of decoding.
 */
static void
test_cowd_decodes (void **state)
{
  static const uint32_t sizes[] = {
    1, 4095, 4096, 4097, 128 * 4096, 128 * 4096 + 1, 64 * 512, 64 * 4096,
    UINT32_C (0xfffff000), UINT32_C (0xfffffffe), UINT32_MAX,
  };
  size_t i;

  (void) state;
  for (i = 0; i < ARRAY_LENGTH (sizes); ++i) {
    const struct cowd_header h = {
      .version = 1, .capacity = sizes[i], .grain_size = 1, .gd_offset = 4,
      .nr_tables = (uint32_t) div_up (sizes[i], 4096),
    };
    struct vmdk_error error;
    struct cowd_header d;
    uint8_t p[COWD_HEADER_SIZE];

    cowd_encode (&h, p);
    assert_int_equal (cowd_decode (p, load_le32 (p + COWD_FREE_SECTOR) *
                                   UINT64_C (512), "x", &d, &error), 0);
    assert_true (d.capacity == h.capacity && d.nr_tables == h.nr_tables &&
                 d.grain_size == 1 && d.gd_offset == 4 && !d.unclean &&
                 !d.has_parent);
    assert_int_equal (d.entries_per_table, 4096);
  }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_hosted_fields),
    cmocka_unit_test (test_hosted_without_newlines),
    cmocka_unit_test (test_hosted_decodes),
    cmocka_unit_test (test_cowd_fields),
    cmocka_unit_test (test_cowd_decodes),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
