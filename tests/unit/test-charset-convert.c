/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Names in the encodings that descriptors are seen with, and encodings
 * that nobody should believe.
 */

#include <config.h>

#include "charset.h"
#include "unit.h"

static void
test_known (void **state)
{
  static const struct {
    const char *encoding, *in, *out;
  } cases[] = {
    { "windows-1252", "caf\xe9 \x80.vmdk",
      "caf\xc3\xa9 \xe2\x82\xac.vmdk" },
    { "Windows-1252", "\xe9", "\xc3\xa9" },
    { "WINDOWS-1251", "\xc4", "\xd0\x94" },
    { "Big5", "\xa4\xa4\xa4\xe5.vmdk",
      "\xe4\xb8\xad\xe6\x96\x87.vmdk" },
    { "GBK", "\xd6\xd0.vmdk", "\xe4\xb8\xad.vmdk" },
    { "windows-936", "\xd6\xd0\xce\xc4", "\xe4\xb8\xad\xe6\x96\x87" },
    { "Shift_JIS", "\x93\xfa\x96\x7b.vmdk",
      "\xe6\x97\xa5\xe6\x9c\xac.vmdk" },
    { "ISO-8859-1", "\xfc", "\xc3\xbc" },
    { "UTF-8", "\xc3\xbc", "\xc3\xbc" },
    { "windows-1252", "", "" },
    { "windows-1252", "plain", "plain" },
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i) {
    char *out = charset_to_utf8 (cases[i].encoding, cases[i].in,
                                 strlen (cases[i].in));

    if (!out)
      fail_msg ("%s was not converted", cases[i].encoding);
    assert_string_equal (out, cases[i].out);
    free (out);
  }
}

/* Every character of a single-byte set, so that the room for the result
 * is put to use; the longest become three bytes.
 */
static void
test_whole_set (void **state)
{
  char in[4096];
  char *out;
  size_t i;

  memset (in, '\x80', sizeof in);       /* the euro sign */
  out = charset_to_utf8 ("windows-1252", in, sizeof in);
  assert_non_null (out);
  assert_int_equal (strlen (out), 3 * sizeof in);
  for (i = 0; i < sizeof in; ++i)
    assert_memory_equal (out + 3 * i, "\xe2\x82\xac", 3);
  free (out);
}

/* The length counts, not a NUL. */
static void
test_length (void **state)
{
  char *out = charset_to_utf8 ("GBK", "\xd6\xd0\xce\xc4", 2);

  assert_non_null (out);
  assert_string_equal (out, "\xe4\xb8\xad");
  free (out);
}

static void
test_invalid_bytes (void **state)
{
  static const struct {
    const char *encoding, *in;
  } cases[] = {
    { "Shift_JIS", "a\x93" },           /* half a character */
    { "Big5", "\xa4" },
    { "GBK", "\xd6" },
    { "GBK", "\xd6\x20" },
    { "windows-1252", "\x81" },         /* assigned to nothing */
    { "UTF-8", "\xc0\xaf" },
    { "UTF-8", "\xed\xa0\x80" },
    { "US-ASCII", "\xe9" },
    { "UTF-16LE", "abc" },
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i)
    if (charset_to_utf8 (cases[i].encoding, cases[i].in,
                         strlen (cases[i].in)))
      fail_msg ("case %zu, %s", i, cases[i].encoding);
}

/* The encoding comes from the image. */
static void
test_hostile_encoding (void **state)
{
  static const char *const encodings[] = {
    "", "/", "//", "../../x", "UTF-8//TRANSLIT", "UTF-8//IGNORE",
    "windows-1252//IGNORE", "windows-", "windows-../../x",
    "/etc/passwd", "UTF-8,", "UTF-8/", "UTF-8 ", " UTF-8", "UTF-8\n",
    "%s%s%s%n", "no-such-charset", "\xc3\xa9", "\xff",
    "....", "::::", "-", "windows-99999",
  };
  char lengthy[1001];
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (encodings); ++i)
    if (charset_to_utf8 (encodings[i], "a", 1))
      fail_msg ("'%s' was taken for an encoding", encodings[i]);

  for (i = 1; i < sizeof lengthy; ++i) {
    memset (lengthy, 'A', i);
    lengthy[i] = '\0';
    if (charset_to_utf8 (lengthy, "a", 1))
      fail_msg ("an encoding of %zu letters", i);
  }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_known),
    cmocka_unit_test (test_whole_set),
    cmocka_unit_test (test_length),
    cmocka_unit_test (test_invalid_bytes),
    cmocka_unit_test (test_hostile_encoding),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
