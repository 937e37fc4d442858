/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bytes.h"
#include "lock.h"
#include "path.h"

/* Links to follow to find out what a name leads to; as in the kernel. */
#define MAX_LINKS 40

/* Names from images may be long; the end of one tells most. */
#define MAX_SHOWN 250

/* File descriptors that disks leave to the connections of clients.  A server
 * that cannot accept one more does nothing else than try to.
 */
#define LEFT_FOR_CLIENTS 64

static const char *
shown (const char *name)
{
  const size_t len = strlen (name);
  unsigned i;

  if (len <= MAX_SHOWN)
    return name;
  name += len - MAX_SHOWN;
  /* Not from within a character of UTF-8. */
  for (i = 0; i < 3 && (*name & 0xc0) == 0x80; ++i)
    name++;
  return name;
}

/* A path of /proc that stands for an open file descriptor. */
struct proc_fd {
  char path[64];
};

static const char *
proc_fd (int fd, struct proc_fd *p)
{
  /* cppcheck-suppress ctuuninitvar; it is filled in here */
  snprintf (p->path, sizeof p->path, "/proc/self/fd/%d", fd);
  return p->path;
}

int
path_policy_init (struct path_policy *policy, const char *const *dirs,
                  size_t nr, struct vmdk_error *error)
{
  size_t i;

  *policy = (struct path_policy) { 0 };
  if (nr == 0)
    return 0;
  policy->fds = calloc (nr, sizeof *policy->fds);
  if (!policy->fds)
    return error_nomem (error);
  for (i = 0; i < nr; ++i) {
    const int fd = open (dirs[i], O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (fd == -1) {
      error_sys (error, errno, "open: allowed folder %s", dirs[i]);
      path_policy_destroy (policy);
      return -1;
    }
    policy->fds[policy->nr++] = fd;
  }
  return 0;
}

void
path_policy_destroy (struct path_policy *policy)
{
  size_t i;

  for (i = 0; i < policy->nr; ++i)
    close (policy->fds[i]);
  free (policy->fds);
  *policy = (struct path_policy) { 0 };
}

/* Refuse what is not a file that can hold a disk.  Opening such a thing
 * could block (a FIFO) or have an effect (a tape), so this is asked
 * before it is opened for reading.
 */
static int
check_type (mode_t mode, bool device_allowed, const char *name,
            struct vmdk_error *error)
{
  const char *what;

  if (S_ISREG (mode))
    return 0;
  if (S_ISBLK (mode)) {
    if (device_allowed)
      return 0;
    return error_set (error, VMDK_ERROR_DENIED, EACCES,
                      "%s: a block device named by an image is only opened "
                      "in a folder given by allow-dir=", shown (name));
  }
  what = S_ISDIR (mode) ? "a folder" : S_ISFIFO (mode) ? "a FIFO" :
    S_ISSOCK (mode) ? "a socket" : "a character device";
  return error_set (error, VMDK_ERROR_DENIED, EACCES,
                    "%s: is %s, not a regular file", shown (name), what);
}

/* How many files may be open, and how many of them a disk may have.  Returns
 * false if there is no limit.
 */
static bool
file_limit (uint64_t *limit, uint64_t *of_disk)
{
  struct rlimit r;

  if (getrlimit (RLIMIT_NOFILE, &r) == -1 || r.rlim_cur == RLIM_INFINITY)
    return false;
  *limit = r.rlim_cur;
  *of_disk = r.rlim_cur - min_u64 (LEFT_FOR_CLIENTS, r.rlim_cur / 4);
  return true;
}

/* A new descriptor is the lowest that is free, so it tells how many there
 * are.
 */
static bool
is_within_limit (int fd)
{
  uint64_t limit, of_disk;

  return !file_limit (&limit, &of_disk) || (uint64_t) fd < of_disk;
}

/* Say that a file cannot be opened. */
static int
open_failed (int err, const char *name, struct vmdk_error *error)
{
  uint64_t limit, of_disk;

  if (err != EMFILE || !file_limit (&limit, &of_disk))
    return error_sys (error, err, "open: %s", name);
  return error_set (error, VMDK_ERROR_IO, EMFILE,
                    "open: %s: Too many open files: the server may have %"
                    PRIu64 " (ulimit -n), a disk %" PRIu64 " of them", name,
                    limit, of_disk);
}

/* A path of proc_fd has failed.  Not the file is missing: it has been found. */
static int
proc_failed (int err, const char *what, const char *name,
             struct vmdk_error *error)
{
  if (access ("/proc/self/fd", F_OK) == 0)
    return error_sys (error, err == ENOENT ? ESTALE : err, "%s: %s", what,
                      name);
  return error_set (error, VMDK_ERROR_IO, ENOSYS,
                    "%s: %s: /proc is not mounted", what, name);
}

/* Open the file that the O_PATH descriptor 'fd' stands for, and nothing
 * else, whatever happens to its name meanwhile, and lock it for reading.
 * Closes fd.
 */
static struct io *
reopen (const struct path_policy *policy, int fd, const char *display,
        const char *name, struct vmdk_error *error)
{
  const int flags = O_NOCTTY | O_NONBLOCK | O_CLOEXEC;
  bool writable = policy->write;
  struct proc_fd p;
  struct io *io;
  int r = -1, err;

  if (writable)
    r = open (proc_fd (fd, &p), O_RDWR | flags);
  if (r == -1) {
    writable = false;
    r = open (proc_fd (fd, &p), O_RDONLY | flags);
  }
  err = errno;
  close (fd);
  if (r != -1 && !policy->unlocked && !is_within_limit (r)) {
    close (r);
    r = -1;
    err = EMFILE;
  }
  if (r == -1) {
    if (err == ENOENT)
      proc_failed (err, "open", display, error);
    else
      open_failed (err, display, error);
    return NULL;
  }
  /* Who is about to write it must not do so between what is read of it now
   * and what is read later.
   */
  if (!policy->unlocked &&
      lock_fd (r, name, IO_UNLOCKED, IO_LOCK_READ, error) == -1) {
    close (r);
    return NULL;
  }
  io = policy->unbuffered ? io_direct_new (r, writable, name, error) :
    io_file_new (r, writable, name, error);
  return io && policy->hook ?
    policy->hook->wrap (policy->hook->opaque, io, error) : io;
}

struct io *
path_open_user (const struct path_policy *policy, const char *path,
                int *dir, struct vmdk_error *error)
{
  const char *slash = strrchr (path, '/');
  const char *base = slash ? slash + 1 : path;
  struct stat statbuf;
  struct io *io;
  char *folder;
  int fd;

  folder = slash ? strndup (path, (size_t) (base - path)) : strdup (".");
  if (!folder) {
    error_nomem (error);
    return NULL;
  }
  *dir = open (folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
  free (folder);
  if (*dir == -1) {
    error_sys (error, errno, "open: %s", path);
    return NULL;
  }
  /* In that folder, and not wherever the path leads by now. */
  fd = openat (*dir, *base || !slash ? base : ".", O_PATH | O_CLOEXEC);
  if (fd == -1) {
    error_sys (error, errno, "open: %s", path);
    goto err;
  }
  if (fstat (fd, &statbuf) == -1) {
    error_sys (error, errno, "fstat: %s", path);
    close (fd);
    goto err;
  }
  if (check_type (statbuf.st_mode, true, path, error) == -1) {
    close (fd);
    goto err;
  }
  io = reopen (policy, fd, path, *base ? base : path, error);
  if (io)
    return io;

 err:
  close (*dir);
  *dir = -1;
  return NULL;
}

int
path_of_fd (int fd, char path[PATH_MAX])
{
  struct proc_fd p;
  const ssize_t r = readlink (proc_fd (fd, &p), path, PATH_MAX);

  if (r == -1)
    return -1;
  if (r == PATH_MAX || path[0] != '/') {
    errno = EXDEV;
    return -1;
  }
  path[r] = '\0';
  return 0;
}

static bool
same_file (int a, int b)
{
  struct stat x, y;

  return fstat (a, &x) == 0 && fstat (b, &y) == 0 &&
    x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Is 'names', folders and a file or folder with slashes between them, what
 * leads from 'dir' down to 'fd'?  Symbolic links are not followed.  'names'
 * is changed.
 */
static bool
leads_down_to (int dir, char *names, int fd)
{
  char *save, *name;
  int at = dir, next = dir;
  bool r;

  for (name = strtok_r (names, "/", &save); name && next != -1;
       name = strtok_r (NULL, "/", &save)) {
    next = openat (at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (at != dir)
      close (at);
    at = next;
  }
  r = at != -1 && same_file (at, fd);
  if (at != -1 && at != dir)
    close (at);
  return r;
}

/* Is the open file or folder 'fd', which has this path, the folder 'dir',
 * or in it or below?  Two paths that are asked for one after the other say
 * little if somebody renames folders meanwhile, so they only say where to
 * look for it in 'dir'.
 */
static bool
lies_in (int fd, const char *path, int dir)
{
  char folder[PATH_MAX], names[PATH_MAX];
  size_t len;

  if (path_of_fd (dir, folder) == -1)
    return false;
  len = strlen (folder);
  if (len == 1)                 /* the root */
    return true;
  if (strncmp (path, folder, len) != 0 ||
      (path[len] != '/' && path[len] != '\0'))
    return false;
  memcpy (names, path + len, strlen (path + len) + 1);
  return leads_down_to (dir, names, fd);
}

static bool
lies_in_allowed (int fd, const char *path, const struct path_policy *policy)
{
  size_t i;

  for (i = 0; i < policy->nr; ++i)
    if (lies_in (fd, path, policy->fds[i]))
      return true;
  return false;
}

static int
denied (const char *name, struct vmdk_error *error)
{
  return error_set (error, VMDK_ERROR_DENIED, EACCES,
                    "%s: lies outside the folder of the file that names it; "
                    "allow-dir=DIR would allow it", shown (name));
}

/* The folder part of a name, with its slash, or ".".  To be freed. */
static char *
folder_part (const char *name)
{
  const char *slash = strrchr (name, '/');

  return slash ? strndup (name, (size_t) (slash + 1 - name)) : strdup (".");
}

/* May a user be told why 'name' cannot be opened?  A hostile image must
 * not find out which files exist elsewhere, so only if the folder that
 * it is looked for in is one whose files may be opened; and if the name
 * is a link, the same goes for what that leads to.  MAX_LINKS is where to
 * begin with 'max_links'; 'is_part' says that the name is a part of another.
 */
static bool
may_tell (const struct path_policy *policy, int dir, const char *name,
          unsigned max_links, bool is_part)
{
  char path[PATH_MAX], target[PATH_MAX];
  char *folder = folder_part (name);
  bool r = false;
  ssize_t n;
  int fd;

  if (!folder)
    return false;
  fd = openat (dir, folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd == -1) {
    /* There is no such folder: is that a secret? */
    n = (ssize_t) strlen (folder);
    while (n > 0 && folder[n-1] == '/')
      folder[--n] = '\0';
    r = n > 0 && max_links > 0 &&
      may_tell (policy, dir, folder, max_links - 1, true);
    free (folder);
    return r;
  }
  free (folder);

  if (path_of_fd (fd, path) == 0 &&
      (lies_in (fd, path, dir) || lies_in_allowed (fd, path, policy))) {
    n = readlinkat (dir, name, target, sizeof target - 1);
    r = true;
    if (n >= 0) {
      target[n] = '\0';
      /* The kernel gives up after so many links, wherever the last leads. */
      r = max_links == 0 ? !is_part :
        may_tell (policy, fd, target, max_links - 1, is_part);
    }
  }
  close (fd);
  return r;
}

/* Get an O_PATH descriptor for a name that must not leave 'dir'.  On
 * EXDEV it does, or goes through an absolute link.
 */
static int
open_beneath (const struct path_policy *policy, int dir, const char *name)
{
  struct open_how how = {
    .flags = O_PATH | O_CLOEXEC,
    .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
  };

  if (policy->avoid_openat2) {
    errno = ENOSYS;
    return -1;
  }
  return (int) syscall (SYS_openat2, dir, name, &how, sizeof how);
}

/* Open the folder of a file whose path came from path_of_fd, and make
 * sure that it is one whose files may be opened, too: it may have been
 * renamed, and another one have its path.  'path' is changed.
 */
static int
open_folder_of (const struct path_policy *policy, int dir, char *path,
                const char *name, struct vmdk_error *error)
{
  char *slash = strrchr (path, '/');
  char now[PATH_MAX];
  int fd;

  slash[slash == path] = '\0';  /* leave the root its slash */
  fd = open (path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd == -1)
    return error_sys (error, errno, "open: folder of %s", shown (name));
  if (path_of_fd (fd, now) == -1 ||
      (!lies_in (fd, now, dir) && !lies_in_allowed (fd, now, policy))) {
    close (fd);
    return denied (name, error);
  }
  return fd;
}

/* Is the server short of something, whatever the name? */
static bool
is_shortage (int err)
{
  return err == EMFILE || err == ENFILE || err == ENOMEM;
}

/* Open the file of just this name.  *outside tells whether the name leads to
 * where no file may be opened, be there one or not.
 */
static struct io *
open_literal (const struct path_policy *policy, int dir, const char *name,
              int *folder, bool *outside, struct vmdk_error *error)
{
  const char *slash = strrchr (name, '/');
  bool confined = true, allowed;
  char path[PATH_MAX];
  struct stat statbuf;
  struct io *io;
  int fd;

  *outside = false;
  fd = open_beneath (policy, dir, name);
  if (fd == -1 && (errno == ENOENT || errno == ENOTDIR ||
                   errno == ENAMETOOLONG || errno == ELOOP ||
                   is_shortage (errno))) {
    open_failed (errno, shown (name), error);
    return NULL;
  }
  if (fd == -1) {
    /* Either the name leads outside, or goes round through an absolute
     * link, or openat2 is missing or forbidden.  Find out where the
     * file really is.
     */
    confined = false;
    fd = openat (dir, name, O_PATH | O_CLOEXEC);
    if (fd == -1) {
      const int err = errno;

      *outside = !is_shortage (err) &&
        !may_tell (policy, dir, name, MAX_LINKS, false);
      if (*outside)
        denied (name, error);
      else
        open_failed (err, shown (name), error);
      return NULL;
    }
  }

  if (path_of_fd (fd, path) == -1) {
    *outside = errno == EXDEV;
    if (*outside)
      denied (name, error);
    else
      proc_failed (errno, "readlink", shown (name), error);
    goto err;
  }
  if (!confined)
    confined = lies_in (fd, path, dir);
  allowed = lies_in_allowed (fd, path, policy);
  if (!confined && !allowed) {
    *outside = true;
    denied (name, error);
    goto err;
  }
  if (fstat (fd, &statbuf) == -1) {
    error_sys (error, errno, "fstat: %s", shown (name));
    goto err;
  }
  if (check_type (statbuf.st_mode, allowed, name, error) == -1)
    goto err;
  if (folder) {
    *folder = open_folder_of (policy, dir, path, name, error);
    if (*folder == -1)
      goto err;
  }
  io = reopen (policy, fd, shown (name),
               slash && slash[1] ? slash + 1 : name, error);
  if (!io && folder) {
    close (*folder);
    *folder = -1;
  }
  return io;

 err:
  close (fd);
  return NULL;
}

bool
path_is_no_file (const struct vmdk_error *error)
{
  return error->err == ENOENT || error->err == ENAMETOOLONG;
}

/* Try another form of a name that was not found.  If something else is
 * wrong with that one, it replaces what *error says.  If there is something
 * that cannot be opened *go_on becomes false.
 */
static struct io *
try_variant (const struct path_policy *policy, int dir, const char *name,
             int *folder, bool *go_on, struct vmdk_error *error)
{
  struct vmdk_error other;
  bool outside;
  struct io *io = open_literal (policy, dir, name, folder, &outside, &other);

  if (io)
    return io;
  *go_on = outside || path_is_no_file (&other) || other.err == ENOTDIR;
  if (!path_is_no_file (&other) && path_is_no_file (error))
    *error = other;
  return NULL;
}

static bool
has_control_character (const char *name)
{
  const unsigned char *p;

  for (p = (const unsigned char *) name; *p; ++p)
    if (*p < 0x20 || *p == 0x7f)
      return true;
  return false;
}

bool
path_is_windows (const char *name)
{
  const char letter = (char) (name[0] | 0x20);

  return strchr (name, '\\') != NULL ||
    (letter >= 'a' && letter <= 'z' && name[1] == ':' && name[2] == '/');
}

struct io *
path_open_entry (const struct path_policy *policy, int dir,
                 const char *name, int *folder, struct vmdk_error *error)
{
  bool outside;

  return open_literal (policy, dir, name, folder, &outside, error);
}

struct io *
path_open_named (const struct path_policy *policy, int dir,
                 const char *name, int *folder, struct vmdk_error *error)
{
  struct io *io;
  char *converted, *p;
  bool outside, go_on = true;

  /* A text with these is no descriptor, but one in a binary file may have
   * them, and so may what is converted.
   */
  if (has_control_character (name)) {
    error_set (error, VMDK_ERROR_DENIED, EACCES,
               "%s: a name with control characters is not opened",
               shown (name));
    return NULL;
  }

  io = open_literal (policy, dir, name, folder, &outside, error);
  if (io || !path_is_no_file (error) || !path_is_windows (name))
    return io;

  /* A name made on Windows.  What it says of folders is tried if it is
   * relative; an absolute one has no meaning here.
   */
  converted = strdup (name);
  if (!converted) {
    error_nomem (error);
    return NULL;
  }
  for (p = converted; *p; ++p)
    if (*p == '\\')
      *p = '/';
  if (converted[0] != '/' && !strchr (converted, ':'))
    io = try_variant (policy, dir, converted, folder, &go_on, error);
  /* The folders may be those of another host; but if there is something in
   * them, what has the last part of its name here is another file.
   */
  p = strrchr (converted, '/') + 1;
  if (!io && go_on && *p)
    io = try_variant (policy, dir, p, folder, &go_on, error);
  free (converted);
  return io;
}
