/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Where a descriptor goes that becomes longer. */

#include <config.h>

#include "edit.h"

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
  if (edit (old, size, room, &edit_change, &edited, &edited_len, &error) == -1)
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

  assert_int_equal (edit (text, sizeof text - 1, 100, &edit_change, &edited,
                          &edited_len, &error), 0);
  assert_int_equal (edited_len, sizeof text - 1);
  assert_string_equal (edited, "CID=0badcafe\nx=y\n");
  check_meaning (text, sizeof text - 1, edited, edited_len, NEW_CID);
  free (edited);

  assert_int_equal (edit (kept, sizeof kept - 1, 100, &edit_change, &edited,
                          &edited_len, &error), 0);
  assert_int_equal (edited_len, sizeof kept - 1);
  assert_memory_equal (edited, "CID=0badcafe", 12);
  assert_memory_equal (edited + 12, kept + 12, sizeof kept - 1 - 12);
  free (edited);
}

/* What has moved, from the digits to the end, and the NUL that has become
 * the end.
 */
static void
test_moved (void **state)
{
  static const struct {
    const char *text;
    size_t len, moved, moved_end;
  } cases[] = {
    { "CID=12345678\nx=y\n", 17, 0, 0 },
    { "CID=12345678\nx=y\n\0\0\0", 20, 0, 0 },
    { "version=3\nchangeTrackPath=a\nCID=12345678\n", 41, 0, 0 },
    { "", 0, 0, 0 },
    { "\0\0", 2, 0, 0 },
    { "x=y\nCID=1\nx=y\n", 14, 8, 21 },
    { "x=y\nCID=1\nx=y\n\0\0\0\0\0\0\0", 21, 8, 21 },
    { "x=y\nCID=1\nx=y\n\0\0\0\0\0\0\0\0", 22, 8, 22 },
    { "x=y\nCID=1\nx=y\n\0\0\0\0\0\0\0\0a", 23, 8, 22 },
    { "version=1\nx=y\n", 14, 10, 27 },
    { "version=1", 9, 9, 23 },
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i) {
    struct edited_descriptor e;
    struct vmdk_error error;

    assert_int_equal (edit_whole (cases[i].text, cases[i].len, SIZE_MAX,
                                  &edit_change, &e, &error), 0);
    if (e.moved != cases[i].moved || e.moved_end != cases[i].moved_end)
      fail_msg ("case %zu: %zu to %zu", i, e.moved, e.moved_end);
    free (e.text);
  }
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

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_padding),
    cmocka_unit_test (test_behind_nul),
    cmocka_unit_test (test_no_room),
    cmocka_unit_test (test_moved),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
