/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The keys of a descriptor and their values. */

#include <config.h>

#include "parse.h"

/* What VMware writes. */
static void
test_vmware (void **state)
{
  struct parsed p;

  assert_parses (&p,
                 "# Disk DescriptorFile\n"
                 "version=1\n"
                 "encoding=\"UTF-8\"\n"
                 "CID=0172e8a4\n"
                 "parentCID=ffffffff\n"
                 "createType=\"vmfs\"\n"
                 "\n"
                 "# Extent description\n"
                 "RW 4096 VMFS \"vmfs_thick-flat.vmdk\"\n"
                 "\n"
                 "# The Disk Data Base \n"
                 "#DDB\n"
                 "\n"
                 "ddb.adapterType = \"lsilogic\"\n"
                 "ddb.geometry.cylinders = \"2\"\n"
                 "ddb.longContentID = \"c493b057f416b9534001df440172e8a4\"\n"
                 "ddb.uuid = \"60 00 C2 98 5d 08 de f2-a0 14 2e 05 94 9d "
                 "d8 38\"\n"
                 "ddb.virtualHWVersion = \"14\"\n");
  assert_int_equal (p.d.version, 1);
  assert_true (p.d.has_cid);
  assert_int_equal (p.d.cid, 0x0172e8a4);
  assert_true (p.d.parent_cid == DESCRIPTOR_NO_PARENT);
  assert_string_equal (p.d.create_type, "vmfs");
  assert_string_equal (p.d.encoding, "UTF-8");
  assert_null (p.d.transformed_by);
  assert_int_equal (p.d.nr_extents, 1);
  assert_string_equal (p.log.text, "");
  descriptor_free (&p.d);
}

static void
test_nothing (void **state)
{
  static const char *const texts[] = {
    "", "\n", "# x", "\n\n\r\n", "changeTrackPath=\"a-ctk.vmdk\"\n",
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (texts); ++i) {
    struct parsed p;

    assert_parses (&p, texts[i]);
    assert_int_equal (p.d.version, 1);
    assert_false (p.d.has_cid);
    assert_true (p.d.parent_cid == DESCRIPTOR_NO_PARENT);
    assert_null (p.d.create_type);
    assert_null (p.d.encoding);
    assert_null (p.d.transformed_by);
    assert_int_equal (p.d.nr_extents, 0);
    descriptor_free (&p.d);
  }
}

static void
test_create_type (void **state)
{
  static const struct { const char *line, *value; } cases[] = {
    { "createType=\"monolithicSparse\"", "monolithicSparse" },
    { "createtype=\"vmfs\"", "vmfs" },
    { "CREATETYPE = \"vmfs\"", "vmfs" },
    { "\tcreateType\t=\t\"vmfs\"\t", "vmfs" },
    { "createType = vmfs", "vmfs" },
    { "createType=\"vmfs\" # \"flat\"", "vmfs" },
    { "createType=\"vmfs\"# \"flat\"", "vmfs" },
    { "createType=\"v # w\"", "v # w" },
    { "createType=vmfs # flat", "vmfs" },
    { "createType=vmfs\t#flat", "vmfs" },
    { "createType=v#w", "v#w" },
    { "createType=\"a=b\"", "a=b" },
    { "createType=\" a \"", " a " },
    { "createType=\"\"", "" },
    { "createType=", "" },
    { "createType=\"a\\\"b\"", "a\\" },  /* there are no escapes */
  };
  static const char *const ends[] = { "", "\n", "\r\n" };
  size_t i, j;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i)
    for (j = 0; j < ARRAY_LENGTH (ends); ++j) {
      struct parsed p;
      char text[200];

      snprintf (text, sizeof text, "%s%s", cases[i].line, ends[j]);
      assert_parses (&p, text);
      assert_non_null (p.d.create_type);
      assert_string_equal (p.d.create_type, cases[i].value);
      assert_string_equal (p.log.text, "");
      descriptor_free (&p.d);
    }
}

static void
test_cid (void **state)
{
  static const struct { const char *value; uint32_t cid; } cases[] = {
    { "0", 0 }, { "a", 0xa }, { "12", 0x12 }, { "123", 0x123 },
    { "1234", 0x1234 }, { "12345", 0x12345 }, { "abcdef", 0xabcdef },
    { "8abb323", 0x8abb323 }, { "08abb323", 0x8abb323 },
    { "89ABCDEF", 0x89abcdef }, { "fffffffe", 0xfffffffe },
    { "00000000", 0 }, { "ffffffff", 0xffffffff },
    { "\"12345678\"", 0x12345678 }, { " 12 ", 0x12 },
    { "12 # note", 0x12 },
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i) {
    struct parsed p;
    char text[200];

    snprintf (text, sizeof text, "CID=%s\nparentCID=7\n", cases[i].value);
    assert_parses (&p, text);
    assert_true (p.d.has_cid);
    assert_true (p.d.cid == cases[i].cid);
    assert_int_equal (p.d.parent_cid, 7);
    descriptor_free (&p.d);

    snprintf (text, sizeof text, "PARENTCID = %s\ncid=7\n",
              cases[i].value);
    assert_parses (&p, text);
    assert_true (p.d.has_cid);
    assert_int_equal (p.d.cid, 7);
    assert_true (p.d.parent_cid == cases[i].cid);
    descriptor_free (&p.d);
  }
}

static void
test_bad_cid (void **state)
{
  static const char *const values[] = {
    "", "\"\"", "123456789", "000000000", "ffffffff0", "xyz", "12g4",
    "0x12", "-1", "+1", "12 34", "1\xd9\xa1",
  };
  static const char *const keys[] = { "CID", "parentCID" };
  size_t i, j;

  for (i = 0; i < ARRAY_LENGTH (values); ++i)
    for (j = 0; j < ARRAY_LENGTH (keys); ++j) {
      char text[100], piece[100];

      snprintf (text, sizeof text, "version=1\n%s=%s\n", keys[j],
                values[i]);
      snprintf (piece, sizeof piece, "line 2: %s '", keys[j]);
      assert_refused (text, VMDK_ERROR_CORRUPT, piece);
    }
}

static void
test_version (void **state)
{
  static const struct { const char *value; unsigned version; } good[] = {
    { "1", 1 }, { "2", 2 }, { "3", 3 }, { "\"2\"", 2 }, { " 3 ", 3 },
    { "03", 3 }, { "1 # one", 1 },
  };
  static const char *const bad[] = {
    "0", "4", "", "one", "-1", "1.0", "0x1", "18446744073709551617",
    "4294967297", "1 2",
  };
  struct parsed p;
  char text[100];
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (good); ++i) {
    snprintf (text, sizeof text, "version=%s\n", good[i].value);
    assert_parses (&p, text);
    assert_int_equal (p.d.version, good[i].version);
    descriptor_free (&p.d);
  }
  for (i = 0; i < ARRAY_LENGTH (bad); ++i) {
    snprintf (text, sizeof text, "version=%s\n", bad[i]);
    assert_refused (text, VMDK_ERROR_UNSUPPORTED, "version '");
  }
}

/* The first one counts, also if the second one could not be read. */
static void
test_duplicates (void **state)
{
  struct parsed p;

  assert_parses (&p,
                 "version=3\nversion=9\n"
                 "CID=1\nCID=none\n"
                 "parentCID=2\nparentCID=3\n"
                 "createType=\"a\"\ncreateType=\"b\"\n"
                 "encoding=\"GBK\"\nencoding=\"Big5\"\n");
  assert_int_equal (p.d.version, 3);
  assert_int_equal (p.d.cid, 1);
  assert_int_equal (p.d.parent_cid, 2);
  assert_string_equal (p.d.create_type, "a");
  assert_string_equal (p.d.encoding, "GBK");
  assert_int_equal (p.log.notes, 5);
  assert_logged (&p.log, 0, "line 2: version appears again");
  assert_logged (&p.log, 0, "line 4: CID appears again");
  assert_logged (&p.log, 0, "line 6: parentCID appears again");
  assert_logged (&p.log, 0, "line 8: createType appears again");
  assert_logged (&p.log, 0, "line 10: encoding appears again");
  descriptor_free (&p.d);
}

/* No parent twice is a duplicate too. */
static void
test_duplicate_no_parent (void **state)
{
  struct parsed p;

  assert_parses (&p, "parentCID=ffffffff\nparentCID=12\n");
  assert_true (p.d.parent_cid == DESCRIPTOR_NO_PARENT);
  assert_int_equal (p.log.notes, 1);
  descriptor_free (&p.d);
}

static void
test_parent_hint (void **state)
{
  struct parsed p;

  assert_parses (&p, "parentCID=1\n"
                 "parentFileNameHint=\"C:\\VMs\\my base.vmdk\"\n");
  assert_non_null (p.d.parent_hint);
  assert_string_equal (p.d.parent_hint, "C:\\VMs\\my base.vmdk");
  assert_null (p.d.parent_hint_utf8);
  descriptor_free (&p.d);
}

/* Keys that say that the data are not what the extents hold. */
static void
test_transformed (void **state)
{
  static const char *const lines[] = {
    "encryption.keySafe = \"vmware:key/list\"",
    "encryption.data=\"x\"",
    "ENCRYPTIONKEY=\"x\"",
    "ddb.encryption.x = \"1\"",
    "ddb.crypto.keyid = \"x\"",
    "ddb.iofilters = \"vmwarelwd\"",
    "ddb.IOFilters = \"vmwarelwd\"",
    "ddb.sidecars = \"lwd_1.vmfd\"",
    "ddb.nativeParentHint = \"x\"",
    "ddb.nativeParentCID = \"1\"",
    "ddb.nativeDeltaBytes = \"1\"",
    "ddb.objectParentUri = \"vsan://x\"",
    "isNativeSnapshot=\"yes\"",
    "isnativesnapshot = \"YES\"",
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (lines); ++i) {
    struct parsed p;
    const size_t len = strcspn (lines[i], " =");

    assert_parses (&p, lines[i]);
    if (!p.d.transformed_by)
      fail_msg ("%s", lines[i]);
    assert_int_equal (strlen (p.d.transformed_by), len);
    assert_memory_equal (p.d.transformed_by, lines[i], len);
    descriptor_free (&p.d);
  }
}

/* Keys that are like them, and say no such thing. */
static void
test_not_transformed (void **state)
{
  struct parsed p;

  assert_parses (&p,
                 "encoding=\"UTF-8\"\n"
                 "isNativeSnapshot=\"no\"\n"
                 "isNativeSnapshot=\"\"\n"
                 "ddb.iofilters = \"\"\n"
                 "ddb.sidecars =\n"
                 "ddb.encoding = \"UTF-8\"\n"
                 "ddb.grain = \"8\"\n"
                 "ddb.thinProvisioned = \"1\"\n"
                 "ddb.comment = \"encryption=yes\"\n"
                 "# encryption.keySafe = \"x\"\n"
                 "changeTrackPath=\"disk-ctk.vmdk\"\n"
                 "some.encryption = \"x\"\n");
  assert_null (p.d.transformed_by);
  assert_string_equal (p.log.text, "");
  descriptor_free (&p.d);
}

static void
test_transformed_twice (void **state)
{
  struct parsed p;

  assert_parses (&p, "ddb.sidecars=\"a\"\nddb.iofilters=\"b\"\n");
  assert_string_equal (p.d.transformed_by, "ddb.sidecars");
  descriptor_free (&p.d);
}

static void
test_unclosed_quote (void **state)
{
  struct parsed p;

  assert_parses (&p, "createType=\"vmfs\nRW 8 ZERO\n");
  assert_string_equal (p.d.create_type, "vmfs");
  assert_int_equal (p.d.nr_extents, 1);
  assert_logged (&p.log, 0, "line 1: the quote is not closed");
  descriptor_free (&p.d);
}

/* Who made the text does not choose how long the log becomes. */
static void
test_many_odd_lines (void **state)
{
  char text[2 * 200 + 100 + 1] = "";
  struct parsed p;
  unsigned i;

  for (i = 0; i < 200; ++i)
    strcat (text, "x\n");
  strcat (text, "version=1\nversion=1\nddb.logicalSectorSize=\"7\n");
  assert_parses (&p, text);
  assert_int_equal (p.log.notes, 101);
  assert_logged (&p.log, 0, "line 100: ignored, it is neither");
  assert_logged (&p.log, 0, "line 101: this and more lines are odd");
  descriptor_free (&p.d);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_vmware),
    cmocka_unit_test (test_nothing),
    cmocka_unit_test (test_create_type),
    cmocka_unit_test (test_cid),
    cmocka_unit_test (test_bad_cid),
    cmocka_unit_test (test_version),
    cmocka_unit_test (test_duplicates),
    cmocka_unit_test (test_duplicate_no_parent),
    cmocka_unit_test (test_parent_hint),
    cmocka_unit_test (test_transformed),
    cmocka_unit_test (test_not_transformed),
    cmocka_unit_test (test_transformed_twice),
    cmocka_unit_test (test_unclosed_quote),
    cmocka_unit_test (test_many_odd_lines),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
