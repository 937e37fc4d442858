/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Errors and log lines: what is in them is safe to print, and why a
 * call failed is never cut off.
 */

#include <config.h>

#include <errno.h>

#include "names.h"
#include "unit.h"

static void
test_set (void **state)
{
  struct vmdk_error error;

  assert_int_equal (error_set (&error, VMDK_ERROR_CORRUPT, EINVAL,
                               "%s: field %d", "a.vmdk", 7), -1);
  assert_error (&error, VMDK_ERROR_CORRUPT, EINVAL, "a.vmdk: field 7");
  assert_string_equal (error.message, "a.vmdk: field 7");
}

static void
test_sys (void **state)
{
  struct vmdk_error error;
  char expected[256];

  assert_int_equal (error_sys (&error, ENOENT, "open: %s", "a.vmdk"), -1);
  assert_error (&error, VMDK_ERROR_IO, ENOENT, "open: a.vmdk");
  snprintf (expected, sizeof expected, "open: a.vmdk: %s",
            strerror (ENOENT));
  assert_string_equal (error.message, expected);
}

static void
test_nomem (void **state)
{
  struct vmdk_error error;

  assert_int_equal (error_nomem (&error), -1);
  assert_error (&error, VMDK_ERROR_NOMEM, ENOMEM, "memory");
}

/* Every byte in turn: the controls are replaced, and nothing else. */
static void
test_control_bytes (void **state)
{
  int c;

  for (c = 1; c < 256; ++c) {
    const char name[] = { 'a', (char) c, 'b', '\0' };
    const bool control = c < 0x20 || (c >= 0x7f && c <= 0x9f);
    struct vmdk_error error;
    size_t i;

    error_set (&error, VMDK_ERROR_CORRUPT, EINVAL, "%s!", name);
    for (i = 0; i < 3; ++i)
      assert_int_equal ((unsigned char) error.message[i],
                        i == 1 && control ? '?' : (unsigned char) name[i]);
    assert_string_equal (error.message + 3, "!");

    error_sys (&error, EIO, "%s", name);
    assert_int_equal ((unsigned char) error.message[1],
                      control ? '?' : c);
  }
}

/* So are those that separate lines, or change the direction of what follows; and
 * their neighbours are not.
 */
static void
test_directions (void **state)
{
  static const char *const bad[] = { "\xe2\x80\xa8", "\xe2\x80\xa9",
    "\xe2\x80\xaa", "\xe2\x80\xae", "\xe2\x81\xa6", "\xe2\x81\xa9" };
  static const char *const good[] = { "\xe2\x80\xa7", "\xe2\x80\xaf",
    "\xe2\x81\xa5", "\xe2\x81\xaa" };
  struct vmdk_error error;
  size_t i;

  (void) state;
  for (i = 0; i < ARRAY_LENGTH (bad); ++i) {
    error_set (&error, VMDK_ERROR_CORRUPT, EINVAL, "a%sb", bad[i]);
    assert_string_equal (error.message, "a???b");
    assert_false (name_can_be_told (bad[i]));
  }
  for (i = 0; i < ARRAY_LENGTH (good); ++i) {
    error_set (&error, VMDK_ERROR_CORRUPT, EINVAL, "%s", good[i]);
    assert_string_equal (error.message, good[i]);
    assert_true (name_can_be_told (good[i]));
  }
}

/* So are U+0080 to U+009F in UTF-8: a terminal takes U+009B for the start of an
 * escape sequence, and U+0085 for a new line.
 */
static void
test_c1_controls (void **state)
{
  int c;

  for (c = 0x80; c < 0xa0; ++c) {
    const char name[] = { 'a', '\xc2', (char) c, 'b', '\0' };
    struct vmdk_error error;

    error_set (&error, VMDK_ERROR_CORRUPT, EINVAL, "%s", name);
    assert_null (strstr (error.message, name));
  }
}

static void
test_utf8_is_kept (void **state)
{
  struct vmdk_error error;

  error_set (&error, VMDK_ERROR_CORRUPT, EINVAL, "%s: bad",
             "gr\xc3\xbc\xc3\x9f \xe6\x97\xa5 \xf0\x9f\x92\xbe.vmdk");
  assert_string_equal (error.message,
                       "gr\xc3\xbc\xc3\x9f \xe6\x97\xa5 "
                       "\xf0\x9f\x92\xbe.vmdk: bad");
}

/* Around the length at which a name no longer fits. */
static void
test_long_name_keeps_the_reason (void **state)
{
  size_t len;

  for (len = 900; len < 1100; ++len) {
    char *name = malloc (len + 1);
    struct vmdk_error error;

    assert_non_null (name);
    memset (name, 'x', len);
    name[len] = '\0';
    error_sys (&error, ENOSPC, "pread: %s", name);
    assert_error (&error, VMDK_ERROR_IO, ENOSPC, "pread: xxx");
    assert_non_null (strstr (error.message, strerror (ENOSPC)));
    assert_string_equal (error.message + strlen (error.message) -
                         strlen (strerror (ENOSPC)), strerror (ENOSPC));
    free (name);
  }
}

static void
test_very_long_message_is_terminated (void **state)
{
  char name[5000];
  struct vmdk_error error;

  memset (name, 'x', sizeof name);
  name[sizeof name - 1] = '\0';
  memset (&error, 0xff, sizeof error);
  error_set (&error, VMDK_ERROR_CORRUPT, EINVAL, "%s", name);
  assert_int_equal (strnlen (error.message, sizeof error.message),
                    sizeof error.message - 1);
  memset (&error, 0xff, sizeof error);
  error_sys (&error, EIO, "%s", name);
  assert_true (strnlen (error.message, sizeof error.message) <
               sizeof error.message);
}

/* The kind and the errno value stay what they are. */
static void
test_prefix (void **state)
{
  struct vmdk_error error;

  error_sys (&error, ENOENT, "open: a.vmdk");
  assert_int_equal (error_prefix (&error, "%s: line %d", "d\n.vmdk", 7), -1);
  assert_error (&error, VMDK_ERROR_IO, ENOENT, "d?.vmdk: line 7: open: a.");
  assert_non_null (strstr (error.message, strerror (ENOENT)));
}

static void
test_long_prefix (void **state)
{
  struct vmdk_error error;
  char name[2000];

  memset (name, 'x', sizeof name);
  name[sizeof name - 1] = '\0';
  error_sys (&error, ENOENT, "open: %s", name);
  error_prefix (&error, "%s", name);
  assert_int_equal (strnlen (error.message, sizeof error.message),
                    sizeof error.message - 1);
}

static void
test_unknown_errno (void **state)
{
  struct vmdk_error error;

  error_sys (&error, 99999, "pread: a.vmdk");
  assert_error (&error, VMDK_ERROR_IO, 99999, "pread: a.vmdk: ");
}

static void
test_log (void **state)
{
  struct captured c;
  struct logger logger;

  captured_init (&c, &logger);
  logger_note (&logger, "%s: one\n", "a\x1b[31m");
  assert_int_equal (c.notes, 1);
  assert_int_equal (c.warnings, 0);
  logger_warn (&logger, "two %d", 2);
  assert_int_equal (c.notes, 1);
  assert_int_equal (c.warnings, 1);
  assert_string_equal (c.text, "a?[31m: one?\ntwo 2\n");
}

static void
test_long_log_line (void **state)
{
  struct captured c;
  struct logger logger;
  char name[5000];

  memset (name, 'x', sizeof name);
  name[sizeof name - 1] = '\0';
  captured_init (&c, &logger);
  logger_warn (&logger, "%s", name);
  assert_int_equal (strspn (c.text, "x"), strlen (c.text) - 1);
  assert_in_range (strlen (c.text), 500, 1024);
}

/* A caller that wants no log. */
static void
test_no_log (void **state)
{
  const struct logger logger = { .log = NULL };
  struct captured c;
  struct logger other;

  captured_init (&c, &other);
  logger_note (&logger, "one");
  logger_warn (&logger, "two");
  logger_warn (&other, "three");
  assert_string_equal (c.text, "three\n");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_set),
    cmocka_unit_test (test_sys),
    cmocka_unit_test (test_nomem),
    cmocka_unit_test (test_control_bytes),
    cmocka_unit_test (test_c1_controls),
    cmocka_unit_test (test_directions),
    cmocka_unit_test (test_utf8_is_kept),
    cmocka_unit_test (test_long_name_keeps_the_reason),
    cmocka_unit_test (test_very_long_message_is_terminated),
    cmocka_unit_test (test_prefix),
    cmocka_unit_test (test_long_prefix),
    cmocka_unit_test (test_unknown_errno),
    cmocka_unit_test (test_log),
    cmocka_unit_test (test_long_log_line),
    cmocka_unit_test (test_no_log),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
