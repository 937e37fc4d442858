/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Names that are not UTF-8. */

#include <config.h>

#include "parse.h"

/* The encoding counts for the lines before it as well. */
static void
test_converted (void **state)
{
  static const char *const texts[] = {
    "encoding=\"windows-1252\"\nRW 8 FLAT \"caf\xe9\" 0\n",
    "RW 8 FLAT \"caf\xe9\" 0\nencoding=\"windows-1252\"\n",
    "RW 8 FLAT \"caf\xe9\" 0\nENCODING = windows-1252\n",
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (texts); ++i) {
    struct parsed p;

    assert_parses (&p, texts[i]);
    assert_int_equal (p.d.nr_extents, 1);
    assert_string_equal (p.d.extents[0].name, "caf\xe9");
    assert_non_null (p.d.extents[0].utf8_name);
    assert_string_equal (p.d.extents[0].utf8_name, "caf\xc3\xa9");
    descriptor_free (&p.d);
  }
}

/* What is UTF-8 is left alone, whatever the encoding says. */
static void
test_utf8_is_kept (void **state)
{
  struct parsed p;

  assert_parses (&p, "encoding=\"windows-1252\"\n"
                 "RW 8 FLAT \"caf\xc3\xa9\" 0\nRW 8 FLAT \"plain\" 0\n"
                 "RW 8 ZERO\nRW 8 FLAT \"caf\xe9\" 0\n");
  assert_int_equal (p.d.nr_extents, 4);
  assert_null (p.d.extents[0].utf8_name);
  assert_null (p.d.extents[1].utf8_name);
  assert_null (p.d.extents[2].utf8_name);
  assert_string_equal (p.d.extents[3].utf8_name, "caf\xc3\xa9");
  descriptor_free (&p.d);
}

/* Nothing to convert from: the bytes stay what they are. */
static void
test_not_converted (void **state)
{
  static const char *const encodings[] = {
    "", "encoding=\"UTF-8\"\n", "encoding=\"no-such\"\n",
    "encoding=\"\"\n", "encoding=\"../../x\"\n", "encoding=\"Big5\"\n",
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (encodings); ++i) {
    struct parsed p;
    char text[200];

    snprintf (text, sizeof text, "%sRW 8 FLAT \"caf\xe9\" 0\n",
              encodings[i]);
    assert_parses (&p, text);
    assert_string_equal (p.d.extents[0].name, "caf\xe9");
    assert_null (p.d.extents[0].utf8_name);
    descriptor_free (&p.d);
  }
}

static void
test_parent_hint (void **state)
{
  struct parsed p;

  assert_parses (&p, "parentFileNameHint=\"\x93\xfa\"\n"
                 "encoding=\"Shift_JIS\"\n");
  assert_string_equal (p.d.parent_hint, "\x93\xfa");
  assert_non_null (p.d.parent_hint_utf8);
  assert_string_equal (p.d.parent_hint_utf8, "\xe6\x97\xa5");
  descriptor_free (&p.d);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_converted),
    cmocka_unit_test (test_utf8_is_kept),
    cmocka_unit_test (test_not_converted),
    cmocka_unit_test (test_parent_hint),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
