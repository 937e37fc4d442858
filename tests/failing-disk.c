/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* A disk that dies while a program uses it, or becomes slow.  Loaded into the
 * program (by NBDKIT_PRELOAD, see the nbdkit script), it makes calls on chosen
 * files fail.
 *
 * FAILING_DISK in the environment names a file with the rules, which is read
 * again at each call, so the disk can die and come back.  A rule is a line
 *
 *   CALL NAME FIRST END ERROR
 *
 * CALL is the name of the function below; NAME the last part of the file's
 * path; FIRST and END are the bytes, END not included, that the rule is for
 * (any, for fdatasync, fsync and fstatfs, which then does not fail but says that
 * this is NFS; and for "told", which makes fdatasync fail as long as nothing has
 * been written through that file descriptor: it is told there of what was
 * lost before); ERROR is the number for errno, or 0: then a
 * transfer moves one byte at a time, or negative: then the call takes so many
 * milliseconds more.  What lies before FIRST is still transferred, as the
 * kernel does it.  EINTR does not come twice in succession to one thread: it
 * is to make the call again.
 */

#include <config.h>

/* It would give the second name to the first functions. */
#undef _FILE_OFFSET_BITS

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/magic.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Where the C library has two names for a function, both lead here. */
ssize_t pread (int fd, void *buf, size_t count, off_t offset);
ssize_t pread64 (int fd, void *buf, size_t count, off_t offset);
ssize_t pwrite (int fd, const void *buf, size_t count, off_t offset);
ssize_t pwrite64 (int fd, const void *buf, size_t count, off_t offset);
int fdatasync (int fd);
int fsync (int fd);
int ftruncate (int fd, off_t size);
int ftruncate64 (int fd, off_t size);
int fallocate (int fd, int mode, off_t offset, off_t count);
int fallocate64 (int fd, int mode, off_t offset, off_t count);

/* Is this the file called 'name'? */
static int
is_called (int fd, const char *name)
{
  char link[64], path[4096];
  const char *slash;
  ssize_t r;

  snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
  r = readlink (link, path, sizeof path - 1);
  if (r <= 0)
    return 0;
  path[r] = '\0';
  slash = strrchr (path, '/');
  return slash && strcmp (slash + 1, name) == 0;
}

/* How many of 'count' bytes at 'offset' this call may work on; 0 with errno
 * set if it must fail.
 */
static size_t
allowed (const char *call, int fd, uint64_t offset, size_t count)
{
  const char *path = getenv ("FAILING_DISK");
  const int saved = errno;
  FILE *fp = path ? fopen (path, "re") : NULL;
  char rule_call[16], name[256];
  uint64_t first, end;
  size_t r = count;
  int number, wanted = 0, slow = 0;
  static _Thread_local bool interrupted;

  while (fp && wanted == 0 &&
         fscanf (fp, "%15s %255s %" SCNu64 " %" SCNu64 " %d", rule_call,
                 name, &first, &end, &number) == 5) {
    if (strcmp (rule_call, call) != 0 || offset >= end ||
        (count > 0 && offset + count <= first) || !is_called (fd, name))
      continue;
    if (number == 0)
      r = count > 1 ? 1 : count;
    else if (number < 0)
      slow = -number;
    else if (offset < first && first - offset < r)
      r = (size_t) (first - offset);
    else if (offset >= first)
      wanted = number;
  }
  if (fp)
    fclose (fp);
  if (wanted == EINTR && interrupted)
    wanted = 0;
  interrupted = wanted == EINTR;
  usleep ((useconds_t) slow * 1000);
  errno = wanted ? wanted : saved;
  return wanted ? 0 : r;
}

ssize_t
pread (int fd, void *buf, size_t count, off_t offset)
{
  const size_t n = allowed ("pread", fd, (uint64_t) offset, count);

  return n == 0 && count > 0 ? -1 : syscall (SYS_pread64, fd, buf, n, offset);
}

ssize_t
pread64 (int fd, void *buf, size_t count, off_t offset)
{
  return pread (fd, buf, count, offset);
}

/* Has something been written through this one? */
static atomic_bool has_written[1024];

ssize_t
pwrite (int fd, const void *buf, size_t count, off_t offset)
{
  const size_t n = allowed ("pwrite", fd, (uint64_t) offset, count);

  if (fd < 1024)
    atomic_store (&has_written[fd], true);

  return n == 0 && count > 0 ? -1 : syscall (SYS_pwrite64, fd, buf, n, offset);
}

ssize_t
pwrite64 (int fd, const void *buf, size_t count, off_t offset)
{
  return pwrite (fd, buf, count, offset);
}

int
fdatasync (int fd)
{
  if (allowed ("fdatasync", fd, 0, 1) == 0 ||
      ((fd >= 1024 || !atomic_load (&has_written[fd])) &&
       allowed ("told", fd, 0, 1) == 0))
    return -1;
  return (int) syscall (SYS_fdatasync, fd);
}

int
fsync (int fd)
{
  if (allowed ("fsync", fd, 0, 1) == 0)
    return -1;
  return (int) syscall (SYS_fsync, fd);
}

int
ftruncate (int fd, off_t size)
{
  if (allowed ("ftruncate", fd, (uint64_t) size, 1) == 0)
    return -1;
  return (int) syscall (SYS_ftruncate, fd, size);
}

int
ftruncate64 (int fd, off_t size)
{
  return ftruncate (fd, size);
}

int
fallocate (int fd, int mode, off_t offset, off_t count)
{
  if (allowed ("fallocate", fd, (uint64_t) offset, 1) == 0)
    return -1;
  return (int) syscall (SYS_fallocate, fd, mode, offset, count);
}

int
fallocate64 (int fd, int mode, off_t offset, off_t count)
{
  return fallocate (fd, mode, offset, count);
}

int
fstatfs (int fd, struct statfs *buf)
{
  const int r = (int) syscall (SYS_fstatfs, fd, buf);

  if (r == 0 && allowed ("fstatfs", fd, 0, 1) == 0)
    buf->f_type = NFS_SUPER_MAGIC;
  return r;
}

int
fstatfs64 (int fd, struct statfs64 *buf)
{
  return fstatfs (fd, (struct statfs *) buf);
}
