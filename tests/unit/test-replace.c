/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* A file is replaced by another one: in the right order, with all that it
 * was but its bytes, and not at all if a call fails.
 */

#include <config.h>

#include <dirent.h>
#include <sys/xattr.h>

#include "folder.h"
#include "io.h"
#include "lock.h"
#include "vmdkcore.h"

static const char old_text[] = "the old one", new_text[] = "what is new";

/* The calls are logged, and the one of number 'failing' fails. */
static char calls[512];
static unsigned nr_calls, failing;
static int failing_errno = EIO;

static bool
call_fails (const char *call)
{
  strcat (calls, " ");
  strcat (calls, call);
  if (++nr_calls != failing)
    return false;
  errno = failing_errno;
  return true;
}

static void
begin_calls (unsigned fail)
{
  calls[0] = '\0';
  nr_calls = 0;
  failing = fail;
}

extern int __real_openat (int dir, const char *path, int flags, ...);
extern int __wrap_openat (int dir, const char *path, int flags, ...);
extern ssize_t __real_write (int fd, const void *data, size_t count);
extern ssize_t __wrap_write (int fd, const void *data, size_t count);
extern int __real_fchmod (int fd, mode_t mode);
extern int __wrap_fchmod (int fd, mode_t mode);
extern int __real_fsync (int fd);
extern int __wrap_fsync (int fd);
extern int __real_renameat (int from, const char *old, int to,
                            const char *new);
extern int __wrap_renameat (int from, const char *old, int to,
                            const char *new);
extern int __real_unlinkat (int dir, const char *path, int flags);
extern int __wrap_unlinkat (int dir, const char *path, int flags);

int
__wrap_openat (int dir, const char *path, int flags, ...)
{
  if ((flags & O_CREAT) == 0)
    return __real_openat (dir, path, flags);
  return call_fails ("create") ? -1 :
    __real_openat (dir, path, flags, 0600);
}

/* Not all at once. */
ssize_t
__wrap_write (int fd, const void *data, size_t count)
{
  return call_fails ("write") ? -1 :
    __real_write (fd, data, count > 6 ? 6 : count);
}

int
__wrap_fchmod (int fd, mode_t mode)
{
  return call_fails ("chmod") ? -1 : __real_fchmod (fd, mode);
}

int
__wrap_fsync (int fd)
{
  struct stat statbuf;

  assert_int_equal (fstat (fd, &statbuf), 0);
  return call_fails (S_ISDIR (statbuf.st_mode) ? "sync-folder" : "sync") ?
    -1 : __real_fsync (fd);
}

int
__wrap_renameat (int from, const char *old, int to, const char *new)
{
  return call_fails ("rename") ? -1 : __real_renameat (from, old, to, new);
}

int
__wrap_unlinkat (int dir, const char *path, int flags)
{
  return call_fails ("unlink") ? -1 : __real_unlinkat (dir, path, flags);
}

static struct folder folder;

static int
setup (void **state)
{
  folder_new (&folder);
  folder_write_text (&folder, "file", old_text);
  return 0;
}

static int
teardown (void **state)
{
  folder_remove (&folder);
  return 0;
}

static struct io *
open_file (const char *name)
{
  struct vmdk_error error;
  struct io *io = io_file_new (open (folder_path (&folder, name), O_RDWR),
                               true, "file", &error);

  assert_non_null (io);
  return io;
}

static int
replace (struct io *io, bool *unsure, struct vmdk_error *error)
{
  return io->ops->replace (io, new_text, strlen (new_text), unsure, error);
}

static void
assert_holds (const char *name, const char *text)
{
  char buf[64] = "";
  FILE *fp = fopen (folder_path (&folder, name), "r");

  assert_non_null (fp);
  assert_int_equal (fread (buf, 1, sizeof buf - 1, fp), strlen (text));
  assert_string_equal (buf, text);
  fclose (fp);
}

static void
assert_io_holds (struct io *io, const char *text)
{
  struct vmdk_error error;
  char buf[64] = "";

  assert_int_equal (io->size, strlen (text));
  assert_int_equal (io_pread (io, buf, strlen (text), 0, &error), 0);
  assert_string_equal (buf, text);
}

static unsigned
count_files (void)
{
  DIR *dir = opendir (folder.path);
  unsigned n = 0;

  assert_non_null (dir);
  while (readdir (dir))
    n++;
  closedir (dir);
  return n - 2;
}

/* The file must be refused, for this reason. */
static void
assert_check_fails (struct io *io, const char *reason)
{
  struct vmdk_error error;
  bool unsure = true;

  assert_int_equal (io->ops->check_replace (io, &error), -1);
  assert_error (&error, VMDK_ERROR_UNSUPPORTED, EROFS, reason);
  begin_calls (0);
  assert_int_equal (replace (io, &unsure, &error), -1);
  assert_error (&error, VMDK_ERROR_UNSUPPORTED, EROFS, reason);
  assert_false (unsure);
  assert_string_equal (calls, "");
  assert_io_holds (io, old_text);
  io_unref (io);
}

static void
test_replaced (void **state)
{
  struct io *io = open_file ("file");
  const uint64_t ino = io->ino;
  struct vmdk_error error;
  struct stat statbuf;
  bool unsure = true;

  assert_int_equal (chmod (folder_path (&folder, "file"), 0640), 0);
  begin_calls (0);
  assert_int_equal (io->ops->check_replace (io, &error), 0);
  assert_string_equal (calls, "");
  assert_int_equal (replace (io, &unsure, &error), 0);
  assert_false (unsure);
  assert_string_equal (calls, " create write write chmod sync rename "
                       "sync-folder");
  assert_holds ("file", new_text);
  assert_io_holds (io, new_text);
  assert_int_equal (count_files (), 1);
  assert_int_equal (stat (folder_path (&folder, "file"), &statbuf), 0);
  assert_int_equal (statbuf.st_mode & 07777, 0640);
  assert_true (io->ino == statbuf.st_ino && io->ino != ino);

  /* What is written now is in the new one. */
  assert_int_equal (io_pwrite (io, "W", 1, 0, &error), 0);
  assert_holds ("file", "What is new");
  io_unref (io);
}

/* Each call fails. */
static void
test_failures (void **state)
{
  unsigned i;

  for (i = 1; i <= 7; ++i) {
    const bool is_last = i == 7;
    struct vmdk_error error;
    struct io *io;
    bool unsure = !is_last;

    folder_write_text (&folder, "file", old_text);
    io = open_file ("file");
    begin_calls (i);
    assert_int_equal (replace (io, &unsure, &error), -1);
    assert_error (&error, VMDK_ERROR_IO, EIO, "file");
    assert_int_equal (unsure, is_last);
    assert_holds ("file", is_last ? new_text : old_text);
    assert_io_holds (io, is_last ? new_text : old_text);
    assert_int_equal (count_files (), 1);
    if (!is_last) {
      begin_calls (0);
      assert_int_equal (replace (io, &unsure, &error), 0);
      assert_holds ("file", new_text);
    }
    io_unref (io);
  }
}

/* A file system may have no way to sync a folder; a file it can. */
static void
test_no_sync_of_folders (void **state)
{
  static const int errors[] = { EINVAL, EOPNOTSUPP, ENOSYS };
  struct vmdk_error error;
  unsigned i, call;

  for (i = 0; i < ARRAY_LENGTH (errors); ++i)
    for (call = 5; call <= 7; call += 2) {
      struct io *io;
      bool unsure = true;
      int r;

      folder_write_text (&folder, "file", old_text);
      io = open_file ("file");
      failing_errno = errors[i];
      begin_calls (call);
      r = replace (io, &unsure, &error);
      failing_errno = EIO;
      assert_int_equal (r, call == 7 ? 0 : -1);
      assert_false (unsure);
      assert_holds ("file", call == 7 ? new_text : old_text);
      io_unref (io);
    }
}

static void
test_symbolic_link (void **state)
{
  struct vmdk_error error;
  struct stat statbuf;
  struct io *io;
  bool unsure;

  folder_make_dir (&folder, "dir");
  folder_write_text (&folder, "dir/real", old_text);
  folder_link (&folder, "dir/real", "link");
  io = open_file ("link");
  begin_calls (0);
  assert_int_equal (replace (io, &unsure, &error), 0);
  assert_int_equal (lstat (folder_path (&folder, "link"), &statbuf), 0);
  assert_true (S_ISLNK (statbuf.st_mode));
  assert_holds ("dir/real", new_text);
  io_unref (io);
}

static void
test_hard_link (void **state)
{
  assert_int_equal (link (folder_path (&folder, "file"),
                          folder_path (&folder, "other")), 0);
  assert_check_fails (open_file ("file"), "file: has other names, too");
  assert_holds ("other", old_text);
}

static void
test_moved (void **state)
{
  struct io *io = open_file ("file");

  assert_int_equal (rename (folder_path (&folder, "file"),
                            folder_path (&folder, "moved")), 0);
  folder_write_text (&folder, "file", "another");
  begin_calls (0);
  {
    struct vmdk_error error;
    bool unsure;

    /* The kernel knows where it is now. */
    assert_int_equal (replace (io, &unsure, &error), 0);
  }
  assert_holds ("file", "another");
  assert_holds ("moved", new_text);
  io_unref (io);

  folder_write_text (&folder, "file", old_text);
  io = open_file ("file");
  assert_int_equal (unlink (folder_path (&folder, "file")), 0);
  assert_check_fails (io, "has been moved or removed");
  assert_int_equal (count_files (), 1);
}

/* Become a user who owns the folder and the file, as root may write any
 * folder.  Others stay who they are.
 */
static void
become_user (void)
{
  if (geteuid () != 0)
    return;
  assert_int_equal (chown (folder.path, 12345, 23456), 0);
  assert_int_equal (chown (folder_path (&folder, "file"), 12345, 23456), 0);
  assert_int_equal (setegid (23456), 0);
  assert_int_equal (seteuid (12345), 0);
}

static void
become_root_again (void)
{
  if (getuid () != 0)
    return;
  assert_int_equal (seteuid (0), 0);
  assert_int_equal (setegid (getgid ()), 0);
}

static void
test_folder_not_writable (void **state)
{
  struct io *io = open_file ("file");
  struct vmdk_error error;
  bool unsure = true;
  int r;

  assert_int_equal (chmod (folder.path, 0500), 0);
  become_user ();
  begin_calls (0);
  r = replace (io, &unsure, &error);
  become_root_again ();
  assert_int_equal (r, -1);
  assert_false (unsure);
  assert_string_equal (calls, "");
  assert_error (&error, VMDK_ERROR_IO, EACCES, "folder of file");

  assert_int_equal (chmod (folder.path, 0700), 0);
  become_user ();
  r = replace (io, &unsure, &error);
  become_root_again ();
  assert_int_equal (r, 0);
  assert_holds ("file", new_text);
  io_unref (io);
}

/* Only root can make such a file. */
static void
test_other_owner (void **state)
{
  struct vmdk_error error;
  struct stat statbuf;
  struct io *io;
  bool unsure;

  if (geteuid () != 0)
    skip ();
  assert_int_equal (chown (folder_path (&folder, "file"), 12345, 23456), 0);
  assert_int_equal (chmod (folder_path (&folder, "file"), 04751), 0);
  io = open_file ("file");
  begin_calls (0);
  assert_int_equal (replace (io, &unsure, &error), 0);
  assert_int_equal (stat (folder_path (&folder, "file"), &statbuf), 0);
  assert_int_equal (statbuf.st_uid, 12345);
  assert_int_equal (statbuf.st_gid, 23456);
  assert_int_equal (statbuf.st_mode & 07777, 04751);
  io_unref (io);

  /* Another user than its owner. */
  folder_write_text (&folder, "file", old_text);
  assert_int_equal (chmod (folder.path, 0777), 0);
  io = open_file ("file");
  assert_int_equal (seteuid (12346), 0);
  assert_int_equal (io->ops->check_replace (io, &error), -1);
  assert_int_equal (seteuid (0), 0);
  assert_error (&error, VMDK_ERROR_UNSUPPORTED, EROFS,
                "belongs to another user");
  assert_int_equal (seteuid (12345), 0);
  assert_int_equal (io->ops->check_replace (io, &error), -1);
  assert_int_equal (seteuid (0), 0);
  assert_error (&error, VMDK_ERROR_UNSUPPORTED, EROFS,
                "belongs to a group of other users");
  io_unref (io);
}

static void
test_attributes (void **state)
{
  struct vmdk_error error;
  char value[16] = "";
  struct io *io;
  bool unsure;

  if (setxattr (folder_path (&folder, "file"), "user.test", "kept", 4,
                0) == -1)
    skip ();
  io = open_file ("file");
  begin_calls (0);
  assert_int_equal (replace (io, &unsure, &error), 0);
  assert_int_equal (getxattr (folder_path (&folder, "file"), "user.test",
                              value, sizeof value), 4);
  assert_string_equal (value, "kept");
  io_unref (io);
}

/* The folder gives its new files an access control list, which lets others in:
 * that in the place of a file without one has none either.
 */
static void
test_default_acl (void **state)
{
  static const struct __attribute__ ((packed)) {
    uint32_t version;
    struct __attribute__ ((packed)) { uint16_t tag, perm; uint32_t id; } e[5];
  } acl = {
    2, {
      { 0x01, 6, UINT32_MAX },  /* the owner */
      { 0x02, 6, 34567 },       /* another user */
      { 0x04, 4, UINT32_MAX },  /* the group */
      { 0x10, 6, UINT32_MAX },  /* what it and other users get at most */
      { 0x20, 0, UINT32_MAX },  /* all others */
    }
  };
  struct vmdk_error error;
  struct stat statbuf;
  struct io *io;
  char value[sizeof acl];
  bool unsure;
  unsigned i;

  if (setxattr (folder.path, "system.posix_acl_default", &acl, sizeof acl,
                0) == -1)
    skip ();
  /* The second time with a list of its own. */
  for (i = 0; i < 2; ++i) {
    assert_int_equal (chmod (folder_path (&folder, "file"), 0640), 0);
    if (i == 1)
      assert_int_equal (setxattr (folder_path (&folder, "file"),
                                  "system.posix_acl_access", &acl,
                                  sizeof acl, 0), 0);
    io = open_file ("file");
    begin_calls (0);
    assert_int_equal (replace (io, &unsure, &error), 0);
    assert_int_equal (stat (folder_path (&folder, "file"), &statbuf), 0);
    assert_int_equal (statbuf.st_mode & 07777, i == 0 ? 0640 : 0660);
    assert_int_equal (getxattr (folder_path (&folder, "file"),
                                "system.posix_acl_access", value,
                                sizeof value),
                      i == 0 ? -1 : (ssize_t) sizeof acl);
    if (i == 1)
      assert_memory_equal (value, &acl, sizeof acl);
    io_unref (io);
  }
}

/* Another open file is another program. */
static int
lock_by_another (enum io_lock lock)
{
  const int fd = open (folder_path (&folder, "file"), O_RDWR);
  struct vmdk_error error = { .err = 0 };

  assert_true (fd >= 0);
  (void) lock_fd (fd, "file", IO_UNLOCKED, lock, &error);
  close (fd);
  return error.err;
}

/* The lock is that of the new file, too, and can be changed. */
static void
test_lock (void **state)
{
  struct io *io = open_file ("file");
  struct vmdk_error error;
  bool unsure;

  assert_int_equal (io_lock (io, IO_LOCK_WRITE, &error), 0);
  if (lock_by_another (IO_LOCK_READ) == 0) {
    io_unref (io);
    skip ();                    /* the file system has no locks */
  }
  begin_calls (0);
  assert_int_equal (replace (io, &unsure, &error), 0);
  assert_holds ("file", new_text);
  assert_int_equal (lock_by_another (IO_LOCK_READ), EBUSY);
  assert_int_equal (io_lock (io, IO_LOCK_READ, &error), 0);
  assert_int_equal (lock_by_another (IO_LOCK_READ), 0);
  assert_int_equal (lock_by_another (IO_LOCK_WRITE), EBUSY);
  io_unref (io);
  assert_int_equal (lock_by_another (IO_LOCK_WRITE), 0);
}

/* All of it: a disk whose descriptor has no content ID. */
static void
test_disk (void **state)
{
  static const char descriptor[] = "version=1\nRW 8 FLAT \"flat\" 0\n";
  const char zeroes[4096] = "";
  struct vmdk_options options = { .writable = true };
  struct vmdk_image *image;
  struct vmdk_error error;
  char text[256] = "";
  FILE *fp;

  folder_write_text (&folder, "file", descriptor);
  folder_write (&folder, "flat", zeroes, sizeof zeroes);
  image = vmdk_open (folder_path (&folder, "file"), &options, &error);
  assert_non_null (image);
  begin_calls (0);
  if (vmdk_begin_writing (image, &error) == -1)
    fail_msg ("%s", error.message);
  assert_holds ("file", descriptor);
  assert_int_equal (vmdk_pwrite (image, "data", 4, 0, 0, &error), 0);
  assert_int_equal (vmdk_end_writing (image, &error), 0);
  vmdk_close (image);
  assert_int_equal (count_files (), 2);
  fp = fopen (folder_path (&folder, "file"), "r");
  assert_non_null (fp);
  assert_int_equal (fread (text, 1, sizeof text - 1, fp),
                    strlen (descriptor) + 13);
  fclose (fp);
  assert_memory_equal (text, "version=1\nCID=", 14);
  assert_string_equal (text + 22, "\nRW 8 FLAT \"flat\" 0\n");

  /* With hard links it is not written. */
  folder_write_text (&folder, "file", descriptor);
  assert_int_equal (link (folder_path (&folder, "file"),
                          folder_path (&folder, "other")), 0);
  image = vmdk_open (folder_path (&folder, "file"), &options, &error);
  assert_non_null (image);
  assert_int_equal (vmdk_begin_writing (image, &error), -1);
  assert_error (&error, VMDK_ERROR_UNSUPPORTED, EROFS,
                "file: is read-only because its content ID cannot be "
                "changed: the descriptor must become longer, and cannot be "
                "replaced: file: has other names, too (hard links)");
  vmdk_close (image);
}

#define each(test) cmocka_unit_test_setup_teardown (test, setup, teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    each (test_replaced),
    each (test_failures),
    each (test_no_sync_of_folders),
    each (test_symbolic_link),
    each (test_hard_link),
    each (test_moved),
    each (test_folder_not_writable),
    each (test_other_owner),
    each (test_attributes),
    each (test_default_acl),
    each (test_lock),
    each (test_disk),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
