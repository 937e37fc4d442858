/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* A descriptor gets a new CID and loses change tracking, and nothing else
 * in it changes.
 */

#include <config.h>

#include <errno.h>

#include "descriptor-edit.h"
#include "parse.h"

#define NEW_CID 0x0badcafe
#define NEW_LONG "00112233445566778899aabb0badcafe"

static const struct descriptor_change change = {
  NEW_CID,
  { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb,
    0x0b, 0xad, 0xca, 0xfe },
};

static const char vmware[] =
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
  "ddb.longContentID = \"c493b057f416b9534001df440172e8a4\"\n"
  "ddb.uuid = \"60 00 C2 98 5d 08 de f2-a0 14 2e 05 94 9d d8 38\"\n"
  "ddb.virtualHWVersion = \"14\"\n";

static const char virtualbox[] =
  "# Disk DescriptorFile\n"
  "version=1\n"
  "CID=2a3cf8b1\n"
  "parentCID=ffffffff\n"
  "createType=\"monolithicSparse\"\n"
  "\n"
  "# Extent description\n"
  "RW 4096 SPARSE \"box.vmdk\"\n"
  "\n"
  "# The disk Data Base \n"
  "#DDB\n"
  "\n"
  "ddb.virtualHWVersion = \"4\"\n"
  "ddb.adapterType=\"ide\"\n"
  "ddb.uuid.image=\"b0a4cc3e-7c1b-4b06-8d2e-0a3d57a3e5f8\"\n"
  "ddb.uuid.modification=\"00000000-0000-0000-0000-000000000000\"\n"
  "ddb.comment=\"CID=5\\n\"\n";

/* QEMU does not pad. */
static const char qemu[] =
  "# Disk DescriptorFile\n"
  "version=1\n"
  "CID=8abb323\n"
  "parentCID=ffffffff\n"
  "createType=\"monolithicSparse\"\n"
  "\n"
  "# Extent description\n"
  "RW 2048 SPARSE \"qemu.vmdk\"\n"
  "\n"
  "# The Disk Data Base\n"
  "#DDB\n"
  "\n"
  "ddb.virtualHWVersion = \"4\"\n"
  "ddb.geometry.cylinders = \"2\"\n";

/* Edit a text in memory of its own size, so that a checker of memory sees
 * a byte too many being read.
 */
static int
edit (const char *text, size_t len, size_t room,
      const struct descriptor_change *c, char **edited, size_t *edited_len,
      struct vmdk_error *error)
{
  char *copy = malloc (len + 1);
  int r;

  assert_non_null (copy);
  memcpy (copy + 1, text, len);
  memset (error, 0, sizeof *error);
  r = descriptor_edit (copy + 1, len, room, c, edited, edited_len, error);
  free (copy);
  return r;
}

static void
check_same_string (const char *a, const char *b)
{
  assert_int_equal (a != NULL, b != NULL);
  if (a)
    assert_string_equal (a, b);
}

/* The new descriptor must say what the old one did, but for the CID and
 * version 3, which may have become 1.
 */
static void
check_meaning (const char *old, size_t old_len, const char *new,
               size_t new_len, uint32_t cid)
{
  struct parsed o, n;
  size_t i;

  parse_bytes (&o, old, old_len);
  assert_int_equal (o.r, 0);
  parse_bytes (&n, new, new_len);
  if (n.r != 0)
    print_error ("%s\n", n.error.message);
  assert_int_equal (n.r, 0);
  assert_true (n.d.has_cid);
  assert_true (n.d.cid == cid);
  if (n.d.version != o.d.version)
    assert_int_equal (n.d.version, 1);
  assert_true (o.d.parent_cid == n.d.parent_cid);
  check_same_string (o.d.parent_hint, n.d.parent_hint);
  check_same_string (o.d.parent_hint_utf8, n.d.parent_hint_utf8);
  check_same_string (o.d.create_type, n.d.create_type);
  check_same_string (o.d.encoding, n.d.encoding);
  check_same_string (o.d.transformed_by, n.d.transformed_by);
  assert_int_equal (o.d.nr_extents, n.d.nr_extents);
  for (i = 0; i < o.d.nr_extents; ++i) {
    const struct extent_line *a = &o.d.extents[i], *b = &n.d.extents[i];

    assert_int_equal (a->access, b->access);
    assert_int_equal (a->type, b->type);
    assert_true (a->sectors == b->sectors && a->offset == b->offset);
    check_same_string (a->name, b->name);
    check_same_string (a->utf8_name, b->utf8_name);
  }
  descriptor_free (&o.d);
  descriptor_free (&n.d);
}

/* Editing 'text' must give 'expected', with as much room as it wants,
 * and without any if the length stays.
 */
static void
check_edit (const char *text, const char *expected, const char *file,
            int line)
{
  const size_t len = strlen (text), expected_len = strlen (expected);
  struct vmdk_error error;
  char *edited;
  size_t edited_len;

  if (edit (text, len, len == expected_len ? len : SIZE_MAX, &change,
            &edited, &edited_len, &error) == -1) {
    print_error ("%s\nwas not edited: %s\n", text, error.message);
    _fail (file, line);
  }
  if (edited_len != expected_len ||
      memcmp (edited, expected, edited_len) != 0) {
    print_error ("%s\nbecame\n%.*s\nnot\n%s\n", text, (int) edited_len,
                 edited, expected);
    _fail (file, line);
  }
  check_meaning (text, len, edited, edited_len, NEW_CID);
  free (edited);
}

#define assert_edit(text, expected)                     \
  check_edit (text, expected, __FILE__, __LINE__)

/* A copy of 'text' in which the first 'old' is 'new', to be freed. */
static char *
replaced (const char *text, const char *old, const char *new)
{
  const char *at = strstr (text, old);
  char *r = malloc (strlen (text) + strlen (new) + 1);

  assert_non_null (at);
  assert_non_null (r);
  sprintf (r, "%.*s%s%s", (int) (at - text), text, new,
           at + strlen (old));
  return r;
}

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

/* A text of 'len' bytes, then NULs up to 'size'. */
static void
check_padded (const char *text, size_t size, size_t room,
              const char *expected, size_t expected_size)
{
  struct vmdk_error error;
  char old[512] = "", *edited;
  size_t edited_len, i;

  assert_true (strlen (text) <= size && size <= sizeof old);
  memcpy (old, text, strlen (text));
  if (edit (old, size, room, &change, &edited, &edited_len, &error) == -1)
    fail_msg ("%s", error.message);
  assert_int_equal (edited_len, expected_size);
  assert_memory_equal (edited, expected, strlen (expected));
  for (i = strlen (expected); i < edited_len; ++i)
    assert_int_equal (edited[i], 0);
  check_meaning (old, size, edited, edited_len, NEW_CID);
  free (edited);
}

static void
test_padding (void **state)
{
  static const char text[] = "CID=1\nx=y\n", longer[] = "CID=0badcafe\nx=y\n";
  static const char same[] = "CID=12345678\nx=y\n";
  const size_t len = sizeof text - 1;

  /* Nothing moves. */
  check_padded (same, sizeof same - 1, 0, longer, sizeof longer - 1);
  check_padded (same, 512, 512, longer, 512);
  check_padded (same, 512, SIZE_MAX, longer, 512);

  /* The text moves into the padding. */
  check_padded (text, 512, 512, longer, 512);
  check_padded (text, len + 8, len + 8, longer, len + 8);
  check_padded (text, len + 7, len + 7, longer, len + 7);

  /* It ends behind it. */
  check_padded (text, len + 6, len + 7, longer, len + 7);
  check_padded (text, len + 1, SIZE_MAX, longer, len + 7);
  check_padded (text, len, 512, longer, len + 7);

  /* The line is missing. */
  check_padded ("version=1\n", 10, 23, "version=1\nCID=0badcafe\n", 23);
  check_padded ("version=1\n", 30, 30, "version=1\nCID=0badcafe\n", 30);
}

/* What is behind the NUL is not text, and must not become it. */
static void
test_behind_nul (void **state)
{
  static const char text[] = "CID=12\nx=y\n\0CID=4\nversion=9\nRW rubbish\n";
  static const char kept[] = "CID=12345678\n\0CID=4\nversion=9\n";
  struct vmdk_error error;
  char *edited;
  size_t edited_len;

  assert_int_equal (edit (text, sizeof text - 1, 100, &change, &edited,
                          &edited_len, &error), 0);
  assert_int_equal (edited_len, sizeof text - 1);
  assert_string_equal (edited, "CID=0badcafe\nx=y\n");
  check_meaning (text, sizeof text - 1, edited, edited_len, NEW_CID);
  free (edited);

  assert_int_equal (edit (kept, sizeof kept - 1, 100, &change, &edited,
                          &edited_len, &error), 0);
  assert_int_equal (edited_len, sizeof kept - 1);
  assert_memory_equal (edited, "CID=0badcafe", 12);
  assert_memory_equal (edited + 12, kept + 12, sizeof kept - 1 - 12);
  free (edited);
}

static void
assert_no_edit (const char *text, size_t len, size_t room,
                enum vmdk_error_kind kind, const char *piece)
{
  struct vmdk_error error;
  char *edited = NULL;
  size_t edited_len;

  assert_int_equal (edit (text, len, room, &change, &edited, &edited_len,
                          &error), -1);
  assert_error (&error, kind, 0, piece);
  assert_null (edited);
}

static void
test_no_room (void **state)
{
  static char large[DESCRIPTOR_MAX_SIZE];
  static const char missing[] = "version=1\nx=yyyyyyyyy\n";

  assert_no_edit ("CID=1\nx=y\n", 10, 16, VMDK_ERROR_UNSUPPORTED,
                  "no room for a longer CID: 17 bytes are needed, "
                  "there are 16");
  assert_no_edit ("CID=1\nx=y\n", 10, 0, VMDK_ERROR_UNSUPPORTED, "no room");
  assert_no_edit ("CID=1\nx=y\n\0\0\0\0\0", 15, 15, VMDK_ERROR_UNSUPPORTED,
                  "no room");
  assert_no_edit (missing, 22, 34, VMDK_ERROR_UNSUPPORTED, "no room");

  /* It could not be read again. */
  memset (large, '\n', sizeof large);
  memcpy (large, "CID=1", 5);
  assert_no_edit (large, sizeof large - 6, SIZE_MAX, VMDK_ERROR_UNSUPPORTED,
                  "no room");
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

  assert_int_equal (edit (zeroes, 512, 512, &change, &edited, &edited_len,
                          &error), 0);
  assert_int_equal (edited_len, 512);
  assert_memory_equal (edited, zeroes, 512);
  free (edited);
  assert_int_equal (edit ("", 0, SIZE_MAX, &change, &edited, &edited_len,
                          &error), 0);
  assert_int_equal (edited_len, 0);
  free (edited);
}

static void
test_fit_cid (void **state)
{
  static const struct {
    const char *text;
    uint32_t cid, expected;
  } cases[] = {
    { "CID=12345678\n", 0x89abcdef, 0x89abcdef },
    { "CID=8abb323\n", 0x89abcdef, 0x9abcdef },
    { "CID=123456\n", 0x89abcdef, 0xabcdef },
    { "CID=12345\n", 0x89abcdef, 0xbcdef },
    { "CID=1234\n", 0x89abcdef, 0xcdef },
    { "CID=123\n", 0x89abcdef, 0x89abcdef },
    { "CID=\n", 0x89abcdef, 0x89abcdef },
    { "CID=x2345\n", 0x89abcdef, 0x89abcdef },
    { "", 0x89abcdef, 0x89abcdef },
    /* The numbers that it must not be. */
    { "CID=12345678\n", 0, 1 },
    { "CID=12345678\n", 0xfffffffe, 1 },
    { "CID=12345678\n", 0xffffffff, 1 },
    { "CID=12345678\n", 0x12345678, 0x12345679 },
    { "CID=fffffffd\n", 0xfffffffd, 1 },
    { "CID=00000001\n", 0xffffffff, 2 },
    { "CID=1234\n", 0x55551234, 0x1235 },
    { "CID=1234\n", 0x55550000, 1 },
    { "CID=0001\n", 0x55550000, 2 },
    { "CID=ffff\n", 0x5555ffff, 1 },
    { "CID=1234\n", 0xffffffff, 0xffff },
    { "CID=0012\n", 0x12, 0x13 },
    { "CID=12\n", 0x12, 0x13 },
    { "", 0, 1 },
    { "parentCID=2\n#CID=1234\nCID=12345\n", 0x89abcdef, 0xbcdef },
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i) {
    const uint32_t cid = descriptor_fit_cid (cases[i].text,
                                             strlen (cases[i].text),
                                             cases[i].cid);

    if (cid != cases[i].expected)
      fail_msg ("%s %" PRIx32 " gave %" PRIx32, cases[i].text, cases[i].cid,
                cid);
  }
}

static void
fill_change (struct descriptor_change *c, uint32_t cid, uint64_t *random)
{
  size_t i;

  c->cid = cid;
  for (i = 0; i < 12; ++i)
    c->long_content_id[i] = (uint8_t) next_random (random);
  for (i = 0; i < 4; ++i)
    c->long_content_id[12 + i] = (uint8_t) (cid >> (24 - 8 * i));
}

/* The second change and all later ones keep the length, and so each
 * mixture of old and new bytes can be parsed.
 */
static void
test_again (void **state)
{
  static const char *const texts[] = {
    vmware, qemu, virtualbox, "version=3\nchangeTrackPath=\"x\"\n",
    "CID=1\nddb.longContentID=\"1\"\n", "CID=12345\n",
  };
  uint64_t random = 11;
  size_t i, j;

  for (i = 0; i < ARRAY_LENGTH (texts); ++i) {
    size_t len = strlen (texts[i]);
    char *text = strdup (texts[i]);

    assert_non_null (text);
    for (j = 0; j < 50; ++j) {
      struct descriptor_change c;
      struct vmdk_error error;
      struct parsed p;
      char *edited;
      size_t edited_len, k;

      fill_change (&c, descriptor_fit_cid (text, len, (uint32_t)
                                           (next_random (&random) >> 20)),
                   &random);
      assert_int_equal (edit (text, len, j == 0 ? SIZE_MAX : len, &c,
                              &edited, &edited_len, &error), 0);
      check_meaning (text, len, edited, edited_len, c.cid);
      if (j > 0) {
        assert_int_equal (edited_len, len);
        for (k = 0; k < len; ++k)
          if (next_random (&random) & UINT64_C (1) << 40)
            text[k] = edited[k];
        parse_bytes (&p, text, len);
        assert_int_equal (p.r, 0);
        descriptor_free (&p.d);
      }
      free (text);
      text = edited;
      len = edited_len;
    }
    free (text);
  }
}

/* Damage a text, and edit it.  What was parsed must be parsed again. */
static void
test_random (void **state)
{
  static const char *const pieces[] = {
    "\n", "\r\n", "CID=", "CID=12\n", "\nversion=3\n", "\"", "#", " #", "=",
    "\nchangeTrackPath=\"CID=7\"\n", "RW ", "\nRW 8 ZERO\n", "\t", " ",
    "\nddb.longContentID = \"123\"\n", "\xef\xbb\xbf", "parentCID=5\n",
  };
  static const char *const texts[] = { vmware, qemu, virtualbox };
  uint64_t random = 1;
  unsigned i, parsed = 0;

  for (i = 0; i < 6000; ++i) {
    char text[1024] = "", *edited;
    struct descriptor_change c;
    struct vmdk_error error;
    struct parsed p;
    size_t len, edited_len, room;
    uint64_t n = 1 + random_below (&random, 4);
    int r;

    strcpy (text, texts[i % ARRAY_LENGTH (texts)]);
    len = strlen (text);
    while (n-- > 0) {
      const char *piece =
        pieces[random_below (&random, ARRAY_LENGTH (pieces))];
      /* Most of what matters is at the top. */
      const size_t at = (size_t)
        random_below (&random, random_below (&random, 2) ? 80 : len);

      switch (random_below (&random, 4)) {
      case 0:
        text[at] = (char) next_random (&random);
        break;
      case 1:
        memmove (text + at, text + at + 1, len - at);
        len--;
        break;
      case 2:
        text[at] ^= 0x20;
        break;
      default:
        if (len + strlen (piece) >= sizeof text)
          break;
        memmove (text + at + strlen (piece), text + at, len - at + 1);
        memcpy (text + at, piece, strlen (piece));
        len += strlen (piece);
      }
    }
    if (i % 5 == 0)
      len += (size_t) random_below (&random, sizeof text - len);
    room = i % 2 == 0 ? SIZE_MAX : len;

    fill_change (&c, descriptor_fit_cid (text, len, (uint32_t)
                                         (next_random (&random) >> 20)),
                 &random);
    parse_bytes (&p, text, len);
    r = edit (text, len, room, &c, &edited, &edited_len, &error);
    if (p.r == 0) {
      descriptor_free (&p.d);
      if (r == -1 && room == SIZE_MAX)
        fail_msg ("round %u: %s", i, error.message);
      if (r == 0 && text[0] != '\0')
        check_meaning (text, len, edited, edited_len, c.cid);
      parsed++;
    }
    if (r == 0) {
      assert_true (edited_len >= len && (edited_len == len ||
                                         edited_len <= room));
      free (edited);
    }
  }
  /* Not too much was refused for this to be a test. */
  assert_true (parsed > 1000);
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
    cmocka_unit_test (test_padding),
    cmocka_unit_test (test_behind_nul),
    cmocka_unit_test (test_no_room),
    cmocka_unit_test (test_bad_cid),
    cmocka_unit_test (test_empty),
    cmocka_unit_test (test_fit_cid),
    cmocka_unit_test (test_again),
    cmocka_unit_test (test_random),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
