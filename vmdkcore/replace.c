/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The new file is made beside the old one, made durable, and renamed.
 * What else is called by the old name, through symbolic links, is then the
 * new file.  It is locked before it gets the name, so that no other
 * program finds it without.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "lock.h"
#include "path.h"
#include "replace.h"

/* Where a file lies. */
struct place {
  int folder;                   /* open for reading */
  char base[NAME_MAX + 1];
  struct stat statbuf;          /* of the file */
};

static int
refuse (const char *name, const char *reason, struct vmdk_error *error)
{
  return error_set (error, VMDK_ERROR_UNSUPPORTED, EROFS, "%s: %s", name,
                    reason);
}

/* May this process give a file to the group? */
static bool
is_own_group (gid_t group)
{
  gid_t *groups = malloc (NGROUPS_MAX * sizeof *groups);
  const int nr = groups ? getgroups (NGROUPS_MAX, groups) : 0;
  bool r = group == getegid ();
  int i;

  for (i = 0; i < nr; ++i)
    r |= groups[i] == group;
  free (groups);
  return r;
}

static int
check_owner (const struct stat *statbuf, const char *name,
             struct vmdk_error *error)
{
  if (geteuid () == 0)
    return 0;
  if (statbuf->st_uid != geteuid ())
    return refuse (name, "belongs to another user", error);
  if (!is_own_group (statbuf->st_gid))
    return refuse (name, "belongs to a group of other users", error);
  return 0;
}

/* Find the place of an open file.  On success the folder is to be closed. */
static int
find_place (int fd, const char *name, struct place *place,
            struct vmdk_error *error)
{
  char path[PATH_MAX], *slash;
  struct stat named;

  if (fstat (fd, &place->statbuf) == -1)
    return error_sys (error, errno, "fstat: %s", name);
  if (!S_ISREG (place->statbuf.st_mode))
    return refuse (name, "is not a regular file", error);
  if (place->statbuf.st_nlink > 1)
    return refuse (name, "has other names, too (hard links)", error);
  if (check_owner (&place->statbuf, name, error) == -1)
    return -1;

  if (path_of_fd (fd, path) == -1)
    return error_sys (error, errno, "readlink: %s", name);
  slash = strrchr (path, '/');
  if (strlen (slash + 1) > NAME_MAX)
    return error_sys (error, ENAMETOOLONG, "%s", name);
  memcpy (place->base, slash + 1, strlen (slash + 1) + 1);
  slash[slash == path] = '\0';  /* leave the root its slash */
  place->folder = open (path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
                        O_CLOEXEC);
  if (place->folder == -1)
    return error_sys (error, errno, "open: folder of %s", name);
  if (faccessat (place->folder, ".", W_OK | X_OK, AT_EACCESS) == -1)
    error_sys (error, errno, "faccessat: folder of %s", name);
  else if (fstatat (place->folder, place->base, &named,
                    AT_SYMLINK_NOFOLLOW) == -1 ||
           named.st_dev != place->statbuf.st_dev ||
           named.st_ino != place->statbuf.st_ino)
    refuse (name, "has been moved or removed", error);
  else
    return 0;
  close (place->folder);
  return -1;
}

int
replace_check (int fd, const char *name, struct vmdk_error *error)
{
  struct place place;

  if (find_place (fd, name, &place, error) == -1)
    return -1;
  close (place.folder);
  return 0;
}

static int
write_all (int fd, const char *name, const char *data, size_t count,
           struct vmdk_error *error)
{
  while (count > 0) {
    const ssize_t r = write (fd, data, count);

    if (r == -1) {
      if (errno == EINTR)
        continue;
      return error_sys (error, errno, "write: new %s", name);
    }
    data += r;
    count -= (size_t) r;
  }
  return 0;
}

/* Take away the access control list that a folder may give its new files: it
 * could let others in.  If the old file has one it comes with the attributes.
 */
static int
drop_acl (int fd, const char *name, struct vmdk_error *error)
{
  static const char attribute[] = "system.posix_acl_access";

  if (fgetxattr (fd, attribute, NULL, 0) > 0 &&
      fremovexattr (fd, attribute) == -1)
    return error_sys (error, errno, "fremovexattr: new %s", name);
  return 0;
}

/* Copy an extended attribute that the new file does not have yet. */
static int
copy_attribute (int from, int to, const char *name, const char *attribute,
                struct vmdk_error *error)
{
  char *value = malloc (2 * (size_t) XATTR_SIZE_MAX);
  ssize_t len, present;
  int r = 0;

  if (!value)
    return error_nomem (error);
  len = fgetxattr (from, attribute, value, XATTR_SIZE_MAX);
  present = fgetxattr (to, attribute, value + XATTR_SIZE_MAX,
                       XATTR_SIZE_MAX);
  if (len == -1 ||
      ((present != len || memcmp (value, value + XATTR_SIZE_MAX,
                                  (size_t) len) != 0) &&
       fsetxattr (to, attribute, value, (size_t) len, 0) == -1))
    r = error_sys (error, errno, "%s: attribute %s of the file cannot be "
                   "kept", name, attribute);
  free (value);
  return r;
}

static int
copy_attributes (int from, int to, const char *name,
                 struct vmdk_error *error)
{
  char *list = malloc (XATTR_LIST_MAX);
  ssize_t len, at;
  int r = 0;

  if (!list)
    return error_nomem (error);
  len = flistxattr (from, list, XATTR_LIST_MAX);
  if (len == -1 && errno != ENOTSUP && errno != ENOSYS)
    r = error_sys (error, errno, "flistxattr: %s", name);
  for (at = 0; at < len && r == 0; at += (ssize_t) strlen (list + at) + 1)
    r = copy_attribute (from, to, name, list + at, error);
  free (list);
  return r;
}

/* Make the new file all that it is to be. */
static int
fill (int fd, const char *name, int new_fd, const struct stat *statbuf,
      const void *data, size_t count, enum io_lock lock,
      struct vmdk_error *error)
{
  struct stat now;

  if (lock_fd (new_fd, name, IO_UNLOCKED, lock, error) == -1 ||
      write_all (new_fd, name, data, count, error) == -1)
    return -1;
  if (fstat (new_fd, &now) == -1)
    return error_sys (error, errno, "fstat: new %s", name);
  if ((now.st_uid != statbuf->st_uid || now.st_gid != statbuf->st_gid) &&
      fchown (new_fd, statbuf->st_uid, statbuf->st_gid) == -1)
    return error_sys (error, errno, "fchown: new %s", name);
  /* The mode last: with a list the bits of the group mean another thing. */
  if (drop_acl (new_fd, name, error) == -1 ||
      copy_attributes (fd, new_fd, name, error) == -1)
    return -1;
  if (fchmod (new_fd, statbuf->st_mode & 07777) == -1)
    return error_sys (error, errno, "fchmod: new %s", name);
  if (io_fsync (new_fd) == -1)
    return error_sys (error, errno, "fsync: new %s", name);
  return 0;
}

int
replace_file (int fd, const char *name, const void *data, size_t count,
              enum io_lock lock, int *new_fd, struct vmdk_error *error)
{
  struct place place;
  char temporary[64];
  uint64_t random;
  int r = -1;

  *new_fd = -1;
  if (getrandom (&random, sizeof random, 0) != sizeof random)
    return error_sys (error, errno, "getrandom");
  snprintf (temporary, sizeof temporary, ".nbdkit-vmdk-%016" PRIx64, random);
  if (find_place (fd, name, &place, error) == -1)
    return -1;

  *new_fd = openat (place.folder, temporary, O_RDWR | O_CREAT | O_EXCL |
                    O_NOFOLLOW | O_CLOEXEC, 0600);
  if (*new_fd == -1) {
    error_sys (error, errno, "open: new %s", name);
    goto out;
  }
  r = fill (fd, name, *new_fd, &place.statbuf, data, count, lock, error);
  if (r == 0 && renameat (place.folder, temporary, place.folder,
                          place.base) == -1)
    r = error_sys (error, errno, "rename: new %s", name);
  if (r == -1) {
    (void) unlinkat (place.folder, temporary, 0);
    close (*new_fd);
    *new_fd = -1;
  }
  else if (io_fsync_folder (place.folder) == -1)
    r = error_sys (error, errno, "fsync: folder of %s", name);

 out:
  close (place.folder);
  return r;
}
