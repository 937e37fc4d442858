/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Folders that the user allows beside the image's own. */

#include <config.h>

#include "named.h"

static const char *const outside[] = { "outside" };
static const char *const both[] = { "image2", "outside" };
static const char *const root[] = { "/" };

static void
assert_all_allowed (struct named *n)
{
  char absolute[PATH_MAX];

  strcpy (absolute, folder_path (&n->folder, "outside/secret.vmdk"));
  assert_opens (n, absolute, "outside/secret.vmdk");
  strcpy (absolute, folder_path (&n->folder, "outside/sub/secret.vmdk"));
  assert_opens (n, absolute, "outside/sub/secret.vmdk");
  assert_opens (n, "../outside/secret.vmdk", "outside/secret.vmdk");
  folder_link (&n->folder, "../outside/secret.vmdk", "image/link");
  assert_opens (n, "link", "outside/secret.vmdk");
  assert_opens (n, "disk.vmdk", "image/disk.vmdk");
}

static void
test_allowed (void **state)
{
  struct named *n = *state;

  named_allow (n, outside, 1);
  assert_all_allowed (n);
  assert_denied (n, "../image2/near.vmdk");
  assert_denied (n, "/etc/passwd");
}

static void
test_second_folder (void **state)
{
  struct named *n = *state;

  named_allow (n, both, 2);
  assert_all_allowed (n);
  assert_opens (n, "../image2/near.vmdk", "image2/near.vmdk");
}

static void
test_root (void **state)
{
  struct named *n = *state;
  char absolute[PATH_MAX];

  named_allow (n, root, 1);
  assert_all_allowed (n);
  strcpy (absolute, folder_path (&n->folder, "image2/near.vmdk"));
  assert_opens (n, absolute, "image2/near.vmdk");
}

/* An allowed folder whose name is the beginning of another's. */
static void
test_prefix (void **state)
{
  static const char *const image[] = { "image" };
  struct named *n = *state;
  char absolute[PATH_MAX];

  named_allow (n, image, 1);
  strcpy (absolute, folder_path (&n->folder, "image2/near.vmdk"));
  assert_denied (n, absolute);
  assert_denied (n, "../image2/near.vmdk");
  folder_link (&n->folder, "../image2/near.vmdk", "image/link");
  assert_denied (n, "link");
}

/* A folder below is allowed, and not the one that it lies in. */
static void
test_below (void **state)
{
  static const char *const below[] = { "outside/sub" };
  struct named *n = *state;

  named_allow (n, below, 1);
  assert_opens (n, "../outside/sub/secret.vmdk", "outside/sub/secret.vmdk");
  assert_denied (n, "../outside/secret.vmdk");
  assert_denied (n, "../outside/sub/../secret.vmdk");
}

/* A link in an allowed folder that leads out of it. */
static void
test_link_out_of_allowed (void **state)
{
  struct named *n = *state;

  folder_link (&n->folder, "../image2/near.vmdk", "outside/link");
  named_allow (n, outside, 1);
  assert_denied (n, "../outside/link");
}

/* The user may name a folder by a link. */
static void
test_allowed_by_link (void **state)
{
  static const char *const link[] = { "link" };
  struct named *n = *state;

  folder_link (&n->folder, "outside", "link");
  named_allow (n, link, 1);
  assert_opens (n, "../outside/secret.vmdk", "outside/secret.vmdk");
  assert_opens (n, "../link/secret.vmdk", "outside/secret.vmdk");
}

/* What an absolute name in an allowed folder does not find is told as
 * it is; elsewhere it is not.
 */
static void
test_missing (void **state)
{
  struct named *n = *state;
  char absolute[PATH_MAX];

  named_allow (n, outside, 1);
  strcpy (absolute, folder_path (&n->folder, "outside/none.vmdk"));
  assert_fails (n, absolute, VMDK_ERROR_IO, ENOENT, "none.vmdk: ");
  strcpy (absolute, folder_path (&n->folder, "outside/../none.vmdk"));
  assert_denied (n, absolute);
  strcpy (absolute, folder_path (&n->folder, "outsidenone.vmdk"));
  assert_denied (n, absolute);
  assert_denied (n, "/none.vmdk");
}

/* Each folder must be there, and be one; those before it are closed. */
static void
test_bad_folders (void **state)
{
  struct named *n = *state;
  const int before = dup (n->dir);
  const char *dirs[2];
  struct path_policy policy;
  struct vmdk_error error;
  char good[PATH_MAX], none[PATH_MAX], file[PATH_MAX];
  int after;

  close (before);
  strcpy (good, folder_path (&n->folder, "outside"));
  strcpy (none, folder_path (&n->folder, "none"));
  strcpy (file, folder_path (&n->folder, "outside/secret.vmdk"));
  dirs[0] = good;
  dirs[1] = none;
  assert_int_equal (path_policy_init (&policy, dirs, 2, &error), -1);
  assert_error (&error, VMDK_ERROR_IO, ENOENT, none);
  dirs[1] = file;
  assert_int_equal (path_policy_init (&policy, dirs, 2, &error), -1);
  assert_error (&error, VMDK_ERROR_IO, ENOTDIR, file);
  after = dup (n->dir);
  close (after);
  assert_int_equal (after, before);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    named_test (test_allowed),
    named_test (test_second_folder),
    named_test (test_root),
    named_test (test_prefix),
    named_test (test_below),
    named_test (test_link_out_of_allowed),
    named_test (test_allowed_by_link),
    named_test (test_missing),
    named_test (test_bad_folders),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
