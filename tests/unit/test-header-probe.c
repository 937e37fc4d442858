/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* What the first bytes of a file say. */

#include <config.h>

#include "header.h"
#include "unit.h"

static enum file_kind
probe (const char *bytes, size_t len)
{
  uint8_t *copy = malloc (len + 1);
  enum file_kind kind;

  assert_non_null (copy);
  memcpy (copy + 1, bytes, len);
  kind = header_probe (copy + 1, len);
  free (copy);
  return kind;
}

static const struct {
  const char *magic;
  size_t len;
  enum file_kind kind;
} magics[] = {
  { "KDMV", 4, FILE_HOSTED },
  { "kdmv", 4, FILE_UNFINISHED },
  { "COWD", 4, FILE_COWD },
  { "\xbe\xba\xfe\xca\0\0\0\0", 8, FILE_SESPARSE },
  { "\xa2\x72\x19\xf6", 4, FILE_CTK },
  { "\x1f\x8b", 2, FILE_GZIP },
};

/* Alone, with bytes behind it, and cut off by one. */
static void
test_magics (void **state)
{
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (magics); ++i) {
    char bytes[16];

    assert_int_equal (probe (magics[i].magic, magics[i].len),
                      magics[i].kind);
    memset (bytes, 0xff, sizeof bytes);
    memcpy (bytes, magics[i].magic, magics[i].len);
    assert_int_equal (probe (bytes, sizeof bytes), magics[i].kind);
    assert_int_equal (probe (magics[i].magic, magics[i].len - 1),
                      FILE_UNKNOWN);
  }
}

/* Every byte of each must be right. */
static void
test_one_byte_wrong (void **state)
{
  size_t i, j;

  for (i = 0; i < ARRAY_LENGTH (magics); ++i)
    for (j = 0; j < magics[i].len; ++j) {
      char bytes[8] = "";

      memcpy (bytes, magics[i].magic, magics[i].len);
      bytes[j] ^= 1;
      assert_int_equal (probe (bytes, sizeof bytes), FILE_UNKNOWN);
    }
}

static void
test_unknown (void **state)
{
  assert_int_equal (probe ("", 0), FILE_UNKNOWN);
  assert_int_equal (probe ("\0\0\0\0\0\0\0\0", 8), FILE_UNKNOWN);
  assert_int_equal (probe ("# Disk D", 8), FILE_UNKNOWN);
  assert_int_equal (probe ("VMDK", 4), FILE_UNKNOWN);
  assert_int_equal (probe ("KdMV", 4), FILE_UNKNOWN);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_magics),
    cmocka_unit_test (test_one_byte_wrong),
    cmocka_unit_test (test_unknown),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
