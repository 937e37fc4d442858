/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* To look for the disks of a folder can be given up at each step, also when
 * all files have been looked at and their parents are looked for.  What is
 * found then.
 */

#include <config.h>

#include "links.h"
#include "survey.h"

/* More than the time in which nobody is asked again. */
static const struct timespec a_while = { .tv_nsec = 150 * 1000 * 1000 };

static unsigned asked, interrupted_at;

static bool
is_interrupted_then (void *opaque)
{
  (void) opaque;
  nanosleep (&a_while, NULL);
  return ++asked == interrupted_at;
}

/* Returns what survey_folder does, having been interrupted when that was asked
 * for the n-th time; never if n is 0.
 */
static int
survey (const struct folder *folder, unsigned n, struct name_list *list,
        struct vmdk_error *error)
{
  const struct logger logger = { .interrupted = is_interrupted_then };
  const struct path_policy policy = { .unlocked = true };
  const struct survey_options options = {
    .policy = &policy, .logger = &logger,
  };
  const int dir = open (folder->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  bool complete;
  int r;

  assert_true (dir >= 0);
  asked = 0;
  interrupted_at = n;
  r = survey_folder (dir, "folder", &options, list, &complete, error);
  close (dir);
  return r;
}

static void
test_interrupted (void **state)
{
  struct folder folder;
  struct name_list list;
  struct vmdk_error error;
  unsigned steps, n;

  (void) state;
  folder_new (&folder);
  link_write (&folder, "base.vmdk", 1, UINT32_MAX, NULL, "ab", 8);
  link_write (&folder, "one.vmdk", 2, 1, "base.vmdk", "c.", 8);
  link_write (&folder, "two.vmdk", 3, 1, "base.vmdk", ".c", 8);

  assert_int_equal (survey (&folder, 0, &list, &error), 0);
  assert_int_equal (list.nr, 2);
  assert_string_equal (list.disks[0].name, "one.vmdk");
  assert_string_equal (list.disks[1].name, "two.vmdk");
  name_list_free (&list);
  /* Once for each file and each of the two parents. */
  steps = asked;
  assert_true (steps >= 5);

  for (n = 1; n <= steps; ++n) {
    assert_int_equal (survey (&folder, n, &list, &error), -1);
    assert_int_equal (asked, n);
    assert_error (&error, VMDK_ERROR_INTERRUPTED, EINTR,
                  "folder: looking for disks: was interrupted");
    assert_int_equal (list.nr, 0);
  }
  folder_remove (&folder);
}

/* As above, not interrupted, with all allowed that is below the folder. */
static int
survey_all (const struct folder *folder, bool for_writing,
            struct name_list *list, bool *complete, struct vmdk_error *error)
{
  const struct logger logger = { 0 };
  const char *const allowed = folder->path;
  struct path_policy policy;
  const struct survey_options options = {
    .policy = &policy, .logger = &logger, .for_writing = for_writing,
  };
  const int dir = open (folder->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  int r;

  assert_true (dir >= 0);
  assert_int_equal (path_policy_init (&policy, &allowed, 1, error), 0);
  policy.unlocked = true;
  r = survey_folder (dir, "folder", &options, list, complete, error);
  path_policy_destroy (&policy);
  close (dir);
  return r;
}

/* The names of files are what they are. */
static void
test_entries (void **state)
{
  static const char *const names[] = { "snap\t.vmdk", "snap\001",
    "sub\\snap.vmdk" };
  struct folder folder;
  struct name_list list;
  struct vmdk_error error;
  bool complete;
  size_t i;

  (void) state;
  for (i = 0; i < ARRAY_LENGTH (names); ++i) {
    folder_new (&folder);
    link_write (&folder, "base.vmdk", 1, UINT32_MAX, NULL, "ab", 8);
    link_write (&folder, names[i], 2, 1, "base.vmdk", "c.", 8);
    assert_int_equal (survey_all (&folder, true, &list, &complete, &error),
                      0);
    assert_true (complete);
    assert_int_equal (list.nr, strchr (names[i], '\\') ? 1 : 0);
    if (list.nr == 1)
      assert_string_equal (list.disks[0].name, names[i]);
    name_list_free (&list);
    folder_remove (&folder);
  }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_interrupted),
    cmocka_unit_test (test_entries),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
