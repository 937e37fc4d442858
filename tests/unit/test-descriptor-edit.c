/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* A descriptor gets a new CID and loses change tracking, and nothing else
 * in it changes.
 */

#include <config.h>

#include "edit.h"

static void
test_vmware (void **state)
{
  char *with_cid = replaced (vmware, "0172e8a4", "0badcafe");
  char *expected = replaced (with_cid, "c493b057f416b9534001df440172e8a4",
                             NEW_LONG);

  assert_edit (vmware, expected);
  free (with_cid);
  free (expected);
}

static void
test_virtualbox (void **state)
{
  char *expected = replaced (virtualbox, "2a3cf8b1", "0badcafe");

  assert_edit (virtualbox, expected);
  free (expected);
}

static void
test_qemu (void **state)
{
  char *expected = replaced (qemu, "8abb323", "badcafe");

  assert_edit (qemu, expected);
  free (expected);
}

/* The CID's line, in every way that it can be written. */
static void
test_cid_line (void **state)
{
  static const struct { const char *text, *expected; } cases[] = {
    { "CID=12345678", "CID=0badcafe" },
    { "CID=12345678\r\nx=y\r\n", "CID=0badcafe\r\nx=y\r\n" },
    { " \t cid \t=  12345678 \t\n", " \t cid \t=  0badcafe \t\n" },
    { "Cid=\"ABCDEF01\" # note\n", "Cid=\"0badcafe\" # note\n" },
    { "CID=12345678 # 9\n", "CID=0badcafe # 9\n" },
    { "CID=12345678 # a # b\n", "CID=0badcafe # a # b\n" },
    { "CID=\"12345678\n", "CID=\"0badcafe\n" },
    { "\xef\xbb\xbf" "CID=12345678\n", "\xef\xbb\xbf" "CID=0badcafe\n" },
    { "parentCID=1\nCID=12345678\n", "parentCID=1\nCID=0badcafe\n" },
    { "# oldCID=99\n#CID=98\n  # CID=97\nCID=12345678\n",
      "# oldCID=99\n#CID=98\n  # CID=97\nCID=0badcafe\n" },
    { "CID=12345678\nCID=9\ncid=\n", "CID=0badcafe\nCID=9\ncid=\n" },
    { "a CID=1\nmyCID=2\nRW 8 ZERO CID=3\nCID=12345678\n",
      "a CID=1\nmyCID=2\nRW 8 ZERO CID=3\nCID=0badcafe\n" },
    { "RW 8 FLAT \"=CID=1\"\nrw 8 zero =\nCID=12345678",
      "RW 8 FLAT \"=CID=1\"\nrw 8 zero =\nCID=0badcafe" },
    /* Seven digits hold it, six do not. */
    { "CID=1234567\n", "CID=badcafe\n" },
    { "CID=123456\nx=y\n", "CID=0badcafe\nx=y\n" },
    { "CID=123\n", "CID=0badcafe\n" },
    { "CID=\"0\"\r\nx=y", "CID=\"0badcafe\"\r\nx=y" },
    /* It is missing. */
    { "# title\nversion=1\nparentCID=1\n",
      "# title\nversion=1\nCID=0badcafe\nparentCID=1\n" },
    { "# title\r\n version = 1\r\nx=y\r\n",
      "# title\r\n version = 1\r\nCID=0badcafe\r\nx=y\r\n" },
    { "version=1", "version=1\nCID=0badcafe\n" },
    { "# title\nRW 8 ZERO\n", "# title\nCID=0badcafe\nRW 8 ZERO\n" },
    { "\nx=y\n", "\nCID=0badcafe\nx=y\n" },
    { "version=1\nversion=1\n", "version=1\nCID=0badcafe\nversion=1\n" },
    { "\xef\xbb\xbf" "x=y\n", "\xef\xbb\xbf" "x=y\nCID=0badcafe\n" },
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i)
    assert_edit (cases[i].text, cases[i].expected);
}

static void
test_long_content_id (void **state)
{
  static const struct { const char *text, *expected; } cases[] = {
    { "DDB.LONGCONTENTID=C493b057f416b9534001df440172e8a4\r\n",
      "DDB.LONGCONTENTID=" NEW_LONG "\r\n" },
    { "ddb.longContentID = \"c493b057f4\" # x\n",
      "ddb.longContentID = \"bb0badcafe\" # x\n" },
    { "ddb.longContentID=\"c493b057f416b9534001df440172e8a4ffff\"\n",
      "ddb.longContentID=\"0000" NEW_LONG "\"\n" },
    { "ddb.longContentID=\"\"\n", "ddb.longContentID=\"\"\n" },
    { "ddb.longContentID=\"12\"\nddb.longContentID=\"34\"\n",
      "ddb.longContentID=\"fe\"\nddb.longContentID=\"34\"\n" },
    { "#ddb.longContentID=\"12\"\n", "#ddb.longContentID=\"12\"\n" },
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i) {
    char text[256], expected[256];

    snprintf (text, sizeof text, "CID=12345678\n%s", cases[i].text);
    snprintf (expected, sizeof expected, "CID=0badcafe\n%s",
              cases[i].expected);
    assert_edit (text, expected);
  }
}

static void
test_tracking (void **state)
{
  static const struct { const char *text, *expected; } cases[] = {
    { "version=3\nchangeTrackPath=\"disk-ctk.vmdk\"\n",
      "version=1\n#hangeTrackPath=\"disk-ctk.vmdk\"\n" },
    { "# Change Tracking File\n  CHANGETRACKPATH = x \r\nVersion = \"03\"\n",
      "# Change Tracking File\n  #HANGETRACKPATH = x \r\nVersion = \"01\"\n" },
    { "version=3\n", "version=1\n" },
    { "version=1\nchangeTrackPath=\"\"\nchangeTrackPath=\"b\"\n",
      "version=1\n#hangeTrackPath=\"\"\n#hangeTrackPath=\"b\"\n" },
    { "changeTrackPath=\"a\"", "#hangeTrackPath=\"a\"" },
    { "version=3\nversion=3\n", "version=1\nversion=3\n" },
    /* What is no tracking. */
    { "version=2\nx.changeTrackPath=\"a\"\n#changeTrackPath=\"a\"\n",
      "version=2\nx.changeTrackPath=\"a\"\n#changeTrackPath=\"a\"\n" },
    { "version=1\nversion=3\n", "version=1\nversion=3\n" },
    { "RW 8 FLAT \"version=3\"\nRW 8 FLAT changeTrackPath=\n",
      "RW 8 FLAT \"version=3\"\nRW 8 FLAT changeTrackPath=\n" },
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i) {
    char text[256], expected[256];

    snprintf (text, sizeof text, "CID=12345678\n%s", cases[i].text);
    snprintf (expected, sizeof expected, "CID=0badcafe\n%s",
              cases[i].expected);
    assert_edit (text, expected);
  }
}

/* The same, without a CID before them. */
static void
test_tracking_first (void **state)
{
  assert_edit ("changeTrackPath=\"CID=1\"\nCID=12345678\n",
               "#hangeTrackPath=\"CID=1\"\nCID=0badcafe\n");
  assert_edit ("\xef\xbb\xbf" "changeTrackPath=a\nversion=3\n",
               "\xef\xbb\xbf" "#hangeTrackPath=a\nversion=1\n"
               "CID=0badcafe\n");
}

static void
test_bad_cid (void **state)
{
  static const char *const texts[] = {
    "CID=\n", "CID=x\n", "CID=123456789\n", "CID=-1\n", "CID=0x1\n",
    "CID=\" 1\"\n", "CID=1 2\n", "CID=none\nCID=12345678\n",
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (texts); ++i)
    assert_no_edit (texts[i], strlen (texts[i]), SIZE_MAX,
                    VMDK_ERROR_CORRUPT, "CID is not 1 to 8 hex digits");
}

/* A reserved area does not become a descriptor. */
static void
test_empty (void **state)
{
  struct vmdk_error error;
  const char zeroes[512] = "";
  char *edited;
  size_t edited_len;

  assert_int_equal (edit (zeroes, 512, 512, &edit_change, &edited, &edited_len,
                          &error), 0);
  assert_int_equal (edited_len, 512);
  assert_memory_equal (edited, zeroes, 512);
  free (edited);
  assert_int_equal (edit ("", 0, SIZE_MAX, &edit_change, &edited, &edited_len,
                          &error), 0);
  assert_int_equal (edited_len, 0);
  free (edited);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_vmware),
    cmocka_unit_test (test_virtualbox),
    cmocka_unit_test (test_qemu),
    cmocka_unit_test (test_cid_line),
    cmocka_unit_test (test_long_content_id),
    cmocka_unit_test (test_tracking),
    cmocka_unit_test (test_tracking_first),
    cmocka_unit_test (test_bad_cid),
    cmocka_unit_test (test_empty),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
