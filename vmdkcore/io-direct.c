/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The backend over a file descriptor that leaves no data in the page cache.
 *
 * The kernel takes whole blocks from aligned memory only, so other requests
 * go through a buffer, and a write to a part of a block reads the rest of it
 * first.  What does not end a block because the file ends is written through
 * the page cache, by the backend of io-file.c, which also does all that is not
 * reading or writing.  No block is written by two threads at once, in neither
 * way: that makes reading the rest safe, and keeps the page cache from
 * having another opinion on a block than the disk.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "io.h"

#define BUFFER_SIZE (UINT64_C (256) * 1024)

/* Blocks that a thread is changing. */
struct busy {
  uint64_t start, end;          /* bytes, multiples of the block */
  struct busy *next;
};

struct io_direct {
  struct io io;
  struct io *file;
  int fd;                       /* the same file, with O_DIRECT */
  uint64_t block;               /* bytes; a page or more, a power of two */
  bool replaced;                /* 'fd' is the old file: it is not used */

  pthread_mutex_t lock;
  pthread_cond_t released;
  struct busy *busy;
};

static uint64_t
block_start (const struct io_direct *d, uint64_t offset)
{
  return offset & ~(d->block - 1);
}

static uint64_t
block_end (const struct io_direct *d, uint64_t offset)
{
  return block_start (d, offset + d->block - 1);
}

static bool
is_busy (const struct io_direct *d, const struct busy *b)
{
  const struct busy *other;

  for (other = d->busy; other; other = other->next)
    if (b->start < other->end && other->start < b->end)
      return true;
  return false;
}

/* Wait until no thread changes the blocks in which the range is, and keep
 * others out.
 */
static void
begin_change (struct io_direct *d, struct busy *b, uint64_t offset,
              uint64_t count)
{
  b->start = block_start (d, offset);
  b->end = block_end (d, offset + count);
  pthread_mutex_lock (&d->lock);
  while (is_busy (d, b))
    pthread_cond_wait (&d->released, &d->lock);
  b->next = d->busy;
  d->busy = b;
  pthread_mutex_unlock (&d->lock);
}

static void
end_change (struct io_direct *d, const struct busy *b)
{
  struct busy **p = &d->busy;

  pthread_mutex_lock (&d->lock);
  while (*p != b)
    p = &(*p)->next;
  *p = b->next;
  pthread_cond_broadcast (&d->released);
  pthread_mutex_unlock (&d->lock);
}

static void *
new_buffer (const struct io_direct *d, size_t size, struct vmdk_error *error)
{
  void *buf;

  if (posix_memalign (&buf, d->block, size) == 0)
    return buf;
  error_nomem (error);
  return NULL;
}

/* Read whole blocks, or to the end of the file: '*got' bytes. */
static int
read_blocks (const struct io_direct *d, uint8_t *buf, size_t count,
             uint64_t offset, size_t *got, struct vmdk_error *error)
{
  *got = 0;
  while (*got < count) {
    const ssize_t r = pread (d->fd, buf + *got, count - *got,
                             (off_t) (offset + *got));

    if (r == -1 && errno == EINTR)
      continue;
    if (r == -1)
      return error_sys (error, errno,
                        "pread: %s: offset=%" PRIu64 ", count=%zu",
                        d->io.name, offset, count);
    *got += (size_t) r;
    /* Only the end of the file is in the middle of a block. */
    if (r == 0 || *got % d->block != 0)
      break;
  }
  return 0;
}

static int
write_blocks (const struct io_direct *d, const uint8_t *buf, size_t count,
              uint64_t offset, struct vmdk_error *error)
{
  size_t done = 0;

  while (done < count) {
    const ssize_t r = pwrite (d->fd, buf + done, count - done,
                              (off_t) (offset + done));

    if (r == -1 && errno == EINTR)
      continue;
    if (r == -1)
      return error_sys (error, errno,
                        "pwrite: %s: offset=%" PRIu64 ", count=%zu",
                        d->io.name, offset, count);
    done += (size_t) r;
    io_grow_to (d->file, offset + done);
  }
  return 0;
}

static bool
is_aligned (const struct io_direct *d, const void *buf, uint64_t offset)
{
  return (uintptr_t) buf % d->block == 0 && offset % d->block == 0;
}

/* Read a range, through a buffer of 'room' bytes. */
static int
read_through (const struct io_direct *d, uint8_t *buffer, size_t room,
              uint8_t *p, size_t count, uint64_t offset,
              struct vmdk_error *error)
{
  while (count > 0) {
    const uint64_t start = block_start (d, offset);
    const size_t skip = (size_t) (offset - start);
    const size_t n = (size_t) min_u64 (count, room - skip);
    size_t got;

    if (read_blocks (d, buffer, (size_t) block_end (d, skip + n), start,
                     &got, error) == -1)
      return -1;
    if (got < skip + n)
      return error_set (error, VMDK_ERROR_IO, EIO,
                        "pread: %s: offset=%" PRIu64 ", count=%zu: "
                        "unexpected end of file",
                        d->io.name, offset, count);
    memcpy (p, buffer + skip, n);
    p += n;
    count -= n;
    offset += n;
  }
  return 0;
}

static int
direct_pread (struct io *io, void *buf, size_t count, uint64_t offset,
              struct vmdk_error *error)
{
  const struct io_direct *d = (const struct io_direct *) io;
  uint8_t *p = buf, *buffer;
  size_t room, got = 0;
  int r;

  if (d->replaced)
    return io_pread (d->file, buf, count, offset, error);
  if (is_aligned (d, buf, offset) && count >= d->block) {
    if (read_blocks (d, p, (size_t) block_start (d, count), offset, &got,
                     error) == -1)
      return -1;
    if (got == count)
      return 0;
    /* What is left is a part of a block, or an error. */
    got = (size_t) block_start (d, got);
  }
  room = (size_t) min_u64 (BUFFER_SIZE, block_end (d, count - got) + d->block);
  buffer = new_buffer (d, room, error);
  if (!buffer)
    return -1;
  r = read_through (d, buffer, room, p + got, count - got, offset + got,
                    error);
  free (buffer);
  return r;
}

/* Write to a part of a block. */
static int
write_part (struct io_direct *d, uint8_t *buffer, const uint8_t *p,
            size_t count, uint64_t offset, struct vmdk_error *error)
{
  const uint64_t start = block_start (d, offset);
  const size_t block = (size_t) d->block;
  size_t got;

  if (start + block <= d->file->size && !d->replaced) {
    if (read_blocks (d, buffer, block, start, &got, error) == -1)
      return -1;
    if (got == block) {
      memcpy (buffer + (offset - start), p, count);
      return write_blocks (d, buffer, block, start, error);
    }
  }
  return io_pwrite (d->file, p, count, offset, error);
}

/* The blocks are the caller's. */
static int
write_through (struct io_direct *d, uint8_t *buffer, size_t room,
               const uint8_t *p, size_t count, uint64_t offset,
               struct vmdk_error *error)
{
  while (count > 0) {
    const size_t to_end =
      (size_t) (block_start (d, offset) + d->block - offset);
    size_t n;
    int r;

    if (to_end < d->block || count < d->block || d->replaced) {
      n = (size_t) min_u64 (count, to_end);
      r = write_part (d, buffer, p, n, offset, error);
    }
    else if (is_aligned (d, p, offset)) {
      n = (size_t) block_start (d, count);
      r = write_blocks (d, p, n, offset, error);
    }
    else {
      n = (size_t) block_start (d, min_u64 (count, room));
      memcpy (buffer, p, n);
      r = write_blocks (d, buffer, n, offset, error);
    }
    if (r == -1)
      return -1;
    p += n;
    count -= n;
    offset += n;
  }
  return 0;
}

static int
direct_pwrite (struct io *io, const void *buf, size_t count, uint64_t offset,
               struct vmdk_error *error)
{
  struct io_direct *d = (struct io_direct *) io;
  const size_t room =
    (size_t) min_u64 (BUFFER_SIZE, block_end (d, count));
  uint8_t *buffer = new_buffer (d, room, error);
  struct busy b;
  int r;

  if (!buffer)
    return -1;
  begin_change (d, &b, offset, count);
  r = write_through (d, buffer, room, buf, count, offset, error);
  end_change (d, &b);
  free (buffer);
  io_grow_to (io, d->file->size);
  return r;
}

static int
direct_punch (struct io *io, uint64_t offset, uint64_t count,
              struct vmdk_error *error)
{
  struct io_direct *d = (struct io_direct *) io;
  struct busy b;
  int r;

  begin_change (d, &b, offset, count);
  r = io_punch (d->file, offset, count, error);
  end_change (d, &b);
  return r;
}

static bool
direct_can_punch (struct io *io)
{
  return io_can_punch (((const struct io_direct *) io)->file);
}

/* It must not overlap a write behind the new end, but may change the block
 * in which the old one is.
 */
static int
direct_truncate (struct io *io, uint64_t size, struct vmdk_error *error)
{
  struct io_direct *d = (struct io_direct *) io;
  struct busy b;
  int r;

  begin_change (d, &b, min_u64 (size, io->size), 1);
  r = io_truncate (d->file, size, error);
  end_change (d, &b);
  if (r == 0)
    atomic_store (&io->size, size);
  return r;
}

/* It is the same file for the kernel. */
static int
direct_sync (struct io *io, struct vmdk_error *error)
{
  struct io *file = ((const struct io_direct *) io)->file;

  return file->ops->sync (file, error);
}

/* The page cache has the end of the file. */
static void
direct_drop_cache (struct io *io)
{
  io_drop_cache (((const struct io_direct *) io)->file);
}

static int
direct_check_replace (struct io *io, struct vmdk_error *error)
{
  struct io *file = ((const struct io_direct *) io)->file;

  return file->ops->check_replace (file, error);
}

/* Only descriptors on their own are replaced, and they are too small to
 * matter to the page cache.
 */
static int
direct_replace (struct io *io, const void *data, size_t count, bool *unsure,
                struct vmdk_error *error)
{
  struct io_direct *d = (struct io_direct *) io;
  const int r = d->file->ops->replace (d->file, data, count, unsure, error);

  d->replaced = true;
  io->dev = d->file->dev;
  io->ino = d->file->ino;
  atomic_store (&io->size, d->file->size);
  return r;
}

static int
direct_lock (struct io *io, enum io_lock lock, struct vmdk_error *error)
{
  struct io *file = ((const struct io_direct *) io)->file;
  const int r = io_lock (file, lock, error);

  io->without_locks = file->without_locks;
  return r;
}

static bool
direct_is_stored (struct io *io, uint64_t offset, uint64_t count,
                  uint64_t *length)
{
  return io_is_stored (((const struct io_direct *) io)->file, offset, count,
                       length);
}

/* It would fill the page cache. */
static void
direct_prefetch (struct io *io, uint64_t offset, uint64_t count)
{
  (void) io;
  (void) offset;
  (void) count;
}

static void
direct_close (struct io *io)
{
  struct io_direct *d = (struct io_direct *) io;

  io_unref (d->file);
  close (d->fd);
  pthread_cond_destroy (&d->released);
  pthread_mutex_destroy (&d->lock);
  free (io->name);
  free (d);
}

static const struct io_ops direct_ops = {
  .pread = direct_pread,
  .is_stored = direct_is_stored,
  .prefetch = direct_prefetch,
  .pwrite = direct_pwrite,
  .punch = direct_punch,
  .can_punch = direct_can_punch,
  .truncate = direct_truncate,
  .sync = direct_sync,
  .drop_cache = direct_drop_cache,
  .check_replace = direct_check_replace,
  .replace = direct_replace,
  .lock = direct_lock,
  .close = direct_close,
};

struct io *
io_direct_new (int fd, bool writable, const char *name,
               struct vmdk_error *error)
{
  struct io_direct *d = calloc (1, sizeof *d);
  const long page = sysconf (_SC_PAGESIZE);

  if (!d || !(d->io.name = strdup (name))) {
    free (d);
    close (fd);
    error_nomem (error);
    return NULL;
  }
  d->fd = io_open_again (fd, (writable ? O_RDWR : O_RDONLY) | O_DIRECT);
  if (d->fd == -1) {
    if (errno == EINVAL)
      error_set (error, VMDK_ERROR_UNSUPPORTED, ENOTSUP,
                 "%s: cannot be opened unbuffered: the file system it is in "
                 "does not have O_DIRECT", name);
    else
      error_sys (error, errno, "open: %s: unbuffered", name);
    close (fd);
    goto err;
  }
  d->file = io_file_new (fd, writable, name, error);
  if (!d->file)
    goto err;
  d->io.ops = &direct_ops;
  d->io.size = d->file->size;
  d->io.writable = writable;
  d->io.inherited = true;
  d->io.dev = d->file->dev;
  d->io.ino = d->file->ino;
  d->io.refs = 1;
  d->block = page > 4096 ? (uint64_t) page : 4096;
  pthread_mutex_init (&d->lock, NULL);
  pthread_cond_init (&d->released, NULL);
  return &d->io;

 err:
  if (d->fd != -1)
    close (d->fd);
  free (d->io.name);
  free (d);
  return NULL;
}
