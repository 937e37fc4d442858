/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* A hook around files that counts what is done to them, and can make one
 * call fail.
 */

#ifndef VMDK_TESTS_COUNTED_H
#define VMDK_TESTS_COUNTED_H

#include <errno.h>

#include "io.h"
#include "unit.h"

struct counted {
  struct io_hook hook;
  unsigned nr_files;
  uint64_t sizes[4];            /* of the files, in the order of making */
  uint64_t bytes_read, bytes_written;

  uint64_t nr_calls;            /* that may fail */
  uint64_t failing;             /* the first and, unless 'once' is set, */
  bool once;                    /* all that follow; 0: none */
  int err;
  size_t part;                  /* of a write that fails: bytes written */

  unsigned lost;                /* a bit for each file whose sync fails, */
  unsigned too_large;           /* and whose writes fail with EFBIG */
};

struct counted_io {
  struct io io;
  struct io *inner;
  struct counted *c;
  unsigned file;
};

static inline bool
counted_fails (struct counted *c, const char *name, struct vmdk_error *error)
{
  const uint64_t n = ++c->nr_calls;

  if (c->failing == 0 || n < c->failing || (c->once && n > c->failing))
    return false;
  error_sys (error, c->err, "%s: call %" PRIu64, name, n);
  return true;
}

static inline int
counted_pread (struct io *io, void *buf, size_t count, uint64_t offset,
               struct vmdk_error *error)
{
  struct counted_io *o = (struct counted_io *) io;

  if (counted_fails (o->c, "pread", error))
    return -1;
  o->c->bytes_read += count;
  return io_pread (o->inner, buf, count, offset, error);
}

static inline int
counted_pwrite (struct io *io, const void *buf, size_t count,
                uint64_t offset, struct vmdk_error *error)
{
  struct counted_io *o = (struct counted_io *) io;

  if (o->c->too_large & 1U << o->file)
    return error_sys (error, EFBIG, "pwrite: %s", io->name);
  if (counted_fails (o->c, "pwrite", error)) {
    struct vmdk_error ignored;

    (void) io_pwrite (o->inner, buf, min_u64 (o->c->part, count), offset,
                      &ignored);
    io_grow_to (io, o->inner->size);
    return -1;
  }
  o->c->bytes_written += count;
  o->c->sizes[o->file] = max_u64 (o->c->sizes[o->file], offset + count);
  io_grow_to (io, offset + count);
  return io_pwrite (o->inner, buf, count, offset, error);
}

static inline int
counted_truncate (struct io *io, uint64_t size, struct vmdk_error *error)
{
  struct counted_io *o = (struct counted_io *) io;

  if (counted_fails (o->c, "truncate", error))
    return -1;
  atomic_store (&io->size, size);
  return io_truncate (o->inner, size, error);
}

static inline int
counted_sync (struct io *io, struct vmdk_error *error)
{
  struct counted_io *o = (struct counted_io *) io;

  if (o->c->lost & 1U << o->file)
    return error_sys (error, EIO, "sync: file %u", o->file);
  return counted_fails (o->c, "sync", error) ? -1 :
    io_sync (o->inner, error);
}

static inline void
counted_close (struct io *io)
{
  struct counted_io *o = (struct counted_io *) io;

  io_unref (o->inner);
  free (io->name);
  free (o);
}

static const struct io_ops counted_ops = {
  .pread = counted_pread,
  .pwrite = counted_pwrite,
  .truncate = counted_truncate,
  .sync = counted_sync,
  .close = counted_close,
};

static inline struct io *
counted_wrap (void *opaque, struct io *io, struct vmdk_error *error)
{
  struct counted *c = opaque;
  struct counted_io *o;

  if (counted_fails (c, "open", error)) {
    io_unref (io);
    return NULL;
  }
  o = calloc (1, sizeof *o);
  assert_non_null (o);
  assert_true (c->nr_files < ARRAY_LENGTH (c->sizes));
  o->io.ops = &counted_ops;
  o->io.name = strdup (io->name);
  o->io.writable = true;
  o->io.refs = 1;
  o->inner = io;
  o->c = c;
  o->file = c->nr_files++;
  return &o->io;
}

static inline void
counted_init (struct counted *c)
{
  memset (c, 0, sizeof *c);
  c->hook.wrap = counted_wrap;
  c->hook.opaque = c;
}

#endif /* VMDK_TESTS_COUNTED_H */
