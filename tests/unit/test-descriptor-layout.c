/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Where a descriptor begins and ends, comments, blank lines, and lines
 * that mean nothing.
 */

#include <config.h>

#include "parse.h"

static void
assert_one_extent (struct parsed *p)
{
  assert_int_equal (p->r, 0);
  assert_int_equal (p->d.nr_extents, 1);
  assert_true (p->d.has_cid);
  assert_int_equal (p->d.cid, 1);
  descriptor_free (&p->d);
}

#define GOOD "CID=1\nRW 8 ZERO"

static void
test_ends (void **state)
{
  static const struct { const char *text; size_t len; } cases[] = {
    { GOOD, sizeof GOOD - 1 },
    { GOOD "\n", sizeof GOOD },
    { GOOD "\r\n", sizeof GOOD + 1 },
    { GOOD "\0\0\0\0", sizeof GOOD + 3 },
    { GOOD "\n\0\0\0\0", sizeof GOOD + 4 },
    { GOOD "\nRW 8 ZERO\n", sizeof GOOD },      /* cut by the length */
    /* What follows a NUL is not text. */
    { GOOD "\n\0\nRW 8 ZERO\n", sizeof GOOD + 12 },
    { GOOD "\0RW 8 FLAT", sizeof GOOD + 10 },
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i) {
    struct parsed p;

    parse_bytes (&p, cases[i].text, cases[i].len);
    assert_one_extent (&p);
  }
}

static void
test_only_nul (void **state)
{
  char zeroes[1024] = { 0 };
  struct parsed p;

  parse_bytes (&p, zeroes, sizeof zeroes);
  assert_int_equal (p.r, 0);
  assert_int_equal (p.d.nr_extents, 0);
  assert_false (p.d.has_cid);
  descriptor_free (&p.d);
}

static void
test_byte_order_mark (void **state)
{
  struct parsed p;

  assert_parses (&p, "\xef\xbb\xbf" GOOD);
  assert_string_equal (p.log.text, "");
  assert_one_extent (&p);
  assert_parses (&p, "\xef\xbb\xbf" "# Disk DescriptorFile\n" GOOD);
  assert_one_extent (&p);

  /* Half of one is a part of the first key, which is then none. */
  assert_parses (&p, "\xef\xbb" "version=9\n" GOOD);
  assert_int_equal (p.log.notes, 1);
  assert_one_extent (&p);
}

static void
test_comments_and_blank_lines (void **state)
{
  struct parsed p;

  assert_parses (&p,
                 "# Disk DescriptorFile\n"
                 "\n \n\t\n\r\n \t \r\n"
                 "# oldCID=99\n"
                 "#CID=98\n"
                 "  \t# CID=97\n"
                 "# RW 4 ZERO\n"
                 "#RW 4 ZERO\n"
                 "# version=9\n"
                 "#\n"
                 "##\n"
                 GOOD "\n"
                 "# CID=2\n");
  assert_string_equal (p.log.text, "");
  assert_one_extent (&p);
}

/* Keys of which a known one is a part. */
static void
test_similar_keys (void **state)
{
  struct parsed p;

  assert_parses (&p, "oldCID=99\nCIDs=98\nmy.CID=97\nparentCID2=none\n"
                 "versions=9\ncreateTypes=\"a\"\nxencoding=\"b\"\n" GOOD);
  assert_true (p.d.parent_cid == DESCRIPTOR_NO_PARENT);
  assert_null (p.d.create_type);
  assert_null (p.d.encoding);
  assert_string_equal (p.log.text, "");
  assert_one_extent (&p);
}

static void
test_any_order (void **state)
{
  struct parsed p;

  assert_parses (&p, "ddb.adapterType = \"ide\"\nRW 8 ZERO\n"
                 "parentCID=5\nCID=1\nencoding=\"GBK\"\nversion=2\n");
  assert_int_equal (p.d.version, 2);
  assert_int_equal (p.d.parent_cid, 5);
  assert_string_equal (p.d.encoding, "GBK");
  assert_one_extent (&p);
}

/* KIWI puts this in front. */
static void
test_encoding_first (void **state)
{
  struct parsed p;

  assert_parses (&p, "encoding=\"UTF-8\"\n# Disk DescriptorFile\n" GOOD);
  assert_string_equal (p.d.encoding, "UTF-8");
  assert_one_extent (&p);
}

/* They are passed over, and told. */
static void
test_lines_without_meaning (void **state)
{
  static const char *const lines[] = {
    "hello", "hello world", "RW", "RDONLY", "NOACCESS", "[section]",
    "\x80\x81\x82", "hello world = 3", "=3", "=", "\"CID\"=7", "RW8 ZERO",
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (lines); ++i) {
    struct parsed p;
    char text[200];

    snprintf (text, sizeof text, "%s\n%s\n", lines[i], GOOD);
    assert_parses (&p, text);
    assert_logged (&p.log, 0, "t.vmdk: descriptor line 1: ignored");
    assert_int_equal (p.log.notes, 1);
    assert_one_extent (&p);
  }
}

static void
test_long_lines (void **state)
{
  const size_t len = 100000;
  char *text = malloc (len + 100);
  struct parsed p;

  assert_non_null (text);
  memset (text, 'x', len);
  strcpy (text + len, "\n" GOOD "\n");
  assert_parses (&p, text);
  assert_one_extent (&p);

  text[0] = '#';
  assert_parses (&p, text);
  assert_one_extent (&p);

  memcpy (text, "createType=", 11);
  assert_parses (&p, text);
  assert_int_equal (strlen (p.d.create_type), len - 11);
  assert_one_extent (&p);
  free (text);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_ends),
    cmocka_unit_test (test_only_nul),
    cmocka_unit_test (test_byte_order_mark),
    cmocka_unit_test (test_comments_and_blank_lines),
    cmocka_unit_test (test_similar_keys),
    cmocka_unit_test (test_any_order),
    cmocka_unit_test (test_encoding_first),
    cmocka_unit_test (test_lines_without_meaning),
    cmocka_unit_test (test_long_lines),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
