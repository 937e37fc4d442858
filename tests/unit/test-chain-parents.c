/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Finding the parents of links, and refusing wrong ones. */

#include <config.h>

#include "links.h"

static struct folder folder;
static struct captured log_lines;

static int
setup (void **state)
{
  folder_new (&folder);
  folder_make_dir (&folder, "vm");
  folder_make_dir (&folder, "other");
  return 0;
}

static int
teardown (void **state)
{
  folder_remove (&folder);
  return 0;
}

static const struct vmdk_options no_options;

#define assert_opens(name, options, drawing, nr_links)                  \
  links_check_opens (&folder, name, options, &log_lines, drawing,       \
                     nr_links, __FILE__, __LINE__)

#define assert_refused(name, options, kind, err, piece)                 \
  links_check_refused (&folder, name, options, &log_lines, kind, err,   \
                       piece, __FILE__, __LINE__)

static void
write_base (const char *name, char letter)
{
  const char drawing[] = { letter, letter, '\0' };

  link_write (&folder, name, 1, UINT32_MAX, NULL, drawing, 1);
}

static void
write_child (const char *hint)
{
  link_write (&folder, "vm/c.vmdk", 2, 1, hint, ".c", 1);
}

static void
test_beside (void **state)
{
  static const char *const hints[] = {
    "base.vmdk", "./base.vmdk", "/vmfs/volumes/5a/x/base.vmdk",
    "C:\\\\VMs\\\\base.vmdk", "C:\\VMs\\base.vmdk", "..\\x\\base.vmdk",
    "\\\\host\\share\\base.vmdk", "../nowhere/base.vmdk",
  };
  size_t i;

  write_base ("vm/base.vmdk", 'b');
  for (i = 0; i < ARRAY_LENGTH (hints); ++i) {
    write_child (hints[i]);
    assert_opens ("vm/c.vmdk", &no_options, "bc", 2);
  }
}

/* Below the child, if that is what a relative name says; beside it first, if
 * the name may be of another host.
 */
static void
test_below (void **state)
{
  folder_make_dir (&folder, "vm/sub");
  write_base ("vm/sub/base.vmdk", 's');
  write_child ("sub/base.vmdk");
  assert_opens ("vm/c.vmdk", &no_options, "sc", 2);
  write_child ("sub\\base.vmdk");
  assert_opens ("vm/c.vmdk", &no_options, "sc", 2);
  write_base ("vm/base.vmdk", 'b');
  assert_opens ("vm/c.vmdk", &no_options, "bc", 2);
  write_child ("D:/sub/base.vmdk");
  assert_opens ("vm/c.vmdk", &no_options, "bc", 2);
  write_child ("sub/base.vmdk");
  assert_opens ("vm/c.vmdk", &no_options, "sc", 2);
}

/* Outside the folder of the child one must be allowed, where the hint
 * says or where the folder has moved along.
 */
static void
test_outside (void **state)
{
  static char dir[2 * PATH_MAX];
  const char *dirs[] = { dir };
  const struct vmdk_options allow = { .allow_dirs = dirs,
    .nr_allow_dirs = 1 };
  char hint[2 * PATH_MAX + 20];

  snprintf (dir, sizeof dir, "%s/other", folder.path);
  write_base ("other/base.vmdk", 'o');
  write_child ("../other/base.vmdk");
  assert_refused ("vm/c.vmdk", &no_options, VMDK_ERROR_DENIED, EACCES,
                  "allow-dir=");
  assert_opens ("vm/c.vmdk", &allow, "oc", 2);
  snprintf (hint, sizeof hint, "%s/base.vmdk", dir);
  write_child (hint);
  assert_refused ("vm/c.vmdk", &no_options, VMDK_ERROR_DENIED, EACCES,
                  "allow-dir=");
  assert_opens ("vm/c.vmdk", &allow, "oc", 2);
  write_child ("/vmfs/volumes/5a/other/base.vmdk");
  assert_opens ("vm/c.vmdk", &allow, "oc", 2);
  write_child ("D:\\VMs\\other\\base.vmdk");
  assert_opens ("vm/c.vmdk", &allow, "oc", 2);
}

/* The folder above is none that can have moved along. */
static void
test_not_above (void **state)
{
  static const char *const hints[] = {
    "../base.vmdk", "..\\base.vmdk", "x/../base.vmdk", "x/./base.vmdk",
  };
  const char *dirs[] = { folder.path };
  const struct vmdk_options allow = { .allow_dirs = dirs,
    .nr_allow_dirs = 1 };
  size_t i;

  folder_make_dir (&folder, "vm/sub");
  write_base ("base.vmdk", 'a');
  for (i = 0; i < ARRAY_LENGTH (hints); ++i) {
    link_write (&folder, "vm/sub/c.vmdk", 2, 1, hints[i], ".c", 1);
    assert_refused ("vm/sub/c.vmdk", &allow, VMDK_ERROR_IO, ENOENT,
                    "was found neither");
  }
}

static void
test_missing (void **state)
{
  char hint[1400];
  size_t i;

  write_child ("gone/base.vmdk");
  assert_refused ("vm/c.vmdk", &no_options, VMDK_ERROR_IO, ENOENT,
                  "c.vmdk: its parent gone/base.vmdk was found neither");
  assert_refused ("vm/c.vmdk", &no_options, VMDK_ERROR_IO, ENOENT,
                  "single-link=true");
  write_child (NULL);
  assert_refused ("vm/c.vmdk", &no_options, VMDK_ERROR_CORRUPT, EINVAL,
                  "does not say of what; parent=PATH");
  write_child ("gone/");
  assert_refused ("vm/c.vmdk", &no_options, VMDK_ERROR_IO, ENOENT,
                  "its parent gone/ was found neither");

  /* A name that is too long for a file is that of none. */
  memset (hint, 'x', sizeof hint);
  memcpy (hint, "C:\\VMs\\", 7);
  memcpy (hint + 300, "\\base.vmdk", 11);
  write_child (hint);
  assert_refused ("vm/c.vmdk", &no_options, VMDK_ERROR_IO, ENOENT,
                  "was found neither");
  write_child (hint + 7);
  assert_refused ("vm/c.vmdk", &no_options, VMDK_ERROR_IO, ENOENT,
                  "was found neither");

  /* However long the name, the message says what can be done. */
  memset (hint, 'x', sizeof hint - 1);
  hint[sizeof hint - 1] = '\0';
  for (i = 100; i < sizeof hint - 1; i += 100)
    hint[i] = '/';
  write_child (hint);
  assert_refused ("vm/c.vmdk", &no_options, VMDK_ERROR_IO, ENOENT,
                  "single-link=true");

  /* The parameters are no help for the parent of a parent. */
  write_child ("mid.vmdk");
  link_write (&folder, "vm/mid.vmdk", 1, 7, "gone.vmdk", "..", 1);
  assert_refused ("vm/c.vmdk", &no_options, VMDK_ERROR_IO, ENOENT,
                  "mid.vmdk: its parent gone.vmdk was found neither beside "
                  "it nor where that says; it can be put beside it");
}

/* A parent that was found, and is another disk, says more than an old name that
 * may not be opened.
 */
static void
test_moved_and_changed (void **state)
{
  const char *path = folder_path (&folder, "elsewhere/base.vmdk");
  struct vmdk_options options = { 0 };
  char hint[2 * PATH_MAX], allowed[2 * PATH_MAX];
  const char *allow = allowed;

  snprintf (hint, sizeof hint, "%s", path);
  snprintf (allowed, sizeof allowed, "%s", folder_path (&folder, "vm2"));
  folder_make_dir (&folder, "vm2");
  folder_make_dir (&folder, "vm2/child");
  folder_make_dir (&folder, "vm2/elsewhere");
  link_write (&folder, "vm2/child/c.vmdk", 2, 1, hint, ".c", 1);
  link_write (&folder, "vm2/elsewhere/base.vmdk", 7, UINT32_MAX, NULL, "bb",
              1);
  options.allow_dirs = &allow;
  options.nr_allow_dirs = 1;
  assert_refused ("vm2/child/c.vmdk", &options, VMDK_ERROR_CORRUPT, EINVAL,
                  "parentCID is 00000001, but the CID of base.vmdk is "
                  "00000007");
}

/* If not the parent but a file of it is missing, that is said. */
static void
test_missing_extent (void **state)
{
  write_child ("base.vmdk");
  folder_write_text (&folder, "vm/base.vmdk",
                     "# Disk DescriptorFile\nversion=1\nCID=1\n"
                     "parentCID=ffffffff\ncreateType=\"vmfs\"\n"
                     "RW 2 VMFS \"base-flat.vmdk\"\n");
  assert_refused ("vm/c.vmdk", &no_options, VMDK_ERROR_IO, ENOENT,
                  "base-flat.vmdk");
}

/* Does the message begin with this? */
static void
check_refused_first (const char *name, const struct vmdk_options *given,
                     const char *piece, const char *file, int line)
{
  struct vmdk_options options = *given;
  struct vmdk_error error = { .message = "opened" };

  if (!links_try (&folder, name, &options, &log_lines, &error) &&
      strncmp (error.message, piece, strlen (piece)) == 0)
    return;
  print_error ("expected: %s...\ngot: %s\n", piece, error.message);
  _fail (file, line);
}

#define assert_refused_first(name, options, piece)                      \
  check_refused_first (name, options, piece, __FILE__, __LINE__)

/* parent=NAME, in the folder; 'path' has room for it. */
static struct vmdk_options
with_parent (char path[2 * PATH_MAX], const char *name)
{
  snprintf (path, 2 * PATH_MAX, "%s", folder_path (&folder, name));
  return (struct vmdk_options) { .parent = path };
}

/* Extents of a disk that is not the parent are not opened: here they could not
 * be, and a log would tell of a parent's that has no descriptor.
 */
static void
test_another_disk (void **state)
{
  char parent[2 * PATH_MAX];
  const struct vmdk_options options =
    with_parent (parent, "vm/base.vmdk");

  write_child ("base.vmdk");
  folder_write_text (&folder, "vm/base.vmdk",
                     "# Disk DescriptorFile\nversion=1\nCID=7\n"
                     "parentCID=ffffffff\ncreateType=\"vmfs\"\n"
                     "RW 2 VMFS \"base-flat.vmdk\"\n");
  assert_refused ("vm/c.vmdk", &no_options, VMDK_ERROR_CORRUPT, EINVAL,
                  "the CID of base.vmdk is 00000007");
  assert_refused_first ("vm/c.vmdk", &no_options, "c.vmdk: its parentCID");
  assert_refused ("vm/c.vmdk", &options, VMDK_ERROR_CORRUPT, EINVAL,
                  "the CID of base.vmdk is 00000007");
  assert_refused_first ("vm/c.vmdk", &options, "c.vmdk: its parentCID");

  link_write_sparse (&folder, "vm/base.vmdk", NULL, "bb", 1, 0);
  assert_refused ("vm/c.vmdk", &no_options, VMDK_ERROR_CORRUPT, EINVAL,
                  "base.vmdk has no CID");
  assert_logged (&log_lines, 0, "");
}

/* What ignore-cid=true accepts is only what could be opened. */
static void
test_ignored_and_damaged (void **state)
{
  const struct vmdk_options ignore = { .ignore_cid = true };

  folder_make_dir (&folder, "vm/sub");
  write_child ("sub\\base.vmdk");
  folder_write_text (&folder, "vm/base.vmdk",
                     "# Disk DescriptorFile\nversion=1\nCID=7\n"
                     "parentCID=ffffffff\ncreateType=\"vmfs\"\n"
                     "RW 2 VMFS \"base-flat.vmdk\"\n");
  write_base ("vm/sub/base.vmdk", 'b');
  assert_opens ("vm/c.vmdk", &ignore, "bc", 2);
  assert_logged (&log_lines, 0, "");
}

/* Nor is another accepted while the right one is there. */
static void
test_ignored_and_right (void **state)
{
  const struct vmdk_options ignore = { .ignore_cid = true };

  folder_make_dir (&folder, "vm/sub");
  write_child ("sub\\base.vmdk");
  write_base ("vm/sub/base.vmdk", 's');
  link_write (&folder, "vm/base.vmdk", 7, UINT32_MAX, NULL, "bb", 1);
  assert_opens ("vm/c.vmdk", &ignore, "sc", 2);
  assert_logged (&log_lines, 0, "");
  link_write (&folder, "vm/sub/base.vmdk", 8, UINT32_MAX, NULL, "ss", 1);
  assert_opens ("vm/c.vmdk", &ignore, "bc", 2);
  assert_logged (&log_lines, 1, "the CID of base.vmdk is 00000007");
  write_child ("sub/base.vmdk");
  assert_opens ("vm/c.vmdk", &ignore, "sc", 2);
  assert_logged (&log_lines, 1, "the CID of base.vmdk is 00000008");
}

/* Nor while the right one may be there, but cannot be opened. */
static void
test_ignored_and_unreadable (void **state)
{
  const struct vmdk_options ignore = { .ignore_cid = true };

  folder_make_dir (&folder, "vm/sub");
  folder_link (&folder, "base.vmdk", "vm/sub/base.vmdk");
  write_child ("sub/base.vmdk");
  link_write (&folder, "vm/base.vmdk", 7, UINT32_MAX, NULL, "bb", 1);
  assert_refused ("vm/c.vmdk", &ignore, VMDK_ERROR_IO, ELOOP,
                  "c.vmdk: its parent: open: sub/base.vmdk");
}

/* A damaged parent is not passed over for a path of another host. */
static void
test_damaged_parent (void **state)
{
  write_child ("/vmfs/volumes/x/base.vmdk");
  folder_write_text (&folder, "vm/base.vmdk", "no disk at all");
  assert_refused ("vm/c.vmdk", &no_options, VMDK_ERROR_CORRUPT, EINVAL,
                  "base.vmdk: not a VMDK");
}

static void
test_parent_option (void **state)
{
  char parent[2 * PATH_MAX];
  struct vmdk_options options = with_parent (parent, "other/x.vmdk");

  write_base ("other/x.vmdk", 'x');
  write_base ("vm/base.vmdk", 'b');
  write_child ("base.vmdk");
  assert_opens ("vm/c.vmdk", &options, "xc", 2);
  write_child (NULL);
  assert_opens ("vm/c.vmdk", &options, "xc", 2);

  /* Its content ID counts, and its own parents are as it says. */
  link_write (&folder, "other/x.vmdk", 7, UINT32_MAX, NULL, "xx", 1);
  assert_refused ("vm/c.vmdk", &options, VMDK_ERROR_CORRUPT, EINVAL,
                  "parentCID is 00000001, but the CID of x.vmdk is "
                  "00000007");
  link_write (&folder, "other/x.vmdk", 1, 9, "y.vmdk", "..", 1);
  link_write (&folder, "other/y.vmdk", 9, UINT32_MAX, NULL, "yy", 1);
  assert_opens ("vm/c.vmdk", &options, "yc", 3);

  assert_refused ("vm/base.vmdk", &options, VMDK_ERROR_INVALID, EINVAL,
                  "base.vmdk: has no parent");
  options.parent = "/nonexistent/x.vmdk";
  assert_refused ("vm/c.vmdk", &options, VMDK_ERROR_IO, ENOENT,
                  "x.vmdk");
}

static void
test_cid (void **state)
{
  const struct vmdk_options ignore = { .ignore_cid = true };

  write_child ("base.vmdk");
  link_write (&folder, "vm/base.vmdk", 0xabcdef, UINT32_MAX, NULL, "bb", 1);
  assert_refused ("vm/c.vmdk", &no_options, VMDK_ERROR_CORRUPT, EINVAL,
                  "c.vmdk: its parentCID is 00000001, but the CID of "
                  "base.vmdk is 00abcdef");
  assert_refused ("vm/c.vmdk", &no_options, VMDK_ERROR_CORRUPT, EINVAL,
                  "ignore-cid=true");
  assert_opens ("vm/c.vmdk", &ignore, "bc", 2);
  assert_logged (&log_lines, 1, "the CID of base.vmdk is 00abcdef: the parent "
                 "was changed");

  /* A parent without one, and one with a spelling of its own. */
  link_write_sparse (&folder, "vm/base.vmdk",
                     "# Disk DescriptorFile\nversion=1\n"
                     "createType=\"monolithicSparse\"\n"
                     "parentCID=ffffffff\nRW 2 SPARSE \"b\"\n", "bb", 1, 0);
  assert_refused ("vm/c.vmdk", &no_options, VMDK_ERROR_CORRUPT, EINVAL,
                  "base.vmdk has no CID");
  assert_opens ("vm/c.vmdk", &ignore, "bc", 2);
  link_write_sparse (&folder, "vm/base.vmdk",
                     "# Disk DescriptorFile\nversion=1\nCID=01\n"
                     "createType=\"monolithicSparse\"\n"
                     "parentCID=FFFFFFFF\nRW 2 SPARSE \"b\"\n", "bb", 1, 0);
  assert_opens ("vm/c.vmdk", &no_options, "bc", 2);
}

/* By its parentCID it has none, whatever the hint is. */
static void
test_hint_without_parent (void **state)
{
  write_base ("vm/base.vmdk", 'b');
  link_write (&folder, "vm/c.vmdk", 2, UINT32_MAX, "base.vmdk", ".c", 1);
  assert_opens ("vm/c.vmdk", &no_options, ".c", 1);
  assert_logged (&log_lines, 1, "c.vmdk: names a parent (base.vmdk)");
}

/* The chain is a loop, also under another name. */
static void
test_loops (void **state)
{
  const struct vmdk_options single = { .single_link = true };

  link_write (&folder, "vm/c.vmdk", 1, 1, "c.vmdk", ".c", 1);
  assert_refused ("vm/c.vmdk", &no_options, VMDK_ERROR_CORRUPT, ELOOP,
                  "loop");
  folder_link (&folder, "c.vmdk", "vm/link.vmdk");
  link_write (&folder, "vm/c.vmdk", 1, 1, "link.vmdk", ".c", 1);
  assert_refused ("vm/c.vmdk", &no_options, VMDK_ERROR_CORRUPT, ELOOP,
                  "loop");
  folder_hard_link (&folder, "vm/c.vmdk", "vm/hard.vmdk");
  link_write (&folder, "vm/c.vmdk", 1, 1, "hard.vmdk", ".c", 1);
  assert_refused ("vm/c.vmdk", &no_options, VMDK_ERROR_CORRUPT, ELOOP,
                  "loop");

  link_write (&folder, "vm/a.vmdk", 1, 2, "b.vmdk", "..", 1);
  link_write (&folder, "vm/b.vmdk", 2, 3, "d.vmdk", "..", 1);
  link_write (&folder, "vm/d.vmdk", 3, 2, "b.vmdk", "..", 1);
  assert_refused ("vm/a.vmdk", &no_options, VMDK_ERROR_CORRUPT, ELOOP,
                  "d.vmdk: its parent b.vmdk is already part");
  assert_refused_first ("vm/a.vmdk", &no_options, "d.vmdk: its parent b.vmdk");
  assert_opens ("vm/a.vmdk", &single, "..", 1);

  /* The file beside it that has its parent's name is the snapshot itself:
   * what is missing is the parent in another folder.
   */
  link_write (&folder, "vm/c.vmdk", 1, 1, "/gone/c.vmdk", ".c", 1);
  assert_refused_first ("vm/c.vmdk", &no_options,
                        "c.vmdk: its parent: /gone/c.vmdk: ");
  link_write (&folder, "vm/c.vmdk", 1, 1, "D:\\other\\c.vmdk", ".c", 1);
  assert_refused ("vm/c.vmdk", &no_options, VMDK_ERROR_IO, ENOENT,
                  "was found neither");
  link_write (&folder, "vm/c.vmdk", 1, 1, "D:/other/c.vmdk", ".c", 1);
  assert_refused ("vm/c.vmdk", &no_options, VMDK_ERROR_IO, ENOENT,
                  "was found neither");
  link_write (&folder, "vm/c.vmdk", 1, 1, "..\\other\\c.vmdk", ".c", 1);
  assert_refused ("vm/c.vmdk", &no_options, VMDK_ERROR_DENIED, EACCES,
                  "../other/c.vmdk: lies outside");
}

/* An old COWD names its parent, and has no content ID. */
static void
test_cowd_parent (void **state)
{
  uint8_t cowd[41 * 512] = { 0 };

  memcpy (cowd, "COWD", 4);
  store_le32 (cowd + 4, 1);
  store_le32 (cowd + 12, 2);
  store_le32 (cowd + 16, 1);
  store_le32 (cowd + 20, 4);
  store_le32 (cowd + 24, 1);
  strcpy ((char *) cowd + 32, "C:\\disks\\base.vmdk");
  store_le32 (cowd + 4 * 512, 5);
  store_le32 (cowd + 5 * 512 + 4, 40);
  link_fill_sector (cowd + 40 * 512, 'c', 1);
  folder_write (&folder, "vm/c.vmdk", cowd, sizeof cowd);
  write_base ("vm/base.vmdk", 'b');
  assert_opens ("vm/c.vmdk", &no_options, "bc", 2);

  strcpy ((char *) cowd + 32, "c.vmdk");
  folder_write (&folder, "vm/c.vmdk", cowd, sizeof cowd);
  assert_refused ("vm/c.vmdk", &no_options, VMDK_ERROR_CORRUPT, ELOOP,
                  "c.vmdk: its parent c.vmdk is already part");

  memset (cowd + 32, 0, 100);
  folder_write (&folder, "vm/c.vmdk", cowd, sizeof cowd);
  assert_opens ("vm/c.vmdk", &no_options, ".c", 1);
  assert_logged (&log_lines, 1, "opened without a descriptor");
}

/* To look for parents can be given up. */
static void
test_interrupted (void **state)
{
  struct vmdk_options options = { .interrupted = is_interrupted };
  struct vmdk_error error;

  write_base ("vm/base.vmdk", 'b');
  write_child ("base.vmdk");
  assert_null (links_try (&folder, "vm/c.vmdk", &options, &log_lines,
                          &error));
  assert_error (&error, VMDK_ERROR_INTERRUPTED, EINTR,
                "c.vmdk: looking for its parents: was interrupted");
}

#define TEST(t) cmocka_unit_test_setup_teardown (t, setup, teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    TEST (test_beside),
    TEST (test_below),
    TEST (test_outside),
    TEST (test_not_above),
    TEST (test_missing),
    TEST (test_moved_and_changed),
    TEST (test_missing_extent),
    TEST (test_another_disk),
    TEST (test_ignored_and_damaged),
    TEST (test_ignored_and_right),
    TEST (test_ignored_and_unreadable),
    TEST (test_damaged_parent),
    TEST (test_parent_option),
    TEST (test_cid),
    TEST (test_hint_without_parent),
    TEST (test_loops),
    TEST (test_cowd_parent),
    TEST (test_interrupted),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
