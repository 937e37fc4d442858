/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* To look for the disks of a folder can be given up at each step, also when
 * all files have been looked at and their parents are looked for.  What is
 * found then, and when not all is known.
 */

#include <config.h>

#include "links.h"
#include "survey.h"
#include "../../vmdkcore/image.h"

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
  /* For each name, each file, and each of the two parents. */
  steps = asked;
  assert_true (steps >= 8);

  for (n = 1; n <= steps; ++n) {
    assert_int_equal (survey (&folder, n, &list, &error), -1);
    assert_int_equal (asked, n);
    assert_error (&error, VMDK_ERROR_INTERRUPTED, EINTR,
                  "folder: looking for disks: was interrupted");
    assert_int_equal (list.nr, 0);
  }
  folder_remove (&folder);
}

/* So it can at each extent that a file names, be that a disk or damaged. */
static void
test_interrupted_lines (void **state)
{
  static const char lines[] = "RW 8 FLAT \"a\" 0\nRW 8 FLAT \"b\" 0\n"
    "RW 8 FLAT \"c\" 0\n";
  struct folder folder;
  struct name_list list;
  struct vmdk_error error;
  unsigned damaged, i;
  char text[400];

  (void) state;
  for (damaged = 0; damaged < 2; ++damaged) {
    unsigned steps[2];

    for (i = 0; i < 2; ++i) {
      folder_new (&folder);
      snprintf (text, sizeof text, "# Disk DescriptorFile\nversion=1\nCID=1\n"
                "parentCID=ffffffff\n%s%s%s", lines, i == 0 ? "" : lines,
                damaged ? "RW x\n" : "");
      folder_write_text (&folder, "disk.vmdk", text);
      assert_int_equal (survey (&folder, 0, &list, &error), 0);
      name_list_free (&list);
      steps[i] = asked;
      folder_remove (&folder);
    }
    assert_int_equal (steps[1], steps[0] + 3);
  }
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

/* Make a chain of 'nr' parents, each in a folder of its own beside a file that
 * has the name of the next one, and lead it back to base.vmdk.
 */
static void
write_elsewhere (struct folder *folder, unsigned nr)
{
  char name[64], hint[64] = "d0/p0";
  unsigned i;

  folder_new (folder);
  link_write (folder, "base.vmdk", 1, UINT32_MAX, NULL, "ab", 8);
  link_write (folder, "snap.vmdk", 1, 1, hint, "c.", 8);
  for (i = 0; i < nr; ++i) {
    snprintf (name, sizeof name, "d%u", i);
    folder_make_dir (folder, name);
    if (i + 1 < nr) {
      snprintf (name, sizeof name, "d%u/p%u", i, i + 1);
      link_write (folder, name, 7, UINT32_MAX, NULL, "xx", 8);
      snprintf (hint, sizeof hint, "../d%u/p%u", i + 1, i + 1);
    }
    snprintf (name, sizeof name, "d%u/p%u", i, i);
    link_write (folder, name, 1, 1, i + 1 < nr ? hint : "../base.vmdk", "..",
                8);
  }
}

/* If not all parents elsewhere are looked at, a disk may be one of theirs. */
static void
test_too_many_parents (void **state)
{
  struct folder folder;
  struct name_list list;
  struct vmdk_error error;
  bool complete;

  (void) state;
  write_elsewhere (&folder, 10);
  assert_int_equal (survey_all (&folder, true, &list, &complete, &error), 0);
  assert_true (complete);
  assert_int_equal (list.nr, 1);
  assert_string_equal (list.disks[0].name, "snap.vmdk");
  name_list_free (&list);
  folder_remove (&folder);

  write_elsewhere (&folder, 20);
  assert_int_equal (survey_all (&folder, false, &list, &complete, &error), 0);
  assert_false (complete);
  name_list_free (&list);
  assert_int_equal (survey_all (&folder, true, &list, &complete, &error), -1);
  assert_error (&error, VMDK_ERROR_UNSUPPORTED, E2BIG,
                "nothing in folder can be written");
  folder_remove (&folder);
}

/* What was found is opened under its name, and is nothing else if it is not there
 * any more; but the name may be another file's word, and made on Windows.
 */
static void
test_open_entry (void **state)
{
  static const char name[] = "sub\\base.vmdk";
  const struct vmdk_options options = { 0 };
  struct folder folder;
  struct vmdk_image *image;
  struct vmdk_error error;
  int dir;

  (void) state;
  folder_new (&folder);
  link_write (&folder, "base.vmdk", 1, UINT32_MAX, NULL, "ab", 8);
  dir = open (folder.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  assert_true (dir >= 0);
  assert_null (image_open_in (dir, name, true, &options, &error));
  assert_error (&error, VMDK_ERROR_IO, ENOENT, "base.vmdk");
  image = image_open_in (dir, name, false, &options, &error);
  assert_non_null (image);
  vmdk_close (image);
  link_write (&folder, name, 2, UINT32_MAX, NULL, "abc", 8);
  image = image_open_in (dir, name, true, &options, &error);
  assert_non_null (image);
  assert_int_equal (vmdk_size (image), 3 * 8 * 512);
  vmdk_close (image);
  close (dir);
  folder_remove (&folder);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_interrupted),
    cmocka_unit_test (test_interrupted_lines),
    cmocka_unit_test (test_entries),
    cmocka_unit_test (test_open_entry),
    cmocka_unit_test (test_too_many_parents),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
