/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The public calls that change an image: a request is cut into pieces, of one
 * extent each, and these into what one write can do.
 */

#include <config.h>

#include <errno.h>
#include <string.h>

#include "alloc.h"
#include "bytes.h"
#include "progress.h"
#include "stream-write.h"
#include "writing.h"

/* So many bytes are made zeroes at once, at most: then one looks whether
 * somebody is still interested.
 */
#define MAX_ZEROES (UINT64_C (64) << 20)

/* What the parents have below an extent. */
struct parents {
  struct below below;
  struct vmdk_image *image;
  const struct extent *extent;
};

static int
parents_read (const struct below *below, void *buf, uint64_t count,
              uint64_t offset, struct vmdk_error *error)
{
  const struct parents *p = (const struct parents *) below;

  return image_read_below (p->image, 1, buf, count,
                           p->extent->start + offset, error);
}

static int
parents_count_zeroes (const struct below *below, uint64_t count,
                      uint64_t offset, uint64_t *zeroes,
                      struct vmdk_error *error)
{
  const struct parents *p = (const struct parents *) below;

  return image_count_zeroes (p->image, 1, count, p->extent->start + offset,
                             zeroes, error);
}

/* A piece of a request, in one extent. */
struct piece {
  struct extent *extent;
  uint64_t offset;              /* in the extent */
  uint64_t count;
  struct parents parents;
};

static void
find_piece (struct vmdk_image *image, uint64_t offset, uint64_t count,
            struct piece *p)
{
  p->extent = image_find_extent (image_top_link (image), offset);
  p->offset = offset - p->extent->start;
  p->count = min_u64 (count, p->extent->length - p->offset);
  p->parents = (struct parents) {
    .below = {
      .exists = image->chain.nr > 1,
      .read = parents_read,
      .count_zeroes = parents_count_zeroes,
    },
    .image = image, .extent = p->extent,
  };
}

static bool
is_zero (const uint8_t *p, uint64_t len)
{
  return p[0] == 0 && memcmp (p, p + 1, (size_t) len - 1) == 0;
}

/* Write the first part of a piece. */
static int
write_piece (const struct piece *p, const void *buf, uint64_t *done,
             struct vmdk_error *error)
{
  struct extent *e = p->extent;
  struct run run;

  if (e->ops->map (e, p->offset, p->count, MAP_FOR_READING, &run,
                   error) == -1)
    return -1;
  *done = run.length;
  switch (run.kind) {
  case RUN_DATA:
    return io_pwrite (run.io, buf, run.length, run.offset, error);
  case RUN_BAD:
    return e->ops->explain (e, p->offset, error);
  default:
    if (e->alloc)
      return alloc_write (e->alloc, &p->parents.below, buf, p->count,
                          p->offset, done, error);
    /* A ZERO line. */
    if (!is_zero (buf, run.length))
      return error_set (error, VMDK_ERROR_DENIED, EIO,
                        "%s: a range that the descriptor calls ZERO can hold "
                        "nothing else", image_top_link (p->parents.image)->name);
    return 0;
  }
}

/* Publish what has been done if that was asked for, or if it takes too much
 * memory.
 */
static int
finish (struct vmdk_image *image, unsigned flags, struct vmdk_error *error)
{
  return flags & VMDK_FUA || writing_has_much_pending (image) ?
    writing_flush (image, error) : 0;
}

/* A piece has been changed, or has not. */
static void
note_pending (struct vmdk_image *image, const struct piece *p)
{
  if (p->extent->alloc)
    alloc_note_pending (p->extent->alloc, &image->writing.pending);
}

int
vmdk_pwrite (struct vmdk_image *image, const void *buf, size_t count,
             uint64_t offset, unsigned flags, struct vmdk_error *error)
{
  const uint8_t *data = buf;
  uint64_t left = count, done;
  unsigned epoch;
  int r = 0;

  if (image->stream)
    return stream_writer_pwrite (image->stream, buf, count, offset, error);
  if (writing_check_change (image, count, offset, error) == -1 ||
      writing_start (image, error) == -1)
    return -1;
  epoch = epochs_enter (&image->epochs);
  while (left > 0 && r == 0) {
    struct piece p;

    find_piece (image, offset, left, &p);
    r = write_piece (&p, data, &done, error);
    note_pending (image, &p);
    if (r == 0) {
      data += done;
      offset += done;
      left -= done;
    }
  }
  epochs_leave (&image->epochs, epoch);
  return r == 0 ? finish (image, flags, error) : -1;
}

/* Zeroes where grains are not known: in place. */
static int
zero_in_place (const struct piece *p, bool may_trim, bool fast,
               uint64_t *done, struct vmdk_error *error)
{
  struct extent *e = p->extent;
  struct run run;
  int r = 0;

  if (e->ops->map (e, p->offset, p->count, MAP_FOR_READING, &run,
                   error) == -1)
    return -1;
  *done = run.length;
  if (run.kind == RUN_BAD)
    return e->ops->explain (e, p->offset, error);
  if (run.kind != RUN_DATA)
    return 0;
  if (may_trim)
    r = io_punch (run.io, run.offset, run.length, error);
  if (r == 0 && fast)
    return error_set (error, VMDK_ERROR_UNSUPPORTED, ENOTSUP,
                      "%s: holes cannot be made in this file",
                      run.io->name);
  return r == 0 ? io_write_zeroes (run.io, run.offset, run.length, error) :
    r == 1 ? 0 : -1;
}

/* How much of a range is whole grains; the last one may end with the
 * extent.
 */
static uint64_t
whole_grains (const struct extent *e, uint64_t offset, uint64_t count)
{
  if (offset % e->grain_size != 0)
    return 0;
  return offset + count == e->length ? count : count - count % e->grain_size;
}

/* Of a piece, what is made zeroes at once: it does not end in a grain that
 * could be freed.
 */
static void
shorten (struct piece *p)
{
  const uint64_t grain_size = p->extent->grain_size;
  const uint64_t rest =
    grain_size > 0 ? (p->offset + MAX_ZEROES) % grain_size : 0;

  p->count = min_u64 (p->count, MAX_ZEROES - rest);
}

/* Can a piece be made zeroes without writing them?  1, 0 or -1.  *punches is
 * set if a hole has to be made in the file.
 */
static int
piece_is_fast (const struct piece *p, bool may_trim, bool *punches,
               struct progress *progress, struct vmdk_error *error)
{
  struct extent *e = p->extent;
  const bool below = p->parents.below.exists;
  uint64_t done, n;

  for (done = 0; done < p->count; done += n) {
    const uint64_t offset = p->offset + done, left = p->count - done;
    struct run run;

    if (progress_at (progress, 0, error) == -1 ||
        e->ops->map (e, offset, left, MAP_FOR_READING, &run, error) == -1)
      return -1;
    n = run.length;
    if (run.kind == RUN_BAD)
      return e->ops->explain (e, offset, error);
    if (run.kind == RUN_ZERO || (run.kind == RUN_HOLE && !below))
      continue;
    if (!may_trim)
      return 0;
    if (!e->alloc) {
      if (!io_can_punch (run.io))
        return 0;
      *punches = true;
      continue;
    }
    n = min_u64 (n, whole_grains (e, offset, left));
    if (n == 0 || (below && !e->zero_entries))
      return 0;
  }
  return 1;
}

/* Can all of the range be made zeroes without writing them?  Whether a hole
 * can be made in a file is seen for sure when it is tried; that can only be
 * taken back if it is tried first.
 */
static int
check_fast (struct vmdk_image *image, uint64_t count, uint64_t offset,
            bool may_trim, struct progress *progress,
            struct vmdk_error *error)
{
  bool punches = false, first = true;
  int r = 1;

  while (count > 0 && r == 1) {
    struct piece p;

    find_piece (image, offset, count, &p);
    r = piece_is_fast (&p, may_trim, &punches, progress, error);
    if (r == 1 && punches && !first)
      r = 0;
    first = false;
    offset += p.count;
    count -= p.count;
  }
  return r != 0 ? r :
    error_set (error, VMDK_ERROR_UNSUPPORTED, ENOTSUP,
               "zeroes would have to be written");
}

int
vmdk_zero (struct vmdk_image *image, uint64_t count, uint64_t offset,
           unsigned flags, struct vmdk_error *error)
{
  const bool may_trim = flags & VMDK_MAY_TRIM;
  const bool fast = flags & VMDK_FAST;
  struct progress progress;
  uint64_t done;
  unsigned epoch;
  int r = 0;

  if (image->stream)
    return fast && stream_writer_check_fast_zero (image->stream, count,
                                                  offset, error) == -1 ?
      -1 : stream_writer_zero (image->stream, count, offset, error);
  progress_begin (&progress, &image->logger, image_top_link (image)->name,
                  "zeroing", 0);
  if (writing_check_change (image, count, offset, error) == -1 ||
      (fast && check_fast (image, count, offset, may_trim, &progress,
                           error) == -1) ||
      writing_start (image, error) == -1)
    return -1;
  while (count > 0 && r == 0) {
    struct piece p;

    find_piece (image, offset, count, &p);
    /* A fast one in place is all or nothing. */
    if (!fast || p.extent->alloc)
      shorten (&p);
    epoch = epochs_enter (&image->epochs);
    r = p.extent->alloc ?
      alloc_zero (p.extent->alloc, &p.parents.below, may_trim, p.count,
                  p.offset, &done, error) :
      zero_in_place (&p, may_trim, fast, &done, error);
    epochs_leave (&image->epochs, epoch);
    note_pending (image, &p);
    if (r == 0) {
      offset += done;
      count -= done;
      r = finish (image, 0, error);
    }
    /* A chain can be made so that its zeroes are found slowly. */
    if (r == 0 && count > 0)
      r = progress_at (&progress, 0, error);
  }
  return r == 0 ? finish (image, flags, error) : -1;
}

/* Trim what has no grains. */
static int
trim_in_place (const struct piece *p, uint64_t *done,
               struct vmdk_error *error)
{
  struct extent *e = p->extent;
  struct run run;

  if (e->ops->map (e, p->offset, p->count, MAP_FOR_READING, &run,
                   error) == -1)
    return -1;
  *done = run.length;
  return run.kind == RUN_DATA &&
    io_punch (run.io, run.offset, run.length, error) == -1 ? -1 : 0;
}

int
vmdk_trim (struct vmdk_image *image, uint64_t count, uint64_t offset,
           unsigned flags, struct vmdk_error *error)
{
  struct progress progress;
  uint64_t done;
  unsigned epoch;
  int r = 0;

  if (image->stream)
    return stream_writer_zero (image->stream, count, offset, error);
  progress_begin (&progress, &image->logger, image_top_link (image)->name,
                  "trimming", 0);
  if (writing_check_change (image, count, offset, error) == -1 ||
      writing_start (image, error) == -1)
    return -1;
  while (count > 0 && r == 0) {
    struct piece p;

    find_piece (image, offset, count, &p);
    epoch = epochs_enter (&image->epochs);
    r = p.extent->alloc ?
      alloc_trim (p.extent->alloc, &p.parents.below, p.count, p.offset,
                  &done, error) :
      trim_in_place (&p, &done, error);
    epochs_leave (&image->epochs, epoch);
    note_pending (image, &p);
    if (r == 0) {
      offset += done;
      count -= done;
      r = finish (image, 0, error);
    }
    if (r == 0 && count > 0)
      r = progress_at (&progress, 0, error);
  }
  return r == 0 ? finish (image, flags, error) : -1;
}
