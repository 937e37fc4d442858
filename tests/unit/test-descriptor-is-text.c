/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Which files are taken for a descriptor. */

#include <config.h>

#include "descriptor.h"
#include "unit.h"

#define LIMIT (10 * 1024)

/* From memory of its own size. */
static bool
is_text (const char *text, size_t len)
{
  char *copy = malloc (len + 1);
  bool r;

  assert_non_null (copy);
  memcpy (copy + 1, text, len);
  r = descriptor_is_text (copy + 1, len);
  free (copy);
  return r;
}

#define VERSION_AND_EXTENT "version=1\nRW 8 ZERO\n"

static void
test_accepted (void **state)
{
  static const char *const texts[] = {
    "# Disk DescriptorFile\n",
    "# Disk Descriptor File\n",
    "#Disk Descriptor File\n",
    "#Disk DescriptorFile\n",
    "# disk descriptorfile\n",
    "# DISK DESCRIPTORFILE",
    "# Disk DescriptorFile\r\nversion=1\r\n",
    "# Disk DescriptorFile \nversion=1 \n",
    "\xef\xbb\xbf# Disk DescriptorFile\n",

    /* Without a title, by what is in it. */
    "# Description file created by VMDK stream converter\n"
    "version=1\nCID=7e5b80a7\nparentCID=ffffffff\n"
    "createType=\"streamOptimized\"\nRDONLY 8 SPARSE \"a\"\n",
    "encoding=\"UTF-8\"\n# Disk DescriptorFile\n" VERSION_AND_EXTENT,
    VERSION_AND_EXTENT,
    "RW 8 ZERO\nversion=1",
    "\n\n" VERSION_AND_EXTENT,
    "VERSION = 3\r\n\trdonly\t8 FLAT \"a\"\r\n",
    "version=1\nnoaccess 8 ZERO",
    "\xef\xbb\xbf" VERSION_AND_EXTENT,
    "version=1\nRW 8 FLAT \"gr\xc3\xbc\xdf\" 0\n",
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (texts); ++i)
    if (!is_text (texts[i], strlen (texts[i])))
      fail_msg ("not accepted: %s", texts[i]);
}

static void
test_not_accepted (void **state)
{
  static const char *const texts[] = {
    "",
    "\n",
    "hello\n",
    "# Disk DescriptorFiles\n",
    "# Disk Descriptor\n",
    "#  Disk DescriptorFile\n",
    "\n# Disk DescriptorFile\n",        /* not the first line */
    "version=1\n",
    "RW 8 ZERO\n",
    "# version=1\nRW 8 ZERO\n",
    "version=1\n# RW 8 ZERO\n",
    "version=1\nRW\n",
    "version=1\nRWX 8 ZERO\n",
    "subversion=1\nRW 8 ZERO\n",
    "version 1\nRW 8 ZERO\n",
    "#!/bin/sh\necho version\n",
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (texts); ++i)
    if (is_text (texts[i], strlen (texts[i])))
      fail_msg ("accepted: %s", texts[i]);
}

/* A control byte before the first NUL is not text, however it begins. */
static void
test_control_bytes (void **state)
{
  int c;

  for (c = 0; c < 256; ++c) {
    char text[] = "# Disk DescriptorFile\nversion=1 x\nRW 8 ZERO\n";
    const bool control = c != 0 && c < 0x20 && !strchr ("\t\r\n", c);

    *strchr (text, 'x') = (char) c;
    assert_int_equal (is_text (text, sizeof text - 1), !control);
  }
}

/* Behind a NUL there may be anything, and nothing of it counts. */
static void
test_after_nul (void **state)
{
  static const char binary[] = "# Disk DescriptorFile\n\0\1\2\3";
  static const char hidden[] = "version=1\n\0RW 8 ZERO\n";
  static const char empty[] = "\0# Disk DescriptorFile\n";

  assert_true (is_text (binary, sizeof binary));
  assert_false (is_text (hidden, sizeof hidden));
  assert_false (is_text (empty, sizeof empty));
}

static void
test_random_bytes (void **state)
{
  uint64_t seed = 1;
  char bytes[512];
  size_t i, j;

  for (i = 0; i < 1000; ++i) {
    for (j = 0; j < sizeof bytes; ++j)
      bytes[j] = (char) next_random (&seed);
    bytes[0] |= 0x40;           /* not at once at an end */
    assert_false (is_text (bytes, sizeof bytes));
  }
}

/* What counts must be in the first 10 KiB, and what disqualifies too. */
static void
test_limit (void **state)
{
  static const char version[] = "version=1\n", extent[] = "RW 8 ZERO\n";
  char text[LIMIT + 100];

  /* The extent line ends exactly at the limit, or a byte behind it,
   * where only its end is missing.
   */
  memset (text, '\n', sizeof text);
  memcpy (text, version, strlen (version));
  memcpy (text + LIMIT - strlen (extent), extent, strlen (extent));
  assert_true (is_text (text, sizeof text));

  memset (text, '\n', sizeof text);
  memcpy (text, version, strlen (version));
  memcpy (text + LIMIT, extent, strlen (extent));
  assert_false (is_text (text, sizeof text));

  memset (text, '\n', sizeof text);
  memcpy (text, extent, strlen (extent));
  memcpy (text + LIMIT - 3, version, strlen (version));
  assert_false (is_text (text, sizeof text));

  memset (text, 'x', sizeof text);
  memcpy (text, "version=1\nRW 8 ZERO\n", 20);
  text[LIMIT] = '\1';
  assert_true (is_text (text, sizeof text));
  text[LIMIT - 1] = '\1';
  assert_false (is_text (text, sizeof text));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_accepted),
    cmocka_unit_test (test_not_accepted),
    cmocka_unit_test (test_control_bytes),
    cmocka_unit_test (test_after_nul),
    cmocka_unit_test (test_random_bytes),
    cmocka_unit_test (test_limit),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
