/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* FLAT and VMFS: the bytes of the disk as they are.  What they are is
 * never looked at, since the guest can write anything there.
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "bytes.h"
#include "extent.h"

struct flat {
  struct extent extent;
  struct io *io;
  uint64_t offset;
};

static int
flat_map (struct extent *extent, uint64_t offset, uint64_t count,
          enum map_purpose purpose, struct run *run,
          struct vmdk_error *error)
{
  const struct flat *f = (const struct flat *) extent;

  (void) error;
  run->kind = RUN_DATA;
  run->length = count;
  run->io = f->io;
  run->offset = f->offset + offset;
  if (purpose == MAP_FOR_ALLOCATION &&
      !io_is_stored (f->io, run->offset, count, &run->length))
    run->kind = RUN_ZERO;
  return 0;
}

static int
flat_explain (struct extent *extent, uint64_t offset,
              struct vmdk_error *error)
{
  (void) extent;
  (void) offset;
  (void) error;
  abort ();                     /* a flat extent has no bad runs */
}

static void
flat_close (struct extent *extent)
{
  struct flat *f = (struct flat *) extent;

  io_unref (f->io);
  free (f);
}

static const struct extent_ops flat_ops = {
  .map = flat_map,
  .explain = flat_explain,
  .close = flat_close,
};

struct extent *
extent_flat_new (struct io *io, uint64_t offset, uint64_t length,
                 struct vmdk_error *error)
{
  struct flat *f;

  if (offset > io->size || length > io->size - offset) {
    error_set (error, VMDK_ERROR_CORRUPT, EINVAL,
               "%s: too short: the extent needs %" PRIu64 " bytes at offset %"
               PRIu64 ", the file has %" PRIu64,
               io->name, length, offset, io->size);
    return NULL;
  }
  f = calloc (1, sizeof *f);
  if (!f) {
    error_nomem (error);
    return NULL;
  }
  f->extent.ops = &flat_ops;
  f->extent.length = length;
  f->io = io_ref (io);
  f->offset = offset;
  return &f->extent;
}
