/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Files.  Most writers go through a file grain by grain in order, so
 * small writes are collected.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "gen.h"

#define BUF_SIZE (1024 * 1024)

static void
file_init (struct file *f, const char *path, int flags)
{
  f->fd = open (path, flags | O_CLOEXEC, 0666);
  if (f->fd == -1)
    die ("open: %s: %s", path, strerror (errno));
  f->path = xstrdup (path);
  f->buf = xcalloc (1, BUF_SIZE);
  f->buf_len = 0;
  f->buf_offset = 0;
}

/* What an earlier run has left is not written through: it may be a FIFO
 * or a symbolic link.
 */
void
file_create (struct file *f, const char *path)
{
  struct stat st;

  if (lstat (path, &st) == 0 && !S_ISCHR (st.st_mode) &&
      !S_ISBLK (st.st_mode) && remove (path) == -1)
    die ("remove: %s: %s", path, strerror (errno));
  file_init (f, path, O_RDWR | O_CREAT | O_TRUNC);
}

void
file_open (struct file *f, const char *path)
{
  file_init (f, path, O_RDWR);
}

void
file_open_readonly (struct file *f, const char *path)
{
  file_init (f, path, O_RDONLY);
}

static void
write_all (struct file *f, const uint8_t *p, size_t len, uint64_t offset)
{
  while (len > 0) {
    ssize_t r = pwrite (f->fd, p, len, (off_t) offset);

    if (r == -1) {
      if (errno == EINTR)
        continue;
      die ("write: %s: %s", f->path, strerror (errno));
    }
    p += r;
    len -= (size_t) r;
    offset += (size_t) r;
  }
}

static void
file_flush (struct file *f)
{
  write_all (f, f->buf, f->buf_len, f->buf_offset);
  f->buf_len = 0;
}

void
file_write (struct file *f, const void *data, size_t len, uint64_t offset)
{
  if (f->buf_len > 0 &&
      (offset != f->buf_offset + f->buf_len || len > BUF_SIZE - f->buf_len))
    file_flush (f);
  if (len >= BUF_SIZE) {
    write_all (f, data, len, offset);
    return;
  }
  if (f->buf_len == 0)
    f->buf_offset = offset;
  memcpy (f->buf + f->buf_len, data, len);
  f->buf_len += len;
}

/* Zeros over what was there, as a hole where the file system can. */
void
file_zero (struct file *f, uint64_t offset, uint64_t len)
{
  static const uint8_t zeros[65536];

  file_flush (f);
  if (fallocate (f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                 (off_t) offset, (off_t) len) == 0)
    return;
  if (errno != EOPNOTSUPP)
    die ("fallocate: %s: %s", f->path, strerror (errno));
  while (len > 0) {
    size_t n = (size_t) min_u64 (len, sizeof zeros);

    write_all (f, zeros, n, offset);
    offset += n;
    len -= n;
  }
}

void
file_read (struct file *f, void *data, size_t len, uint64_t offset)
{
  uint8_t *p = data;

  file_flush (f);
  while (len > 0) {
    ssize_t r = pread (f->fd, p, len, (off_t) offset);

    if (r == -1) {
      if (errno == EINTR)
        continue;
      die ("read: %s: %s", f->path, strerror (errno));
    }
    if (r == 0) {
      memset (p, 0, len);
      return;
    }
    p += r;
    len -= (size_t) r;
    offset += (size_t) r;
  }
}

uint64_t
file_size (struct file *f)
{
  struct stat st;

  file_flush (f);
  if (fstat (f->fd, &st) == -1)
    die ("stat: %s: %s", f->path, strerror (errno));
  return (uint64_t) st.st_size;
}

void
file_truncate (struct file *f, uint64_t size)
{
  file_flush (f);
  if (ftruncate (f->fd, (off_t) size) == -1)
    die ("truncate: %s: %s", f->path, strerror (errno));
}

bool
file_next_data (struct file *f, uint64_t offset, uint64_t *start,
                uint64_t *end)
{
  off_t r;

  file_flush (f);
  r = lseek (f->fd, (off_t) offset, SEEK_DATA);
  if (r == -1) {
    if (errno == ENXIO)
      return false;
    die ("lseek: %s: %s", f->path, strerror (errno));
  }
  *start = (uint64_t) r;
  r = lseek (f->fd, r, SEEK_HOLE);
  if (r == -1)
    die ("lseek: %s: %s", f->path, strerror (errno));
  *end = (uint64_t) r;
  return true;
}

void
file_close (struct file *f)
{
  file_flush (f);
  if (close (f->fd) == -1)
    die ("close: %s: %s", f->path, strerror (errno));
  free (f->path);
  free (f->buf);
}
