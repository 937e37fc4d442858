/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* New files, and their names. */

#include <config.h>

#include <dirent.h>

#include "folder.h"
#include "new-file.h"

/* What the file system lacks, and a rename that fails. */
static bool no_replace_missing, links_missing, rename_fails;

extern int __real_renameat2 (int from, const char *old, int to,
                             const char *new, unsigned flags);
extern int __wrap_renameat2 (int from, const char *old, int to,
                             const char *new, unsigned flags);
extern int __real_linkat (int from, const char *old, int to,
                          const char *new, int flags);
extern int __wrap_linkat (int from, const char *old, int to,
                          const char *new, int flags);
extern int __real_renameat (int from, const char *old, int to,
                            const char *new);
extern int __wrap_renameat (int from, const char *old, int to,
                            const char *new);

int
__wrap_renameat2 (int from, const char *old, int to, const char *new,
                  unsigned flags)
{
  if (!no_replace_missing)
    return __real_renameat2 (from, old, to, new, flags);
  errno = EINVAL;
  return -1;
}

int
__wrap_linkat (int from, const char *old, int to, const char *new, int flags)
{
  if (!links_missing)
    return __real_linkat (from, old, to, new, flags);
  errno = EPERM;
  return -1;
}

int
__wrap_renameat (int from, const char *old, int to, const char *new)
{
  if (!rename_fails)
    return __real_renameat (from, old, to, new);
  errno = EIO;
  return -1;
}

static struct folder folder;

static int
set_up (void **state)
{
  folder_new (&folder);
  return 0;
}

static int
tear_down (void **state)
{
  folder_remove (&folder);
  return 0;
}

static unsigned
count_names (void)
{
  DIR *dir = opendir (folder.path);
  unsigned n = 0;

  assert_non_null (dir);
  while (readdir (dir))
    n++;
  closedir (dir);
  return n - 2;
}

/* A file with the content "abc", that is not published. */
static void
make (struct new_name *name, struct new_file *file, bool avoid_nameless)
{
  struct vmdk_error error;

  assert_int_equal (new_name_init (name, folder_path (&folder, "new"),
                                   &error), 0);
  name->avoid_nameless = avoid_nameless;
  assert_int_equal (new_file_create (file, name, "new", NULL, &error), 0);
  assert_int_equal (io_pwrite (file->io, "abc", 3, 0, &error), 0);
}

static void
check_content (void)
{
  FILE *fp = fopen (folder_path (&folder, "new"), "r");
  char text[8] = "";

  assert_non_null (fp);
  assert_int_equal (fread (text, 1, sizeof text, fp), 3);
  assert_string_equal (text, "abc");
  fclose (fp);
}

static void
test_published (void **state)
{
  const mode_t mask = umask (027);
  struct vmdk_error error;
  struct new_name name;
  struct new_file file;
  struct stat statbuf;
  int avoid;

  for (avoid = 0; avoid < 2; ++avoid) {
    make (&name, &file, avoid);
    assert_int_equal (access (folder_path (&folder, "new"), F_OK), -1);
    assert_int_equal (new_file_publish (&file, &name, &error), 0);
    assert_int_equal (stat (folder_path (&folder, "new"), &statbuf), 0);
    assert_int_equal (statbuf.st_mode & 07777, 0640);
    assert_int_equal (statbuf.st_nlink, 1);
    new_file_destroy (&file, &name);
    check_content ();
    assert_int_equal (count_names (), 1);
    assert_int_equal (unlink (folder_path (&folder, "new")), 0);
    new_name_destroy (&name);
  }
  umask (mask);
}

static void
test_not_published (void **state)
{
  struct new_name name;
  struct new_file file;
  int avoid;

  for (avoid = 0; avoid < 2; ++avoid) {
    make (&name, &file, avoid);
    new_file_destroy (&file, &name);
    new_name_destroy (&name);
    assert_int_equal (count_names (), 0);
  }
}

static void
test_hidden (void **state)
{
  struct vmdk_error error;
  struct new_name name;
  struct new_file file;
  char text[3];
  int avoid;

  for (avoid = 0; avoid < 2; ++avoid) {
    make (&name, &file, avoid);
    assert_int_equal (new_file_hide (&file, &name, &error), 0);
    assert_int_equal (count_names (), 0);
    assert_int_equal (io_pread (file.io, text, 3, 0, &error), 0);
    assert_memory_equal (text, "abc", 3);
    new_file_destroy (&file, &name);
    new_name_destroy (&name);
  }
}

/* What has got the name meanwhile is not replaced. */
static void
test_taken (void **state)
{
  struct vmdk_error error;
  struct new_name name;
  struct new_file file;
  int avoid;

  for (avoid = 0; avoid < 2; ++avoid) {
    make (&name, &file, avoid);
    folder_write_text (&folder, "new", "other");
    assert_int_equal (new_file_publish (&file, &name, &error), -1);
    assert_error (&error, VMDK_ERROR_IO, EEXIST, "new");
    new_file_destroy (&file, &name);
    new_name_destroy (&name);
    assert_int_equal (count_names (), 1);
    assert_int_equal (unlink (folder_path (&folder, "new")), 0);
  }
}

/* A file system that knows fewer ways to give a name that must be free. */
static void
test_few_calls (void **state)
{
  struct vmdk_error error;
  struct new_name name;
  struct new_file file;
  unsigned i;

  no_replace_missing = true;
  for (i = 0; i < 2; ++i) {
    links_missing = i == 1;
    make (&name, &file, true);
    assert_int_equal (new_file_publish (&file, &name, &error), 0);
    new_file_destroy (&file, &name);
    new_name_destroy (&name);
    check_content ();
    assert_int_equal (count_names (), 1);
    assert_int_equal (unlink (folder_path (&folder, "new")), 0);

    make (&name, &file, true);
    folder_write_text (&folder, "new", "abc");
    assert_int_equal (new_file_publish (&file, &name, &error), -1);
    assert_error (&error, VMDK_ERROR_IO, EEXIST, "new");
    new_file_destroy (&file, &name);
    new_name_destroy (&name);
    check_content ();
    assert_int_equal (count_names (), 1);
    assert_int_equal (unlink (folder_path (&folder, "new")), 0);
  }

  rename_fails = true;
  make (&name, &file, true);
  assert_int_equal (new_file_publish (&file, &name, &error), -1);
  assert_error (&error, VMDK_ERROR_IO, EIO, "new");
  assert_int_equal (access (folder_path (&folder, "new"), F_OK), -1);
  new_file_destroy (&file, &name);
  new_name_destroy (&name);
  assert_int_equal (count_names (), 0);
  no_replace_missing = links_missing = rename_fails = false;
}

static void
check_refused (const char *path, int err)
{
  struct vmdk_error error;
  struct new_name name;

  assert_int_equal (new_name_init (&name, path, &error), -1);
  assert_int_equal (error.err, err);
}

static void
test_refused (void **state)
{
  folder_write_text (&folder, "there", "");
  folder_link (&folder, "missing", "dangling");
  check_refused (folder_path (&folder, "there"), EEXIST);
  check_refused (folder_path (&folder, "dangling"), EEXIST);
  check_refused (folder_path (&folder, "missing/new"), ENOENT);
  check_refused (folder_path (&folder, "there/new"), ENOTDIR);
  check_refused (folder_path (&folder, ""), EINVAL);
  check_refused ("..", EINVAL);
  check_refused ("", EINVAL);
}

/* As "nbdkit -u" does, between making the file and writing to it. */
static void
test_other_user (void **state)
{
  const uid_t nobody = 65534;
  struct vmdk_error error;
  struct new_name name;
  struct new_file file;
  unsigned i;

  if (geteuid () != 0)
    skip ();
  for (i = 0; i < 4; ++i) {
    const bool avoid_nameless = i % 2, writable = i / 2;
    int r;

    assert_int_equal (chmod (folder.path, writable ? 0777 : 0755), 0);
    make (&name, &file, avoid_nameless);
    assert_int_equal (new_file_check (&file, &name, &error), 0);
    assert_int_equal (seteuid (nobody), 0);
    r = new_file_check (&file, &name, &error);
    assert_int_equal (seteuid (0), 0);
    assert_int_equal (r, writable && file.temporary[0] ? 0 : -1);
    if (r == -1)
      assert_error (&error, VMDK_ERROR_UNSUPPORTED, EROFS,
                    "new: is read-only because the user");
    new_file_destroy (&file, &name);
    new_name_destroy (&name);
  }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (test_published, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_not_published, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_hidden, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_taken, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_few_calls, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_refused, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_other_user, set_up, tear_down),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
