/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Names that were written on Windows. */

#include <config.h>

#include "lock.h"
#include "named.h"

static void
test_found (void **state)
{
  struct named *n = *state;

  assert_opens (n, "sub\\disk2.vmdk", "image/sub/disk2.vmdk");
  assert_opens (n, ".\\sub\\disk2.vmdk", "image/sub/disk2.vmdk");
  assert_opens (n, ".\\disk.vmdk", "image/disk.vmdk");
  assert_opens (n, "C:\\VMs\\a\\disk.vmdk", "image/disk.vmdk");
  assert_opens (n, "C:/VMs\\a\\disk.vmdk", "image/disk.vmdk");
  assert_opens (n, "C:/VMs/a/disk.vmdk", "image/disk.vmdk");
  assert_opens (n, "z:/disk.vmdk", "image/disk.vmdk");
  assert_opens (n, "\\\\server\\share\\disk.vmdk", "image/disk.vmdk");
  assert_opens (n, "\\disk.vmdk", "image/disk.vmdk");
  assert_opens (n, "gone\\disk.vmdk", "image/disk.vmdk");
  assert_opens (n, "sub\\disk.vmdk", "image/disk.vmdk");
}

/* With a folder above in it: only the last part is looked for here. */
static void
test_dots (void **state)
{
  struct named *n = *state;

  assert_opens (n, "..\\base\\disk.vmdk", "image/disk.vmdk");
  assert_opens (n, "..\\image\\disk.vmdk", "image/disk.vmdk");
  named_write (n, "image/secret.vmdk");
  assert_opens (n, "..\\outside\\secret.vmdk", "image/secret.vmdk");
}

/* What is too long for a name here is none there either. */
static void
test_long (void **state)
{
  struct named *n = *state;
  char name[400], folder[251];

  memset (folder, 'x', sizeof folder - 1);
  folder[250] = '\0';
  snprintf (name, sizeof name, "C:\\Users\\%s\\disk.vmdk", folder);
  assert_opens (n, name, "image/disk.vmdk");
  snprintf (name, sizeof name, "%s%s\\disk.vmdk", folder, "longer");
  assert_opens (n, name, "image/disk.vmdk");
  snprintf (name, sizeof name, "..\\%s\\none.vmdk", folder);
  assert_fails (n, name, VMDK_ERROR_DENIED, EACCES, "allow-dir");
  snprintf (name, sizeof name, "sub\\%s\\none.vmdk", folder);
  assert_fails (n, name, VMDK_ERROR_IO, ENAMETOOLONG,
                strerror (ENAMETOOLONG));
}

/* A file that has such a name counts first. */
static void
test_literal (void **state)
{
  struct named *n = *state;

  named_write (n, "image/sub\\disk2.vmdk");
  assert_opens (n, "sub\\disk2.vmdk", "image/sub\\disk2.vmdk");
}

/* A drive is not a folder here. */
static void
test_drive (void **state)
{
  struct named *n = *state;

  folder_make_dir (&n->folder, "image/C:");
  named_write (n, "image/C:/disk.vmdk");
  assert_opens (n, "C:\\disk.vmdk", "image/disk.vmdk");
  assert_opens (n, "C:/disk.vmdk", "image/C:/disk.vmdk");
}

/* Only one letter is a drive. */
static void
test_no_drive (void **state)
{
  static const char *const names[] = {
    "CD:/disk.vmdk", "1:/disk.vmdk", ":/disk.vmdk", "C/disk.vmdk",
    "C:disk.vmdk", "@:/disk.vmdk", "\xc3:/disk.vmdk",
  };
  struct named *n = *state;
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (names); ++i)
    assert_fails (n, names[i], VMDK_ERROR_IO, ENOENT, names[i]);
}

/* The error is that of the name as it was written. */
static void
test_not_found (void **state)
{
  static const char *const names[] = {
    "none\\none.vmdk", "C:\\VMs\\none.vmdk", "\\", "\\\\", "C:\\",
    "C:/", "C:/VMs/none.vmdk", "\\\\.\\PhysicalDrive0",
  };
  struct named *n = *state;
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (names); ++i)
    assert_fails (n, names[i], VMDK_ERROR_IO, ENOENT, names[i]);
}

/* What is wrong with the name in the way of Unix is what is told. */
static void
test_converted_is_told (void **state)
{
  struct named *n = *state;

  assert_fails (n, "sub\\", VMDK_ERROR_DENIED, EACCES, "a folder");
  assert_fails (n, "..\\outside\\secret.vmdk", VMDK_ERROR_DENIED, EACCES,
                "allow-dir");
}

/* If there is something that cannot be opened, it is not looked for elsewhere:
 * its last part would be another file.
 */
static void
test_no_other_file (void **state)
{
  struct named *n = *state;
  struct vmdk_error error;
  int fd;

  folder_make_dir (&n->folder, "image/sub/disk.vmdk");
  assert_fails (n, "sub\\disk.vmdk", VMDK_ERROR_DENIED, EACCES, "a folder");

  named_write (n, "image/disk2.vmdk");
  fd = open (folder_path (&n->folder, "image/sub/disk2.vmdk"), O_RDWR);
  assert_true (fd >= 0);
  if (lock_fd (fd, "disk2.vmdk", IO_UNLOCKED, IO_LOCK_WRITE, &error) != 0)
    skip ();
  assert_fails (n, "sub\\disk2.vmdk", VMDK_ERROR_BUSY, EBUSY,
                "disk2.vmdk");
  close (fd);
  assert_opens (n, "sub\\disk2.vmdk", "image/sub/disk2.vmdk");
}

static void
test_outside (void **state)
{
  static const char *const names[] = {
    "\\etc\\passwd", "..\\..\\..\\..\\..\\..\\etc\\passwd",
    "C:\\..\\..\\etc\\passwd", "sub\\..\\..\\outside\\secret.vmdk",
    "link\\secret.vmdk",
  };
  struct named *n = *state;
  size_t i;

  folder_link (&n->folder, "../outside", "image/link");
  for (i = 0; i < ARRAY_LENGTH (names); ++i) {
    struct vmdk_error error;

    assert_null (path_open_named (&n->policy, n->dir, names[i], NULL,
                                  &error));
  }
}

/* What is not a file is not opened this way either. */
static void
test_fifo (void **state)
{
  struct named *n = *state;
  struct vmdk_error error;

  assert_int_equal (mkfifo (folder_path (&n->folder, "image/fifo"), 0600),
                    0);
  alarm (10);
  assert_null (path_open_named (&n->policy, n->dir, "C:\\fifo", NULL,
                                &error));
  alarm (0);
  assert_int_not_equal (error.err, 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    named_test (test_found),
    named_test (test_dots),
    named_test (test_long),
    named_test (test_literal),
    named_test (test_drive),
    named_test (test_no_drive),
    named_test (test_not_found),
    named_test (test_converted_is_told),
    named_test (test_no_other_file),
    named_test (test_outside),
    named_test (test_fifo),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
