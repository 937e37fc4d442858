/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* A file without a name (O_TMPFILE) is gone with its last descriptor, so
 * that a process that is killed leaves nothing.  Where that is not possible,
 * it has a name that says so until it is whole.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "new-file.h"

#define FD_PATH_SIZE 64

/* A second path to an open file. */
static void
make_fd_path (int fd, char path[FD_PATH_SIZE])
{
  snprintf (path, FD_PATH_SIZE, "/proc/self/fd/%d", fd);
}

int
new_name_init (struct new_name *name, const char *path,
               struct vmdk_error *error)
{
  const char *slash = strrchr (path, '/');
  const char *base = slash ? slash + 1 : path;
  char *folder = slash ? strndup (path, (size_t) (base - path)) :
    strdup (".");
  struct stat statbuf;

  name->folder = -1;
  name->avoid_nameless = false;
  name->base = strdup (base);
  if (!folder || !name->base) {
    error_nomem (error);
    goto err;
  }
  if (!*base || strcmp (base, ".") == 0 || strcmp (base, "..") == 0) {
    error_set (error, VMDK_ERROR_INVALID, EINVAL,
               "%s: is not the name of a file", path);
    goto err;
  }
  name->folder = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (name->folder == -1) {
    error_sys (error, errno, "open: folder of %s", path);
    goto err;
  }
  if (fstatat (name->folder, base, &statbuf, AT_SYMLINK_NOFOLLOW) == 0) {
    error_sys (error, EEXIST, "%s", path);
    goto err;
  }
  if (errno != ENOENT) {
    error_sys (error, errno, "stat: %s", path);
    goto err;
  }
  free (folder);
  return 0;

 err:
  free (folder);
  new_name_destroy (name);
  return -1;
}

void
new_name_destroy (struct new_name *name)
{
  if (name->folder != -1)
    close (name->folder);
  name->folder = -1;
  free (name->base);
  name->base = NULL;
}

/* -1 and errno 0 if there can be none. */
static int
open_nameless (const struct new_name *name)
{
  char path[FD_PATH_SIZE];
  int fd;

  errno = 0;
  if (name->avoid_nameless)
    return -1;
  fd = openat (name->folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
  if (fd == -1) {
    /* The file system, or the kernel, does not know it. */
    if (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT ||
        errno == EINVAL)
      errno = 0;
    return -1;
  }
  /* It gets its name through /proc, which may be missing. */
  make_fd_path (fd, path);
  if (access (path, F_OK) == 0)
    return fd;
  close (fd);
  errno = 0;
  return -1;
}

static int
open_temporary (struct new_file *file, const struct new_name *name)
{
  uint64_t random;

  if (getrandom (&random, sizeof random, 0) != sizeof random)
    return -1;
  snprintf (file->temporary, sizeof file->temporary, ".%.200s.%016" PRIx64,
            name->base, random);
  return openat (name->folder, file->temporary, O_RDWR | O_CREAT | O_EXCL |
                 O_NOFOLLOW | O_CLOEXEC, 0666);
}

int
new_file_create (struct new_file *file, const struct new_name *name,
                 const char *called, const struct io_hook *hook,
                 struct vmdk_error *error)
{
  int fd;

  file->io = NULL;
  file->temporary[0] = '\0';
  file->fd = open_nameless (name);
  if (file->fd == -1 && errno == 0)
    file->fd = open_temporary (file, name);
  if (file->fd == -1) {
    file->temporary[0] = '\0';
    return error_sys (error, errno, "open: new %s", called);
  }
  fd = fcntl (file->fd, F_DUPFD_CLOEXEC, 0);
  if (fd == -1)
    error_sys (error, errno, "dup: new %s", called);
  else
    file->io = io_file_new (fd, true, called, error);
  if (file->io && hook)
    file->io = hook->wrap (hook->opaque, file->io, error);
  if (file->io)
    return 0;
  new_file_destroy (file, name);
  return -1;
}

int
new_file_hide (struct new_file *file, const struct new_name *name,
               struct vmdk_error *error)
{
  if (file->temporary[0] &&
      unlinkat (name->folder, file->temporary, 0) == -1)
    return error_sys (error, errno, "unlink: %s", file->temporary);
  file->temporary[0] = '\0';
  return 0;
}

int
new_file_check (const struct new_file *file, const struct new_name *name,
                struct vmdk_error *error)
{
  struct stat statbuf;

  if (fstat (file->fd, &statbuf) == -1)
    return error_sys (error, errno, "fstat: new %s", name->base);
  if (faccessat (name->folder, ".", W_OK | X_OK, AT_EACCESS) == 0 &&
      (geteuid () == 0 || geteuid () == statbuf.st_uid ||
       file->temporary[0]))
    return 0;
  return error_set (error, VMDK_ERROR_UNSUPPORTED, EROFS,
                    "%s: is read-only because the user that the server runs "
                    "as may not give the new file its name", name->base);
}

/* Have the name by an empty file, which is made only if the name is free, and
 * put the file in the place of that.
 */
static int
rename_over_empty (const struct new_file *file, const struct new_name *name)
{
  const int fd = openat (name->folder, name->base, O_WRONLY | O_CREAT |
                         O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  int err;

  if (fd == -1)
    return -1;
  close (fd);
  if (renameat (name->folder, file->temporary, name->folder,
                name->base) == 0)
    return 0;
  err = errno;
  (void) unlinkat (name->folder, name->base, 0);
  errno = err;
  return -1;
}

/* Give the file its name, if that is free. */
static int
give_name (const struct new_file *file, const struct new_name *name)
{
  char path[FD_PATH_SIZE];

  if (file->temporary[0]) {
    if (renameat2 (name->folder, file->temporary, name->folder, name->base,
                   RENAME_NOREPLACE) == 0)
      return 0;
    if (errno != EINVAL && errno != ENOSYS)
      return -1;
    /* A file system that cannot do that: with hard links at least? */
    if (linkat (name->folder, file->temporary, name->folder, name->base,
                0) == 0)
      return 0;
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
      return -1;
    return rename_over_empty (file, name);
  }
  make_fd_path (file->fd, path);
  return linkat (AT_FDCWD, path, name->folder, name->base,
                 AT_SYMLINK_FOLLOW);
}

int
new_file_publish (struct new_file *file, const struct new_name *name,
                  struct vmdk_error *error)
{
  if (io_sync (file->io, error) == -1)
    return -1;
  if (io_fsync (file->fd) == -1)
    return error_sys (error, errno, "fsync: new %s", name->base);
  if (give_name (file, name) == -1)
    return error_sys (error, errno, "link: new %s", name->base);
  if (file->temporary[0])
    (void) unlinkat (name->folder, file->temporary, 0);
  file->temporary[0] = '\0';
  if (io_fsync_folder (name->folder) == -1) {
    error_sys (error, errno, "fsync: folder of %s", name->base);
    (void) unlinkat (name->folder, name->base, 0);
    return -1;
  }
  return 0;
}

void
new_file_destroy (struct new_file *file, const struct new_name *name)
{
  io_unref (file->io);
  file->io = NULL;
  if (file->fd != -1)
    close (file->fd);
  file->fd = -1;
  if (file->temporary[0])
    (void) unlinkat (name->folder, file->temporary, 0);
  file->temporary[0] = '\0';
}
