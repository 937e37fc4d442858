/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* What is UTF-8 and what is not: a table of the sequences that RFC 3629
 * and Unicode's chapter 3 name, and a comparison with a slow decoder.
 */

#include <config.h>

#include "charset.h"
#include "unit.h"

static const struct {
  const char *bytes;
  size_t len;
  bool valid;
} cases[] = {
  { "", 0, true },
  { "plain.vmdk", 10, true },
  { "\0", 1, true },
  { "\x7f", 1, true },
  { "\xc2\x80", 2, true },              /* U+0080 */
  { "\xdf\xbf", 2, true },              /* U+07FF */
  { "\xe0\xa0\x80", 3, true },          /* U+0800 */
  { "\xed\x9f\xbf", 3, true },          /* U+D7FF */
  { "\xee\x80\x80", 3, true },          /* U+E000 */
  { "\xef\xbf\xbf", 3, true },          /* U+FFFF */
  { "\xf0\x90\x80\x80", 4, true },      /* U+10000 */
  { "\xf4\x8f\xbf\xbf", 4, true },      /* U+10FFFF */
  { "a\xc3\xa9" "b\xe2\x82\xac" "c\xf0\x9f\x92\xbe" "d", 13, true },

  { "\x80", 1, false },                 /* a continuation first */
  { "\xbf", 1, false },
  { "a\x80" "b", 3, false },
  { "\xc0\x80", 2, false },             /* overlong NUL */
  { "\xc0\xaf", 2, false },             /* overlong '/' */
  { "\xc1\xbf", 2, false },
  { "\xe0\x80\xaf", 3, false },
  { "\xe0\x9f\xbf", 3, false },
  { "\xf0\x80\x80\xaf", 4, false },
  { "\xf0\x8f\xbf\xbf", 4, false },
  { "\xed\xa0\x80", 3, false },         /* surrogates */
  { "\xed\xbf\xbf", 3, false },
  { "\xf4\x90\x80\x80", 4, false },     /* beyond U+10FFFF */
  { "\xf5\x80\x80\x80", 4, false },
  { "\xf8\x88\x80\x80\x80", 5, false }, /* five bytes */
  { "\xfc\x84\x80\x80\x80\x80", 6, false },
  { "\xfe", 1, false },
  { "\xff", 1, false },
  { "\xc3", 1, false },                 /* cut off */
  { "a\xc3", 2, false },
  { "\xe2\x82", 2, false },
  { "\xe2", 1, false },
  { "\xf0\x9f\x92", 3, false },
  { "\xf0\x9f", 2, false },
  { "\xf0", 1, false },
  { "\xc3" "a", 2, false },             /* cut off by another */
  { "\xe2\x82" "a", 3, false },
  { "\xe2" "a\x82", 3, false },
  { "\xf0\x9f\x92" "a", 4, false },
  { "\xc3\xc3\xa9", 3, false },
};

static void
test_table (void **state)
{
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i) {
    /* Of its own size, so that a checker of memory sees a byte too
     * many being read.
     */
    char *s = malloc (cases[i].len + 1);
    char *exact;

    assert_non_null (s);
    exact = s + 1;
    memcpy (exact, cases[i].bytes, cases[i].len);
    if (charset_is_utf8 (exact, cases[i].len) != cases[i].valid)
      fail_msg ("case %zu", i);
    free (s);
  }
}

/* Nothing behind the length counts. */
static void
test_length (void **state)
{
  assert_true (charset_is_utf8 ("a\xff", 1));
  assert_false (charset_is_utf8 ("\xc3\xa9", 1));
  assert_true (charset_is_utf8 ("\xc3\xa9\xff", 2));
}

/* One character of n bytes, decoded without any cleverness. */
static bool
is_character (const uint8_t *p, size_t n)
{
  static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
  uint32_t code;
  size_t i;

  if (n == 1)
    return p[0] < 0x80;
  if ((uint32_t) p[0] >> (7 - n) != (1U << (n + 1)) - 2)
    return false;
  code = p[0] & ((1U << (7 - n)) - 1);
  for (i = 1; i < n; ++i) {
    if (p[i] >> 6 != 2)
      return false;
    code = code << 6 | (p[i] & 0x3f);
  }
  return code >= smallest[n] && code <= 0x10ffff &&
    !(code >= 0xd800 && code <= 0xdfff);
}

static bool
is_utf8 (const uint8_t *p, size_t len)
{
  size_t n;

  if (len == 0)
    return true;
  for (n = 1; n <= 4 && n <= len; ++n)
    if (is_character (p, n))
      return is_utf8 (p + n, len - n);
  return false;
}

static void
compare (const uint8_t *p, size_t len)
{
  if (charset_is_utf8 ((const char *) p, len) != is_utf8 (p, len))
    fail_msg ("%02x %02x %02x %02x, length %zu",
              p[0], p[1], p[2], p[3], len);
}

/* Every pair of first bytes, with interesting ones behind. */
static void
test_against_reference (void **state)
{
  static const uint8_t others[] = {
    0x00, 0x41, 0x7f, 0x80, 0x9f, 0xa0, 0xbf, 0xc0, 0xc3, 0xff,
  };
  uint8_t p[4];
  unsigned pair;
  size_t i, j, len;

  for (pair = 0; pair < 65536; ++pair)
    for (i = 0; i < ARRAY_LENGTH (others); ++i)
      for (j = 0; j < ARRAY_LENGTH (others); ++j) {
        p[0] = (uint8_t) (pair >> 8);
        p[1] = (uint8_t) pair;
        p[2] = others[i];
        p[3] = others[j];
        for (len = j == 0 ? i == 0 ? 1 : 3 : 4; len <= 4; ++len)
          compare (p, len);
      }
}

/* What is not UTF-8 is replaced byte by byte, and nothing else is changed. */
static void
test_make_utf8 (void **state)
{
  char plain[] = "a\x1b \xc3\xa9 \xe2\x82\xac \xf0\x9f\x92\xbe!";
  char wrong[] = "\xf6\xc3\xa9\xe2\x82+\xc0\xaf\xed\xa0\x80 \xf0\x9f\x92";
  const char *before = "a\x1b \xc3\xa9 \xe2\x82\xac \xf0\x9f\x92\xbe!";

  vmdk_make_utf8 (plain);
  assert_string_equal (plain, before);
  vmdk_make_utf8 (wrong);
  assert_string_equal (wrong, "?\xc3\xa9??+????? ???");
  wrong[0] = '\0';
  vmdk_make_utf8 (wrong);
  assert_string_equal (wrong, "");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_table),
    cmocka_unit_test (test_length),
    cmocka_unit_test (test_against_reference),
    cmocka_unit_test (test_make_utf8),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
