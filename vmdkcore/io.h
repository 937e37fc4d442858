/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Where the bytes of an image come from.
 *
 * Everything above this interface reads through it, so that an image
 * can live in a file, on a device or in memory.
 */

#ifndef VMDK_IO_H
#define VMDK_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct io;

struct io_ops {
  /* Read exactly 'count' bytes at 'offset' (bytes) or fail.  Reading
   * past the end of the backend fails with EIO.  Any thread.
   */
  int (*pread) (struct io *io, void *buf, size_t count, uint64_t offset,
                struct vmdk_error *error);

  /* Say whether the byte at 'offset' is stored, and put in *length for
   * how many of the next 'count' bytes (count > 0) that is so.  A
   * backend that does not know answers "stored", for all of them.
   * Any thread.
   */
  bool (*is_stored) (struct io *io, uint64_t offset, uint64_t count,
                     uint64_t *length);

  /* Hint that a range will be read soon.  Any thread. */
  void (*prefetch) (struct io *io, uint64_t offset, uint64_t count);

  /* Free what the backend holds, and 'io' itself. */
  void (*close) (struct io *io);
};

/* Backends embed this as their first member. */
struct io {
  const struct io_ops *ops;
  char *name;                   /* for messages */
  uint64_t size;                /* bytes, fixed when opened */
  uint64_t dev, ino;            /* identity; both 0 if it has none */
  unsigned refs;                /* changed while opening, closing only */
};

/* Take over the open file descriptor 'fd' of a regular file or block
 * device.  'name' is copied.  On failure returns NULL and closes fd.
 */
extern struct io *io_file_new (int fd, const char *name,
                               struct vmdk_error *error);

/* A backend over 'size' bytes at 'data', which are borrowed until it
 * is closed.
 */
extern struct io *io_mem_new (const void *data, size_t size,
                              const char *name, struct vmdk_error *error);

static inline struct io *
io_ref (struct io *io)
{
  io->refs++;
  return io;
}

/* Drop a reference; the last one closes.  NULL is accepted. */
static inline void
io_unref (struct io *io)
{
  if (io && --io->refs == 0)
    io->ops->close (io);
}

static inline int
io_pread (struct io *io, void *buf, size_t count, uint64_t offset,
          struct vmdk_error *error)
{
  return io->ops->pread (io, buf, count, offset, error);
}

static inline bool
io_is_stored (struct io *io, uint64_t offset, uint64_t count,
              uint64_t *length)
{
  return io->ops->is_stored (io, offset, count, length);
}

static inline void
io_prefetch (struct io *io, uint64_t offset, uint64_t count)
{
  io->ops->prefetch (io, offset, count);
}

#endif /* VMDK_IO_H */
