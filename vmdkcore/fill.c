/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "fill.h"

/* Grains can be large, and each thread fills one: no more than this is in
 * memory of any, a power of two.
 */
#define MAX_PIECE (UINT64_C (256) * 1024)

static bool
is_zero (const uint8_t *p, uint64_t len)
{
  return len == 0 || (p[0] == 0 && memcmp (p, p + 1, (size_t) len - 1) == 0);
}

/* What the range of grains must hold outside of the data. */
static int
read_around (const struct grains *g, const struct filling *f, uint8_t *p,
             uint64_t offset, uint64_t count, struct vmdk_error *error)
{
  const uint64_t length = g->extent.length;
  uint64_t n = 0;

  if (f->below && offset < length) {
    n = min_u64 (count, length - offset);
    if (f->below->read (f->below, p, n, offset, error) == -1)
      return -1;
  }
  memset (p + n, 0, count - n);
  return 0;
}

/* Fill a piece, a grain if that is not too large, with one write. */
static int
fill_piece (const struct grains *g, const struct filling *f,
            struct vmdk_error *error)
{
  const uint64_t head = f->offset - f->start;
  const uint64_t behind = head + f->count;
  const uint64_t size = f->end - f->start;
  uint8_t *piece = malloc (size);
  int r = -1;

  if (!piece)
    return error_nomem (error);
  if (read_around (g, f, piece, f->start, head, error) == -1 ||
      read_around (g, f, piece + behind, f->start + behind, size - behind,
                   error) == -1)
    goto out;
  if (f->clean && is_zero (piece, head) &&
      is_zero (piece + behind, size - behind))
    r = f->buf ?
      io_pwrite (g->io, f->buf, f->count, f->place + head, error) : 0;
  else {
    if (f->buf)
      memcpy (piece + head, f->buf, f->count);
    else
      memset (piece + head, 0, f->count);
    r = io_pwrite (g->io, piece, size, f->place, error);
  }

 out:
  free (piece);
  return r;
}

int
fill_grains (const struct grains *g, const struct filling *f,
             struct vmdk_error *error)
{
  const uint64_t size = min_u64 (g->extent.grain_size, MAX_PIECE);
  const uint64_t data_end = f->offset + f->count;
  struct filling part = *f;

  if (f->clean && !f->below)
    return f->buf ?
      io_pwrite (g->io, f->buf, f->count,
                 f->place + f->offset - f->start, error) : 0;

  /* The data may begin and end inside of a piece, and whole pieces may
   * come before and behind them; those between are one.
   */
  while (part.start < f->end) {
    const bool whole = f->offset <= part.start &&
      part.start + size <= data_end;

    part.end = part.start + size;
    if (whole)
      part.end = part.start + (data_end - part.start) / size * size;
    part.offset = min_u64 (max_u64 (f->offset, part.start), part.end);
    part.count =
      max_u64 (min_u64 (data_end, part.end), part.offset) - part.offset;
    part.buf = f->buf && part.count > 0 ?
      f->buf + (part.offset - f->offset) : NULL;
    part.place = f->place + (part.start - f->start);
    if (!whole) {
      if (fill_piece (g, &part, error) == -1)
        return -1;
    }
    else if (part.buf) {
      if (io_pwrite (g->io, part.buf, part.count, part.place,
                     error) == -1)
        return -1;
    }
    else if (!f->clean &&
             io_write_zeroes (g->io, part.place, part.count, error) == -1)
      return -1;
    part.start = part.end;
  }
  return 0;
}
