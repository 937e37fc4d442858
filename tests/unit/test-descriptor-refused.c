/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Extent lines that are refused: none may be dropped or misread, since
 * everything behind it would be shifted.
 */

#include <config.h>

#include "parse.h"

static void
test_refused (void **state)
{
  static const struct { const char *line, *piece; } cases[] = {
    /* Access words that are not known. */
    { "RO 100 FLAT \"a\" 0", "'RO' is not a known access word" },
    { "WO 100 ZERO", "'WO' is not a known access word" },
    { "R 100 SPARSE \"a=b\"", "'R' is not a known access word" },
    { "RWX 100 FLAT \"a\" 0", "access word" },
    { "\"RW\" 100 FLAT \"a\" 0", "access word" },
    { "FLAT 100 \"a\" 0", "access word" },

    /* Numbers of sectors. */
    { "RW 0 FLAT \"a\" 0", "no sectors" },
    { "RW 0 SPARSE \"a\"", "no sectors" },
    { "RW -1 FLAT \"a\" 0", "'-1' is not a number of sectors" },
    { "RW +1 FLAT \"a\" 0", "'+1' is not a number of sectors" },
    { "RW 0x10 FLAT \"a\" 0", "'0x10' is not a number of sectors" },
    { "RW 1k FLAT \"a\" 0", "'1k' is not a number of sectors" },
    { "RW 1.5 FLAT \"a\" 0", "'1.5' is not a number of sectors" },
    { "RW FLAT \"a\" 0", "'FLAT' is not a number of sectors" },
    { "RW \xd9\xa1 FLAT \"a\" 0", "is not a number of sectors" },
    { "RW 18014398509481984 FLAT \"a\" 0", "is not a number of sectors" },
    { "RW 18014398509481984 ZERO", "is not a number of sectors" },
    { "RW 18446744073709551615 FLAT \"a\" 0",
      "is not a number of sectors" },
    { "RW 18446744073709551616 FLAT \"a\" 0",
      "is not a number of sectors" },
    { "RW 18446744073709551617 FLAT \"a\" 0",
      "is not a number of sectors" },
    { "RW 184467440737095516160 FLAT \"a\" 0",
      "is not a number of sectors" },
    { "RW 99999999999999999999999999999999999999 ZERO",
      "is not a number of sectors" },

    /* Types. */
    { "RW 100", "is not a known type" },
    { "RW 100 \"a\"", "is not a known type" },
    { "RW 100 FLATS \"a\" 0", "'FLATS' is not a known type" },
    { "RW 100 FLA \"a\" 0", "'FLA' is not a known type" },
    { "RW 100 MULTI \"a\" 0", "'MULTI' is not a known type" },
    { "NOACCESS 100", "is not a known type" },

    /* Names. */
    { "RW 100 FLAT", "names no file" },
    { "RW 100 FLAT \"\" 0", "names no file" },
    { "RW 100 FLAT \"a 0", "not closed" },
    { "RW 100 SPARSE \"", "not closed" },
    { "NOACCESS 100 FLAT", "names no file" },

    /* Offsets. */
    { "RW 100 FLAT \"a\" -1", "'-1' is not an offset" },
    { "RW 100 FLAT \"a\" 0x10", "'0x10' is not an offset" },
    { "RW 100 FLAT \"a\" b", "'b' is not an offset" },
    { "RW 100 FLAT \"a\"b", "'b' is not an offset" },
    { "RW 100 FLAT \"a\" 18014398509481984", "too large" },
    { "RW 100 FLAT \"a\" 18446744073709551616", "is not an offset" },
    { "RW 100 FLAT \"a\" 36893488147419103232", "is not an offset" },
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i) {
    char text[512], where[200];

    snprintf (text, sizeof text, "version=1\n# x\n%s\nRW 1 ZERO\n",
              cases[i].line);
    assert_refused (text, VMDK_ERROR_CORRUPT, cases[i].piece);
    snprintf (where, sizeof where, "t.vmdk: descriptor line 3: ");
    assert_refused (text, VMDK_ERROR_CORRUPT, where);

    /* The same as the last line, without its end. */
    assert_refused (cases[i].line, VMDK_ERROR_CORRUPT, cases[i].piece);
  }
}

/* A line of the shape of an extent whose access word is not known, and
 * whose number is no number that can be used, is one all the same.
 */
static void
test_unknown_access_with_a_huge_number (void **state)
{
  assert_refused ("WO 18446744073709551616 FLAT \"a\" 0\n",
                  VMDK_ERROR_CORRUPT, "line 1");
}

/* The name may come after a good extent, which must not leak. */
static void
test_after_a_good_one (void **state)
{
  assert_refused ("createType=\"custom\"\nencoding=\"GBK\"\n"
                  "RW 8 FLAT \"a\" 0\nRW 8 FLAT \"b\" x\n",
                  VMDK_ERROR_CORRUPT, "line 4");
}

/* Words and names of a hostile length do not push out the reason. */
static void
test_long_words (void **state)
{
  static const char *const formats[] = {
    "RW %s FLAT \"a\" 0\n", "RW 8 %s \"a\" 0\n", "RW 8 FLAT \"a\" %s\n",
    "%s 8 FLAT \"a\" 0\n",
  };
  char word[5000], text[6000];
  size_t i;

  memset (word, 'x', sizeof word);
  word[sizeof word - 1] = '\0';
  for (i = 0; i < ARRAY_LENGTH (formats); ++i) {
    snprintf (text, sizeof text, formats[i], word);
    assert_refused (text, VMDK_ERROR_CORRUPT, "' is not a");
  }
}

/* The message is one line of printable text whatever is in the name. */
static void
test_control_bytes_in_message (void **state)
{
  assert_refused ("RW 8 FLAT \"a\" \x1b[31m\x07\n", VMDK_ERROR_CORRUPT,
                  "'?[31m?' is not an offset");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_refused),
    cmocka_unit_test (test_unknown_access_with_a_huge_number),
    cmocka_unit_test (test_after_a_good_one),
    cmocka_unit_test (test_long_words),
    cmocka_unit_test (test_control_bytes_in_message),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
