/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Names in an image lead to files in its folder or below, and nowhere
 * else.
 */

#include <config.h>

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "named.h"

static void
test_inside (void **state)
{
  struct named *n = *state;
  char absolute[PATH_MAX];

  assert_opens (n, "disk.vmdk", "image/disk.vmdk");
  assert_opens (n, "./disk.vmdk", "image/disk.vmdk");
  assert_opens (n, "sub/disk2.vmdk", "image/sub/disk2.vmdk");
  assert_opens (n, "sub//./disk2.vmdk", "image/sub/disk2.vmdk");
  assert_opens (n, "sub/../disk.vmdk", "image/disk.vmdk");
  assert_opens (n, "../image/disk.vmdk", "image/disk.vmdk");

  strcpy (absolute, folder_path (&n->folder, "image/disk.vmdk"));
  assert_opens (n, absolute, "image/disk.vmdk");
  strcpy (absolute, folder_path (&n->folder, "image/sub/disk2.vmdk"));
  assert_opens (n, absolute, "image/sub/disk2.vmdk");
}

/* Names that look as if they left the folder. */
static void
test_dots_in_names (void **state)
{
  struct named *n = *state;

  named_write (n, "image/a..b.vmdk");
  named_write (n, "image/..c");
  named_write (n, "image/...");
  assert_opens (n, "a..b.vmdk", "image/a..b.vmdk");
  assert_opens (n, "..c", "image/..c");
  assert_opens (n, "...", "image/...");
}

/* What is not there is not there, however it is written. */
static void
test_missing_inside (void **state)
{
  struct named *n = *state;

  assert_fails (n, "none.vmdk", VMDK_ERROR_IO, ENOENT, "none.vmdk: ");
  assert_fails (n, "sub/none.vmdk", VMDK_ERROR_IO, ENOENT, "none.vmdk: ");
  assert_fails (n, "none/none.vmdk", VMDK_ERROR_IO, ENOENT, "none.vmdk: ");
  assert_fails (n, "disk.vmdk/none", VMDK_ERROR_IO, ENOTDIR, "none: ");
}

static void
test_missing_inside_with_dots (void **state)
{
  struct named *n = *state;

  assert_fails (n, "none..vmdk", VMDK_ERROR_IO, ENOENT, "none..vmdk: ");
}

static void
test_outside (void **state)
{
  struct named *n = *state;
  char absolute[PATH_MAX];

  assert_denied (n, "../outside/secret.vmdk");
  assert_denied (n, "sub/../../outside/secret.vmdk");
  assert_denied (n, "../image2/near.vmdk");
  assert_denied (n, "./../outside/sub/secret.vmdk");
  strcpy (absolute, folder_path (&n->folder, "outside/secret.vmdk"));
  assert_denied (n, absolute);
  strcpy (absolute, folder_path (&n->folder, "image2/near.vmdk"));
  assert_denied (n, absolute);
  assert_denied (n, "/etc/passwd");
  assert_denied (n, "..");
  assert_denied (n, "/");
}

/* The answer for what is there and for what is not is the same. */
static void
test_outside_reveals_nothing (void **state)
{
  static const char *const pairs[][2] = {
    { "../outside/secret.vmdk", "../outside/sacred.vmdk" },
    { "../outside/sub/secret.vmdk", "../outside/sob/secret.vmdk" },
    { "/etc/passwd", "/etc/passwt" },
    { "/etc/passwd", "/etk/passwd" },
    { "/etc/passwd", "/etc/passwd/x" },
    { "/dev/null", "/dev/nil" },
    { "/etc/shadow", "/etc/shallow" },
    { "../outside", "../autside" },
  };
  struct named *n = *state;
  size_t i, j;

  for (i = 0; i < ARRAY_LENGTH (pairs); ++i) {
    struct vmdk_error errors[2];

    for (j = 0; j < 2; ++j) {
      assert_denied (n, pairs[i][j]);
      assert_null (path_open_named (&n->policy, n->dir, pairs[i][j], NULL,
                                    &errors[j]));
      assert_memory_equal (errors[j].message, pairs[i][j],
                           strlen (pairs[i][j]));
    }
    assert_string_equal (errors[0].message + strlen (pairs[i][0]),
                         errors[1].message + strlen (pairs[i][1]));
  }
}

static void
test_links_inside (void **state)
{
  struct named *n = *state;

  folder_link (&n->folder, "disk.vmdk", "image/relative");
  folder_link (&n->folder, "../disk.vmdk", "image/sub/up");
  folder_link (&n->folder, "sub", "image/folder");
  folder_link (&n->folder, folder_path (&n->folder, "image/disk.vmdk"),
               "image/absolute");
  folder_link (&n->folder, folder_path (&n->folder, "image/sub"),
               "image/absolute-folder");
  folder_link (&n->folder, "relative", "image/twice");
  assert_opens (n, "relative", "image/disk.vmdk");
  assert_opens (n, "sub/up", "image/disk.vmdk");
  assert_opens (n, "folder/disk2.vmdk", "image/sub/disk2.vmdk");
  assert_opens (n, "folder/up", "image/disk.vmdk");
  assert_opens (n, "absolute", "image/disk.vmdk");
  assert_opens (n, "absolute-folder/disk2.vmdk", "image/sub/disk2.vmdk");
  assert_opens (n, "twice", "image/disk.vmdk");
}

static void
test_links_outside (void **state)
{
  struct named *n = *state;

  folder_link (&n->folder, "../outside/secret.vmdk", "image/relative");
  folder_link (&n->folder, folder_path (&n->folder, "outside/secret.vmdk"),
               "image/absolute");
  folder_link (&n->folder, "../outside", "image/folder");
  folder_link (&n->folder, folder_path (&n->folder, "outside"),
               "image/absolute-folder");
  folder_link (&n->folder, "folder/secret.vmdk", "image/twice");
  folder_link (&n->folder, "/", "image/root");
  assert_denied (n, "relative");
  assert_denied (n, "absolute");
  assert_denied (n, "folder/secret.vmdk");
  assert_denied (n, "folder/sub/secret.vmdk");
  assert_denied (n, "absolute-folder/secret.vmdk");
  assert_denied (n, "twice");
  assert_denied (n, "root/etc/passwd");

  /* Out and in again. */
  assert_opens (n, "folder/../image/disk.vmdk", "image/disk.vmdk");
}

/* Links that lead to nothing, in the folder and elsewhere. */
static void
test_dangling_links (void **state)
{
  struct named *n = *state;

  folder_link (&n->folder, "none.vmdk", "image/dangling");
  folder_link (&n->folder, "loop", "image/loop");
  assert_fails (n, "dangling", VMDK_ERROR_IO, ENOENT, "dangling: ");
  assert_fails (n, "loop", VMDK_ERROR_IO, ELOOP, "loop: ");
}

/* A link does not tell either what is outside. */
static void
test_links_reveal_nothing (void **state)
{
  struct named *n = *state;

  folder_link (&n->folder, "../outside/secret.vmdk", "image/there");
  folder_link (&n->folder, "../outside/none.vmdk", "image/not-there");
  folder_link (&n->folder, "../outside", "image/folder");
  folder_link (&n->folder, "/etc", "image/etc");
  assert_denied (n, "there");
  assert_denied (n, "not-there");
  assert_denied (n, "folder/secret.vmdk");
  assert_denied (n, "folder/none.vmdk");
  assert_denied (n, "etc/passwd");
  assert_denied (n, "etc/none");
}

/* However deep what is looked for behind a link. */
static void
test_deep_names_reveal_nothing (void **state)
{
  struct named *n = *state;
  char name[256];
  unsigned depth, i;

  folder_link (&n->folder, "../outside/secret.vmdk", "image/there");
  folder_link (&n->folder, "../outside/none.vmdk", "image/none");
  for (depth = 37; depth <= 42; ++depth) {
    strcpy (name, "there/");
    for (i = 0; i < depth; ++i)
      strcat (name, "d/");
    strcat (name, "x");
    assert_denied (n, name);
    memcpy (name, "/none", 5);
    assert_denied (n, name + 1);
  }
}

static void
test_strange_names (void **state)
{
  struct named *n = *state;
  char name[5001];

  assert_fails (n, "", VMDK_ERROR_IO, ENOENT, "");
  assert_fails (n, "disk.vmdk/", VMDK_ERROR_IO, ENOTDIR, "");
  memset (name, 'x', sizeof name);
  name[5000] = '\0';
  assert_fails (n, name, VMDK_ERROR_IO, ENAMETOOLONG,
                strerror (ENAMETOOLONG));
  name[256] = '\0';
  assert_fails (n, name, VMDK_ERROR_IO, ENAMETOOLONG,
                strerror (ENAMETOOLONG));
  name[255] = '\0';
  assert_fails (n, name, VMDK_ERROR_IO, ENOENT, strerror (ENOENT));
}

/* However long the name, the message says what would allow it. */
static void
test_long_name_keeps_the_reason (void **state)
{
  struct named *n = *state;
  char name[3000] = "";
  size_t i;

  for (i = 0; i < 700; ++i)
    strcat (name, "../");
  strcat (name, "etc/passwd");
  assert_denied (n, name);
}

/* Descriptors of this process, by name. */
static void
test_proc_self_fd (void **state)
{
  struct named *n = *state;
  char inside[64], outside[64], below[64];
  int in, out;

  in = open (folder_path (&n->folder, "image/disk.vmdk"), O_RDONLY);
  out = open (folder_path (&n->folder, "outside/secret.vmdk"), O_RDONLY);
  assert_true (in >= 0 && out >= 0);
  snprintf (inside, sizeof inside, "/proc/self/fd/%d", in);
  snprintf (outside, sizeof outside, "/proc/self/fd/%d", out);
  snprintf (below, sizeof below, "fds/%d", out);
  assert_opens (n, inside, "image/disk.vmdk");
  assert_denied (n, outside);
  assert_denied (n, "/proc/self/fd/99999");
  folder_link (&n->folder, outside, "image/magic");
  assert_denied (n, "magic");
  folder_link (&n->folder, "/proc/self/fd", "image/fds");
  assert_denied (n, below);
  close (in);
  close (out);
}

/* In a namespace of its own, without /proc: is that what is said of a file that
 * the user names, and of one that an image names?
 */
static int
check_without_proc (struct named *n)
{
  struct vmdk_error error;
  int dir;

  if (unshare (CLONE_NEWNS) == -1 ||
      mount ("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == -1 ||
      mount ("none", "/proc", "tmpfs", 0, NULL) == -1)
    return 77;
  if (path_open_named (&n->policy, n->dir, "disk.vmdk", NULL, &error) ||
      path_is_no_file (&error) || !strstr (error.message, "/proc is not"))
    return 1;
  if (path_open_user (&n->policy, folder_path (&n->folder, "image/disk.vmdk"),
                      &dir, &error) ||
      path_is_no_file (&error) || !strstr (error.message, "/proc is not"))
    return 2;
  return 0;
}

static void
test_without_proc (void **state)
{
  struct named *n = *state;
  const pid_t pid = fork ();
  int status;

  assert_true (pid >= 0);
  if (pid == 0)
    _exit (check_without_proc (n));
  assert_true (waitpid (pid, &status, 0) == pid);
  assert_true (WIFEXITED (status));
  if (WEXITSTATUS (status) == 77)
    skip ();
  assert_int_equal (WEXITSTATUS (status), 0);
}

/* What has no place in any folder is refused by the rule, too. */
static void
test_pipe_of_this_process (void **state)
{
  struct named *n = *state;
  char name[64];
  int fds[2];

  assert_int_equal (pipe (fds), 0);
  snprintf (name, sizeof name, "/proc/self/fd/%d", fds[0]);
  alarm (10);
  assert_fails (n, name, VMDK_ERROR_DENIED, EACCES, name);
  alarm (0);
  close (fds[0]);
  close (fds[1]);
}

/* The folder that a file really lies in, which its own names are
 * relative to.
 */
static void
test_folder (void **state)
{
  static const char *const names[] = {
    "sub/disk2.vmdk", "link", "folder/disk2.vmdk", "sub\\disk2.vmdk",
  };
  struct named *n = *state;
  size_t i;

  folder_link (&n->folder, "sub/disk2.vmdk", "image/link");
  folder_link (&n->folder, "sub", "image/folder");
  for (i = 0; i < ARRAY_LENGTH (names); ++i) {
    struct vmdk_error error;
    struct stat expected, got;
    int folder = -1;
    struct io *io = path_open_named (&n->policy, n->dir, names[i], &folder,
                                     &error);

    assert_non_null (io);
    assert_int_equal (stat (folder_path (&n->folder, "image/sub"),
                            &expected), 0);
    assert_int_equal (fstat (folder, &got), 0);
    assert_true (expected.st_ino == got.st_ino &&
                 expected.st_dev == got.st_dev);
    close (folder);
    io_unref (io);
  }
}

/* Messages and backends are named as the image names them. */
static void
test_name_of_backend (void **state)
{
  struct named *n = *state;
  struct vmdk_error error;
  struct stat statbuf;
  struct io *io = path_open_named (&n->policy, n->dir, "sub/disk2.vmdk",
                                   NULL, &error);

  assert_non_null (io);
  assert_string_equal (io->name, "disk2.vmdk");
  assert_int_equal (stat (folder_path (&n->folder, "image/sub/disk2.vmdk"),
                          &statbuf), 0);
  assert_true (io->dev == statbuf.st_dev && io->ino == statbuf.st_ino);
  io_unref (io);
}

/* Opening a thousand times what is good and what is not leaves no
 * descriptor open.
 */
static void
test_no_descriptor_is_lost (void **state)
{
  struct named *n = *state;
  const int before = dup (n->dir);
  unsigned i;
  int after;

  close (before);
  assert_int_equal (mkfifo (folder_path (&n->folder, "image/fifo"), 0600),
                    0);
  for (i = 0; i < 1000; ++i) {
    assert_opens (n, "disk.vmdk", "image/disk.vmdk");
    assert_denied (n, "../outside/secret.vmdk");
    assert_fails (n, "none", VMDK_ERROR_IO, ENOENT, "none");
    assert_fails (n, "fifo", VMDK_ERROR_DENIED, EACCES, "FIFO");
  }
  after = dup (n->dir);
  close (after);
  assert_int_equal (after, before);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    named_test (test_inside),
    named_test (test_dots_in_names),
    named_test (test_missing_inside),
    named_test (test_missing_inside_with_dots),
    named_test (test_outside),
    named_test (test_outside_reveals_nothing),
    named_test (test_links_inside),
    named_test (test_links_outside),
    named_test (test_dangling_links),
    named_test (test_links_reveal_nothing),
    named_test (test_deep_names_reveal_nothing),
    named_test (test_strange_names),
    named_test (test_long_name_keeps_the_reason),
    named_test (test_proc_self_fd),
    named_test (test_without_proc),
    named_test (test_pipe_of_this_process),
    named_test (test_folder),
    named_test (test_name_of_backend),
    named_test (test_no_descriptor_is_lost),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
