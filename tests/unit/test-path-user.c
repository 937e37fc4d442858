/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The file that the user names: anything that can be read and has a
 * size, wherever it is.
 */

#include <config.h>

#include "folder.h"
#include "path.h"

static struct folder folder;
static const struct path_policy policy; /* it is not asked */

static int
setup (void **state)
{
  folder_new (&folder);
  folder_make_dir (&folder, "a");
  folder_make_dir (&folder, "b");
  folder_write_text (&folder, "a/disk.vmdk", "hello");
  folder_link (&folder, "../a/disk.vmdk", "b/link.vmdk");
  return 0;
}

static int
teardown (void **state)
{
  folder_remove (&folder);
  return 0;
}

/* The file opens, and names in it are relative to 'expected'. */
static void
assert_opened (const char *path, const char *name, const char *expected)
{
  struct stat want, got;
  struct vmdk_error error;
  int dir = -1;
  struct io *io = path_open_user (&policy, path, &dir, &error);
  char text[5];

  if (!io)
    fail_msg ("%s", error.message);
  assert_string_equal (io->name, name);
  assert_int_equal (io->size, 5);
  assert_int_equal (io_pread (io, text, 5, 0, &error), 0);
  assert_memory_equal (text, "hello", 5);
  assert_int_equal (stat (expected, &want), 0);
  assert_int_equal (fstat (dir, &got), 0);
  assert_true (want.st_ino == got.st_ino && want.st_dev == got.st_dev);
  close (dir);
  io_unref (io);
}

static void
test_opened (void **state)
{
  char path[PATH_MAX], cwd[PATH_MAX];

  strcpy (path, folder_path (&folder, "a"));
  assert_opened (folder_path (&folder, "a/disk.vmdk"), "disk.vmdk", path);
  assert_opened (folder_path (&folder, "b/../a/disk.vmdk"), "disk.vmdk",
                 path);
  strcpy (path, folder_path (&folder, "b"));
  assert_opened (folder_path (&folder, "b/link.vmdk"), "link.vmdk", path);

  /* Without a slash. */
  assert_non_null (getcwd (cwd, sizeof cwd));
  assert_int_equal (chdir (folder_path (&folder, "a")), 0);
  assert_opened ("disk.vmdk", "disk.vmdk", ".");
  assert_opened ("../b/link.vmdk", "link.vmdk", "../b");
  assert_int_equal (chdir (cwd), 0);
}

static void
assert_not_opened (const char *path, enum vmdk_error_kind kind, int err,
                   const char *piece)
{
  struct vmdk_error error;
  int dir = 99;

  assert_null (path_open_user (&policy, path, &dir, &error));
  assert_error (&error, kind, err, piece);
  assert_int_equal (dir, -1);
}

static void
test_not_opened (void **state)
{
  char path[5001];
  const int before = dup (0);
  int after;

  close (before);
  assert_int_equal (mkfifo (folder_path (&folder, "fifo"), 0600), 0);
  folder_link (&folder, "loop", "loop");
  alarm (10);
  assert_not_opened (folder_path (&folder, "fifo"), VMDK_ERROR_DENIED,
                     EACCES, "fifo: is a FIFO");
  alarm (0);
  assert_not_opened (folder_path (&folder, "none"), VMDK_ERROR_IO, ENOENT,
                     "none: ");
  assert_not_opened (folder_path (&folder, "none/none"), VMDK_ERROR_IO,
                     ENOENT, "none/none: ");
  assert_not_opened (folder_path (&folder, "a/disk.vmdk/x"), VMDK_ERROR_IO,
                     ENOTDIR, "x: ");
  assert_not_opened (folder_path (&folder, "a/disk.vmdk/"), VMDK_ERROR_IO,
                     ENOTDIR, "");
  assert_not_opened (folder_path (&folder, "loop"), VMDK_ERROR_IO, ELOOP,
                     "loop: ");
  assert_not_opened (folder_path (&folder, "a"), VMDK_ERROR_DENIED, EACCES,
                     "is a folder");
  assert_not_opened ("/", VMDK_ERROR_DENIED, EACCES, "is a folder");
  assert_not_opened ("/dev/null", VMDK_ERROR_DENIED, EACCES,
                     "/dev/null: is a character device");
  assert_not_opened ("", VMDK_ERROR_IO, ENOENT, "");
  memset (path, 'x', sizeof path);
  path[5000] = '\0';
  assert_not_opened (path, VMDK_ERROR_IO, ENAMETOOLONG,
                     strerror (ENAMETOOLONG));
  after = dup (0);
  close (after);
  assert_int_equal (after, before);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_opened),
    cmocka_unit_test (test_not_opened),
  };

  return cmocka_run_group_tests (tests, setup, teardown);
}
