/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The backend over bytes in memory, for tests and fuzzing. */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "io.h"

struct io_mem {
  struct io io;
  const uint8_t *data;
};

static int
mem_pread (struct io *io, void *buf, size_t count, uint64_t offset,
           struct vmdk_error *error)
{
  const struct io_mem *m = (const struct io_mem *) io;

  if (offset > io->size || count > io->size - offset)
    return error_set (error, VMDK_ERROR_IO, EIO,
                      "pread: %s: offset=%" PRIu64 ", count=%zu: "
                      "unexpected end of file", io->name, offset, count);
  memcpy (buf, m->data + offset, count);
  return 0;
}

static bool
mem_is_stored (struct io *io, uint64_t offset, uint64_t count,
               uint64_t *length)
{
  (void) io;
  (void) offset;
  *length = count;
  return true;
}

static void
mem_prefetch (struct io *io, uint64_t offset, uint64_t count)
{
  (void) io;
  (void) offset;
  (void) count;
}

static void
mem_close (struct io *io)
{
  free (io->name);
  free (io);
}

static const struct io_ops mem_ops = {
  .pread = mem_pread,
  .is_stored = mem_is_stored,
  .prefetch = mem_prefetch,
  .close = mem_close,
};

struct io *
io_mem_new (const void *data, size_t size, const char *name,
            struct vmdk_error *error)
{
  struct io_mem *m = calloc (1, sizeof *m);

  if (!m || !(m->io.name = strdup (name))) {
    free (m);
    error_nomem (error);
    return NULL;
  }
  m->io.ops = &mem_ops;
  m->io.size = size;
  m->io.refs = 1;
  m->data = data;
  return &m->io;
}
