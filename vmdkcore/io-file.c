/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The backend over a file descriptor. */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "bytes.h"
#include "io.h"
#include "lock.h"
#include "replace.h"

struct io_file {
  struct io io;
  int fd;
  int sync_fd;                  /* for syncs only, too; -1: there is none */
  bool is_device;
  enum io_lock lock;
};

static int
file_pread (struct io *io, void *buf, size_t count, uint64_t offset,
            struct vmdk_error *error)
{
  const struct io_file *f = (const struct io_file *) io;
  uint8_t *p = buf;

  while (count > 0) {
    ssize_t r = pread (f->fd, p, count, (off_t) offset);

    if (r == -1) {
      if (errno == EINTR)
        continue;
      return error_sys (error, errno,
                        "pread: %s: offset=%" PRIu64 ", count=%zu",
                        io->name, offset, count);
    }
    if (r == 0)
      return error_set (error, VMDK_ERROR_IO, EIO,
                        "pread: %s: offset=%" PRIu64 ", count=%zu: "
                        "unexpected end of file",
                        io->name, offset, count);
    p += r;
    count -= (size_t) r;
    offset += (uint64_t) r;
  }
  return 0;
}

static int
file_pwrite (struct io *io, const void *buf, size_t count, uint64_t offset,
             struct vmdk_error *error)
{
  const struct io_file *f = (const struct io_file *) io;
  const uint8_t *p = buf;

  while (count > 0) {
    ssize_t r = pwrite (f->fd, p, count, (off_t) offset);

    if (r == -1) {
      if (errno == EINTR)
        continue;
      return error_sys (error, errno,
                        "pwrite: %s: offset=%" PRIu64 ", count=%zu",
                        io->name, offset, count);
    }
    p += r;
    count -= (size_t) r;
    offset += (uint64_t) r;
    io_grow_to (io, offset);
  }
  return 0;
}

static int
file_punch (struct io *io, uint64_t offset, uint64_t count,
            struct vmdk_error *error)
{
  const struct io_file *f = (const struct io_file *) io;
  int r;

  do
    r = fallocate (f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                   (off_t) offset, (off_t) count);
  while (r == -1 && errno == EINTR);
  if (r == 0)
    return 1;
  /* A block device takes whole blocks only; and what a full file system
   * cannot note of a hole can be written as zeroes.
   */
  if (errno == EOPNOTSUPP || errno == ENOSYS || errno == ENODEV ||
      errno == EINVAL || errno == ENOSPC || errno == EDQUOT)
    return 0;
  return error_sys (error, errno,
                    "fallocate: %s: offset=%" PRIu64 ", count=%" PRIu64,
                    io->name, offset, count);
}

/* A hole far behind the end of the file, where nobody writes, is none, but
 * file systems that do not make holes say so.  Devices are different: they
 * refuse what is behind the end.
 */
static bool
file_can_punch (struct io *io)
{
  const struct io_file *f = (const struct io_file *) io;
  struct vmdk_error ignored;

  return f->is_device ||
    file_punch (io, io->size + (UINT64_C (1) << 30), SECTOR_SIZE,
                &ignored) == 1;
}

static int
file_truncate (struct io *io, uint64_t size, struct vmdk_error *error)
{
  const struct io_file *f = (const struct io_file *) io;
  int r;

  /* The kernel would say that this is invalid. */
  if (f->is_device && size > io->size)
    return error_sys (error, ENOSPC, "ftruncate: %s: size=%" PRIu64,
                      io->name, size);
  do
    r = ftruncate (f->fd, (off_t) size);
  while (r == -1 && errno == EINTR);
  if (r == -1)
    return error_sys (error, errno, "ftruncate: %s: size=%" PRIu64,
                      io->name, size);
  atomic_store (&io->size, size);
  return 0;
}

int
io_fsync (int fd)
{
  int r;

  do
    r = fsync (fd);
  while (r == -1 && errno == EINTR);
  return r;
}

int
io_fsync_folder (int fd)
{
  const int r = io_fsync (fd);

  return r == -1 &&
    (errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS) ? 0 : r;
}

int
io_open_again (int fd, int flags)
{
  char path[sizeof "/proc/self/fd/" + 3 * sizeof fd];

  snprintf (path, sizeof path, "/proc/self/fd/%d", fd);
  return open (path, flags | O_NOCTTY | O_CLOEXEC);
}

/* NFS sends to its server what has been acknowledged already.  That it found no
 * room then it may tell by a write that comes later, and not by a sync through
 * the same file descriptor any more: there is another one for that, with which
 * nothing is written.
 */
static int
open_for_sync (struct io_file *f)
{
  struct statfs s;

  f->sync_fd = -1;
  if (!f->io.writable ||
      (fstatfs (f->fd, &s) == 0 && s.f_type != NFS_SUPER_MAGIC))
    return 0;
  f->sync_fd = io_open_again (f->fd, O_RDONLY | O_NONBLOCK);
  return f->sync_fd == -1 ? -1 : 0;
}

static int
sync_through (int fd)
{
  int r;

  do
    r = fdatasync (fd);
  while (r == -1 && errno == EINTR);
  return r;
}

static int
file_sync (struct io *io, struct vmdk_error *error)
{
  const struct io_file *f = (const struct io_file *) io;

  /* Old kernels know only through the first one what has been written with it,
   * and is to be sent again.
   */
  if (sync_through (f->fd) == 0 &&
      (f->sync_fd == -1 || sync_through (f->sync_fd) == 0))
    return 0;
  /* Where nothing can be written there may be no sync either, and servers of
   * files may refuse one that is not asked for by a writer.  All else says that
   * something was lost, with one of the many numbers that devices have.
   */
  switch (io->writable ? EIO : errno) {
  case EACCES:
  case EBADF:
  case EINVAL:
  case ENOSYS:
  case EOPNOTSUPP:
  case EPERM:
  case EROFS:
    return 0;
  default:
    return error_sys (error, errno, "fdatasync: %s", io->name);
  }
}

static void
file_drop_cache (struct io *io)
{
  const struct io_file *f = (const struct io_file *) io;

  (void) posix_fadvise (f->fd, 0, 0, POSIX_FADV_DONTNEED);
}

static int
file_lock (struct io *io, enum io_lock lock, struct vmdk_error *error)
{
  struct io_file *f = (struct io_file *) io;
  const int r = lock_fd (f->fd, io->name, f->lock, lock, error);

  if (r == -1)
    return -1;
  if (r == 1)
    io->without_locks = true;
  f->lock = lock;
  return 0;
}

static int
file_check_replace (struct io *io, struct vmdk_error *error)
{
  const struct io_file *f = (const struct io_file *) io;

  return replace_check (f->fd, io->name, error);
}

static int
file_replace (struct io *io, const void *data, size_t count, bool *unsure,
              struct vmdk_error *error)
{
  struct io_file *f = (struct io_file *) io;
  struct stat statbuf;
  int fd, r;

  r = replace_file (f->fd, io->name, data, count, f->lock, &fd, error);
  *unsure = r == -1 && fd != -1;
  if (fd == -1)
    return -1;
  /* Whatever the disk will have, what is in use is the new file, under the
   * old number.
   */
  if (fstat (fd, &statbuf) == -1 || dup3 (fd, f->fd, O_CLOEXEC) == -1) {
    r = error_sys (error, errno, "dup3: new %s", io->name);
    *unsure = true;
  }
  else {
    if (f->sync_fd != -1)
      close (f->sync_fd);
    if (open_for_sync (f) == -1) {
      r = error_sys (error, errno, "open: new %s", io->name);
      *unsure = true;
    }
    io->dev = statbuf.st_dev;
    io->ino = statbuf.st_ino;
    atomic_store (&io->size, count);
  }
  close (fd);
  return r;
}

static bool
file_is_stored (struct io *io, uint64_t offset, uint64_t count,
                uint64_t *length)
{
  const struct io_file *f = (const struct io_file *) io;
  off_t data, hole;

  *length = count;

  /* The answers are used, not the file position, so threads do not
   * disturb each other here.
   */
  data = lseek (f->fd, (off_t) offset, SEEK_DATA);
  if (data == -1 && errno == ENXIO) {
    /* A hole to the end of the file, which may have become shorter: what
     * is behind the end is not a hole, but an error when it is read.
     */
    data = lseek (f->fd, 0, SEEK_END);
    if (data == -1 || (uint64_t) data <= offset)
      return true;
  }
  else if (data == -1)
    return true;
  if ((uint64_t) data > offset) {
    *length = min_u64 (count, (uint64_t) data - offset);
    return false;
  }
  hole = lseek (f->fd, (off_t) offset, SEEK_HOLE);
  if (hole != -1 && (uint64_t) hole > offset)
    *length = min_u64 (count, (uint64_t) hole - offset);
  return true;
}

static void
file_prefetch (struct io *io, uint64_t offset, uint64_t count)
{
  const struct io_file *f = (const struct io_file *) io;

  (void) posix_fadvise (f->fd, (off_t) offset, (off_t) count,
                        POSIX_FADV_WILLNEED);
}

static void
file_close (struct io *io)
{
  struct io_file *f = (struct io_file *) io;

  close (f->fd);
  if (f->sync_fd != -1)
    close (f->sync_fd);
  free (io->name);
  free (f);
}

static const struct io_ops file_ops = {
  .pread = file_pread,
  .is_stored = file_is_stored,
  .prefetch = file_prefetch,
  .pwrite = file_pwrite,
  .punch = file_punch,
  .can_punch = file_can_punch,
  .truncate = file_truncate,
  .sync = file_sync,
  .drop_cache = file_drop_cache,
  .check_replace = file_check_replace,
  .replace = file_replace,
  .lock = file_lock,
  .close = file_close,
};

struct io *
io_file_new (int fd, bool writable, const char *name,
             struct vmdk_error *error)
{
  struct io_file *f = calloc (1, sizeof *f);
  struct stat statbuf;
  off_t end;

  if (!f || !(f->io.name = strdup (name))) {
    error_nomem (error);
    goto err;
  }
  if (fstat (fd, &statbuf) == -1) {
    error_sys (error, errno, "fstat: %s", name);
    goto err;
  }
  /* st_size is 0 for a block device; the end can be sought in both. */
  end = lseek (fd, 0, SEEK_END);
  if (end == -1) {
    error_sys (error, errno, "lseek: %s", name);
    goto err;
  }
  f->io.ops = &file_ops;
  f->io.size = (uint64_t) end;
  f->io.writable = writable;
  f->io.inherited = true;
  f->is_device = S_ISBLK (statbuf.st_mode);
  /* A device may have several names. */
  f->io.dev = f->is_device ? statbuf.st_rdev : statbuf.st_dev;
  f->io.ino = f->is_device ? UINT64_MAX : statbuf.st_ino;
  f->io.refs = 1;
  f->fd = fd;
  if (open_for_sync (f) == -1) {
    error_sys (error, errno, "open: %s", name);
    goto err;
  }
  return &f->io;

 err:
  if (f)
    free (f->io.name);
  free (f);
  close (fd);
  return NULL;
}
