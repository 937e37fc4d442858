/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Names of things that are not files.  None of them may block: an alarm
 * ends the test that does.
 */

#include <config.h>

#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "named.h"

static void
test_fifo (void **state)
{
  struct named *n = *state;

  assert_int_equal (mkfifo (folder_path (&n->folder, "image/fifo"), 0600),
                    0);
  folder_link (&n->folder, "fifo", "image/link");
  alarm (10);
  assert_fails (n, "fifo", VMDK_ERROR_DENIED, EACCES, "fifo: is a FIFO");
  assert_fails (n, "link", VMDK_ERROR_DENIED, EACCES, "link: is a FIFO");
  alarm (0);
}

static void
test_fifo_outside (void **state)
{
  struct named *n = *state;

  assert_int_equal (mkfifo (folder_path (&n->folder, "outside/fifo"), 0600),
                    0);
  alarm (10);
  assert_denied (n, "../outside/fifo");
  alarm (0);
}

static void
test_socket (void **state)
{
  struct named *n = *state;
  struct sockaddr_un addr = { .sun_family = AF_UNIX };
  const int s = socket (AF_UNIX, SOCK_STREAM, 0);

  assert_true (s >= 0);
  assert_true (strlen (folder_path (&n->folder, "image/s")) <
               sizeof addr.sun_path);
  strcpy (addr.sun_path, folder_path (&n->folder, "image/s"));
  assert_int_equal (bind (s, (struct sockaddr *) &addr, sizeof addr), 0);
  assert_int_equal (listen (s, 1), 0);
  assert_fails (n, "s", VMDK_ERROR_DENIED, EACCES, "s: is a socket");
  close (s);
}

static void
test_folder (void **state)
{
  struct named *n = *state;

  assert_fails (n, "sub", VMDK_ERROR_DENIED, EACCES, "sub: is a folder");
  assert_fails (n, "sub/", VMDK_ERROR_DENIED, EACCES, "is a folder");
}

static void
test_character_device (void **state)
{
  static const char *const dev[] = { "/dev" };
  struct named *n = *state;

  folder_link (&n->folder, "/dev/zero", "image/zero");
  assert_denied (n, "/dev/zero");
  assert_denied (n, "zero");
  named_allow (n, dev, 1);
  assert_fails (n, "/dev/zero", VMDK_ERROR_DENIED, EACCES,
                "/dev/zero: is a character device");
  assert_fails (n, "zero", VMDK_ERROR_DENIED, EACCES,
                "zero: is a character device");
}

/* A block device needs an allowed folder, also beside the image.  With
 * one it is opened, which may fail, but not by the rule.  Its number is
 * one that no driver has.
 */
static void
test_block_device (void **state)
{
  static const char *const image[] = { "image" };
  struct named *n = *state;
  struct vmdk_error error;

  if (mknod (folder_path (&n->folder, "image/block"), S_IFBLK | 0600,
             makedev (240, 255)) == -1)
    skip ();
  assert_fails (n, "block", VMDK_ERROR_DENIED, EACCES,
                "block: a block device");
  assert_fails (n, "block", VMDK_ERROR_DENIED, EACCES, "allow-dir=");
  named_allow (n, image, 1);
  assert_null (path_open_named (&n->policy, n->dir, "block", NULL, &error));
  assert_int_equal (error.kind, VMDK_ERROR_IO);
}

/* Root may read anything, so it becomes somebody else meanwhile. */
static void
test_unreadable (void **state)
{
  struct named *n = *state;
  const uid_t uid = geteuid ();
  struct vmdk_error error, ignored;
  struct io *io, *other;

  named_write (n, "image/open.vmdk");
  assert_int_equal (chmod (folder_path (&n->folder, "image/disk.vmdk"), 0),
                    0);
  if (uid == 0) {
    assert_int_equal (chmod (n->folder.path, 0755), 0);
    assert_int_equal (chmod (folder_path (&n->folder, "image"), 0755), 0);
    assert_int_equal (seteuid (65534), 0);
  }
  io = path_open_named (&n->policy, n->dir, "disk.vmdk", NULL, &error);
  other = path_open_named (&n->policy, n->dir, "open.vmdk", NULL, &ignored);
  assert_int_equal (seteuid (uid), 0);
  assert_non_null (other);
  io_unref (other);
  assert_null (io);
  assert_error (&error, VMDK_ERROR_IO, EACCES, "disk.vmdk: ");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    named_test (test_fifo),
    named_test (test_fifo_outside),
    named_test (test_socket),
    named_test (test_folder),
    named_test (test_character_device),
    named_test (test_block_device),
    named_test (test_unreadable),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
