/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Completing a stream.
 *
 * What a disk fails to write is dropped from the page cache, and then reads
 * as whatever the disk has, without an error: only a sync tells.  So each
 * file that is read back is synced, too, after the last read that matters and
 * before the stream gets its name.
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "header.h"
#include "stream-writer.h"

/* Append all that is held at or above the frontier.  Those who read may have
 * made some of it busy.
 */
static int
append_rest (struct stream_writer *w, struct vmdk_error *error)
{
  w->give_up = w->nr_grains;
  for (;;) {
    if (stream_writer_append (w, error) == -1)
      return -1;
    if (w->frontier == w->nr_grains)
      return 0;
    stream_writer_wait (w);
  }
}

/* The file has all that it is to have but its end.  Without the lock. */
static int
complete (struct stream_writer *w, struct vmdk_error *error)
{
  struct stream_output *output = &w->outputs[w->current];

  if (output->open_table != STREAM_NO_TABLE &&
      stream_writer_append_table (w, error) == -1)
    return -1;
  return stream_output_finish (output, error);
}

/* A file that is put together from what is in the first one, and held. */
struct copy {
  struct stream_writer *w;
  struct stream_output *from, *to;
  struct grain_map map;
};

/* Copy a grain that has a place, compressed as it is, to the deflater. */
static int
read_placed (struct copy *c, uint64_t grain, uint32_t place, size_t *size,
             struct vmdk_error *error)
{
  struct io *io = c->from->io;
  uint8_t *p = c->w->own->output;
  const uint64_t offset = place * SECTOR_SIZE;
  struct stream_marker m;
  uint64_t all;

  if (io_pread (io, p, SECTOR_SIZE, offset, error) == -1)
    return -1;
  stream_marker_decode (p, &m);
  all = div_up (STREAM_GRAIN_DATA + (uint64_t) m.size, SECTOR_SIZE) *
    SECTOR_SIZE;
  if (m.value != grain * STREAM_GRAIN_SECTORS || m.size == 0 ||
      all > STREAM_PACKED_MAX)
    return error_set (error, VMDK_ERROR_CORRUPT, EIO,
                      "%s: grain %" PRIu64 " is not where it was written, at "
                      "offset %" PRIu64, c->w->name.base, grain, offset);
  *size = (size_t) all;
  return all == SECTOR_SIZE ? 0 :
    io_pread (io, p + SECTOR_SIZE, (size_t) all - SECTOR_SIZE,
              offset + SECTOR_SIZE, error);
}

static int
copy_grain (struct copy *c, uint64_t grain, struct vmdk_error *error)
{
  struct stream_writer *w = c->w;
  const uint8_t *packed = w->own->output;
  struct held *h = NULL;
  uint32_t place;
  size_t size = 0;
  int r = 0;

  pthread_mutex_lock (&w->lock);
  place = grain_map_place (&w->map, grain);
  if (grain_map_held (&w->map, grain))
    h = stream_writer_acquire (w, grain, error);
  pthread_mutex_unlock (&w->lock);

  if (h)
    r = stream_writer_pack_held (w, h, w->own, &packed, &size, error);
  else if (place >= STREAM_FIRST_PLACE)
    r = read_placed (c, grain, place, &size, error);
  if (r == 0 && size > 0)
    r = stream_output_grain (c->to, grain, packed, size, &place, error);
  if (r == 0 && size > 0)
    r = grain_map_set_place (&c->map, grain, place, error);

  if (h) {
    pthread_mutex_lock (&w->lock);
    stream_writer_release (w, h);
    pthread_mutex_unlock (&w->lock);
  }
  return r;
}

static int
copy_table (struct copy *c, uint64_t table, struct vmdk_error *error)
{
  const uint64_t first = table * STREAM_TABLE_GRAINS;
  const uint64_t end = min_u64 (first + STREAM_TABLE_GRAINS,
                                c->w->nr_grains);
  uint64_t grain;

  for (grain = first; grain < end; ++grain)
    if (copy_grain (c, grain, error) == -1)
      return -1;
  return c->to->open_table == STREAM_NO_TABLE ? 0 :
    stream_output_table (c->to, grain_map_places (&c->map, table), error);
}

static int
copy_all (struct copy *c, struct vmdk_error *error)
{
  uint64_t i;

  for (i = 0; i < c->map.nr_tables; ++i)
    if (grain_map_places (&c->w->map, i) && copy_table (c, i, error) == -1)
      return -1;
  return stream_output_finish (c->to, error);
}

/* From now on all is read from the second file. */
static void
use_copy (struct copy *c)
{
  struct stream_writer *w = c->w;
  const struct grain_map old = w->map;

  pthread_mutex_lock (&w->lock);
  while (w->nr_busy > 0)
    stream_writer_wait (w);
  w->map = c->map;
  c->map = old;
  w->current = 1;
  pthread_mutex_unlock (&w->lock);
  stream_output_destroy (c->from);
  new_file_destroy (&w->files[0], &w->name);
}

/* Put a file together whose grains ascend and that has no others. */
static int
copy (struct stream_writer *w, struct vmdk_error *error)
{
  struct copy c = {
    .w = w, .from = &w->outputs[0], .to = &w->outputs[1],
  };
  int r;

  if (new_file_create (&w->files[1], &w->name, w->name.base, w->hook,
                       error) == -1 ||
      stream_output_init (c.to, w->files[1].io, w->size / SECTOR_SIZE,
                          w->descriptor, error) == -1 ||
      grain_map_init (&c.map, w->nr_grains, error) == -1)
    return -1;
  r = copy_all (&c, error);
  if (r == 0)
    r = io_sync_now (c.from->io, error);
  if (r == 0)
    use_copy (&c);
  grain_map_destroy (&c.map);
  return r;
}

/* Everything but saying that it is done.  Without the lock. */
static int
finish (struct stream_writer *w, struct vmdk_error *error)
{
  struct new_file *file;
  int r;

  pthread_mutex_lock (&w->lock);
  r = append_rest (w, error);
  pthread_mutex_unlock (&w->lock);
  if (r == 0)
    r = w->disordered ? copy (w, error) : complete (w, error);
  if (r == 0)
    r = spill_check (&w->spill, error);
  if (r == -1)
    return -1;
  file = &w->files[w->current];
  return io_lock (file->io, IO_LOCK_READ, error) == -1 ? -1 :
    new_file_publish (file, &w->name, error);
}

int
stream_writer_finish (struct stream_writer *w, struct vmdk_error *error)
{
  bool is_over;
  int r = 0;

  pthread_mutex_lock (&w->lock);
  is_over = w->finished || w->failed || w->nr_owed > 0;
  /* Also if it was given up before. */
  if (is_over && !w->finished && !w->said_failed) {
    error_prefix (&w->failure, "%s: was not made: a write has failed",
                  w->name.base);
    w->failed = w->said_failed = true;
  }
  if (w->failed) {
    *error = w->failure;
    r = -1;
  }
  pthread_mutex_unlock (&w->lock);
  if (is_over)
    return r;

  r = finish (w, error);
  if (r == -1)
    error_prefix (error, "%s: was not made", w->name.base);
  pthread_mutex_lock (&w->lock);
  if (r == -1) {
    (void) stream_writer_fail (w, error);
    w->said_failed = true;
  }
  else
    w->finished = true;
  pthread_mutex_unlock (&w->lock);
  if (r == 0)
    spill_destroy (&w->spill);
  return r;
}
