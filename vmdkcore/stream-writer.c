/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The life of a writer, and what its parts share. */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "header.h"
#include "stream-writer.h"

/* QEMU opens no directory with more entries. */
#define MAX_TABLES (UINT64_C (1) << 25)

static int
check_options (const struct stream_create_options *options,
               struct vmdk_error *error)
{
  const uint64_t max = MAX_TABLES * STREAM_TABLE_GRAINS * STREAM_GRAIN_SIZE;

  if (options->size == 0 || options->size % SECTOR_SIZE != 0)
    return error_set (error, VMDK_ERROR_INVALID, EINVAL,
                      "%s: the size of a disk must be a multiple of 512, and "
                      "not 0", options->path);
  if (options->size > max)
    return error_set (error, VMDK_ERROR_INVALID, EINVAL,
                      "%s: the disk of a stream cannot be larger than %"
                      PRIu64 " bytes", options->path, max);
  if (options->compress_level != 0 &&
      (options->compress_level < DEFLATE_LEVEL_MIN ||
       options->compress_level > DEFLATE_LEVEL_MAX))
    return error_set (error, VMDK_ERROR_INVALID, EINVAL,
                      "%s: the level of compression must be from %d to %d",
                      options->path, DEFLATE_LEVEL_MIN, DEFLATE_LEVEL_MAX);
  return 0;
}

/* Share out the memory: half is for grains that wait. */
static int
init_memory (struct stream_writer *w,
             const struct stream_create_options *options,
             struct vmdk_error *error)
{
  const int level = options->compress_level != 0 ?
    options->compress_level : STREAM_LEVEL_DEFAULT;
  uint64_t memory = options->memory;

  if (memory == 0)
    memory = VMDK_CACHE_DEFAULT;
  memory = max_u64 (memory, VMDK_CACHE_MIN);
  w->room = memory / 2;
  w->reserve = w->room / 4;
  w->deflaters = deflaters_new (level, memory / 4, STREAM_GRAIN_SIZE,
                                STREAM_PACKED_MAX);
  w->inflaters = inflaters_new (memory / 8);
  w->cache = grain_cache_new (memory / 8);
  if (!w->deflaters || !w->inflaters || !w->cache)
    return error_nomem (error);
  w->own = deflater_new (level, STREAM_GRAIN_SIZE, STREAM_PACKED_MAX);
  return w->own ? 0 : error_nomem (error);
}

struct stream_writer *
stream_writer_create (const struct stream_create_options *options,
                      struct vmdk_error *error)
{
  struct stream_writer *w;

  if (check_options (options, error) == -1)
    return NULL;
  w = calloc (1, sizeof *w);
  if (!w) {
    error_nomem (error);
    return NULL;
  }
  pthread_mutex_init (&w->lock, NULL);
  pthread_cond_init (&w->changed, NULL);
  w->size = options->size;
  w->nr_grains = div_up (w->size, STREAM_GRAIN_SIZE);
  w->logger = options->logger;
  w->hook = options->hook;
  w->lowest = w->lowest_before = UINT64_MAX;
  w->files[0].fd = w->files[1].fd = -1;
  w->name.folder = -1;
  spill_init (&w->spill, &w->name, w->hook);
  w->descriptor = strdup (options->descriptor);
  if (!w->descriptor) {
    error_nomem (error);
    goto err;
  }
  if (init_memory (w, options, error) == -1 ||
      grain_map_init (&w->map, w->nr_grains, error) == -1 ||
      new_name_init (&w->name, options->path, error) == -1 ||
      new_file_create (&w->files[0], &w->name, w->name.base, w->hook,
                       error) == -1 ||
      stream_output_init (&w->outputs[0], w->files[0].io,
                          w->size / SECTOR_SIZE, w->descriptor, error) == -1)
    goto err;
  return w;

 err:
  stream_writer_free (w);
  return NULL;
}

void
stream_writer_free (struct stream_writer *w)
{
  unsigned i;

  if (!w)
    return;
  for (i = 0; i < 2; ++i) {
    stream_output_destroy (&w->outputs[i]);
    new_file_destroy (&w->files[i], &w->name);
  }
  spill_destroy (&w->spill);
  grain_map_destroy (&w->map);
  new_name_destroy (&w->name);
  grain_cache_free (w->cache);
  inflaters_free (w->inflaters);
  deflater_free (w->own);
  deflaters_free (w->deflaters);
  free (w->descriptor);
  pthread_cond_destroy (&w->changed);
  pthread_mutex_destroy (&w->lock);
  free (w);
}

uint64_t
stream_writer_size (const struct stream_writer *w)
{
  return w->size;
}

void
stream_writer_wait (struct stream_writer *w)
{
  w->waiting++;
  pthread_cond_wait (&w->changed, &w->lock);
  w->waiting--;
}

void
stream_writer_wake (struct stream_writer *w)
{
  if (w->waiting > 0)
    pthread_cond_broadcast (&w->changed);
}

struct held *
stream_writer_acquire (struct stream_writer *w, uint64_t grain,
                       struct vmdk_error *error)
{
  struct held *h;

  while ((h = grain_map_held (&w->map, grain)) && h->busy)
    stream_writer_wait (w);
  if (!h)
    h = grain_map_hold (&w->map, grain, error);
  if (h) {
    h->busy = true;
    w->nr_busy++;
  }
  return h;
}

void
stream_writer_release (struct stream_writer *w, struct held *h)
{
  h->busy = false;
  w->nr_busy--;
  if (h->form == HELD_NOTHING)
    grain_map_drop (&w->map, h);
  stream_writer_wake (w);
}

int
stream_writer_fail (struct stream_writer *w, const struct vmdk_error *reason)
{
  if (!w->failed)
    w->failure = *reason;
  w->failed = true;
  return -1;
}

int
stream_writer_unpack (struct stream_writer *w, struct io *io,
                      uint64_t offset, const uint8_t *data, uint64_t grain,
                      struct grain_room *room, struct vmdk_error *error)
{
  uint8_t head[STREAM_MARKER_SIZE];
  struct inflater *inflater;
  struct stream_marker m;
  size_t produced = 0;
  const char *fault;
  uint8_t *out;
  int r = 0;

  if (data)
    memcpy (head, data, sizeof head);
  else if (io_pread (io, head, sizeof head, offset, error) == -1)
    return -1;
  stream_marker_decode (head, &m);
  if (m.value != grain * STREAM_GRAIN_SECTORS || m.size == 0 ||
      m.size > STREAM_PACKED_MAX - STREAM_GRAIN_DATA)
    return error_set (error, VMDK_ERROR_CORRUPT, EIO,
                      "%s: grain %" PRIu64 " is not where it was written, at "
                      "offset %" PRIu64, w->name.base, grain, offset);
  inflater = inflater_get (w->inflaters, &w->inflating, m.size,
                           STREAM_GRAIN_SIZE, error);
  if (!inflater)
    return -1;
  out = grain_room_get (room);
  if (!out)
    r = error_nomem (error);
  else if (data)
    memcpy (inflater->input, data + STREAM_GRAIN_DATA, m.size);
  else
    r = io_pread (io, inflater->input, m.size, offset + STREAM_GRAIN_DATA,
                  error);
  if (r == 0) {
    fault = inflater_run (inflater, m.size, out, STREAM_GRAIN_SIZE,
                          &produced);
    if (fault || produced != STREAM_GRAIN_SIZE)
      r = error_set (error, VMDK_ERROR_CORRUPT, EIO,
                     "%s: grain %" PRIu64 " is not what was written, at "
                     "offset %" PRIu64, w->name.base, grain, offset);
  }
  inflater_put (w->inflaters, inflater);
  return r;
}

int
stream_writer_check (struct stream_writer *w, struct vmdk_error *error)
{
  int r = 0;

  pthread_mutex_lock (&w->lock);
  if (w->failed) {
    *error = w->failure;
    r = -1;
  }
  else if (w->finished)
    r = error_set (error, VMDK_ERROR_UNSUPPORTED, EROFS,
                   "%s: is read-only because a stream cannot be changed once "
                   "it is finished", w->name.base);
  pthread_mutex_unlock (&w->lock);
  return r;
}

int
stream_writer_check_name (struct stream_writer *w, struct vmdk_error *error)
{
  return new_file_check (&w->files[0], &w->name, error);
}

bool
stream_writer_has_data (struct stream_writer *w)
{
  bool r;

  pthread_mutex_lock (&w->lock);
  r = w->has_data;
  pthread_mutex_unlock (&w->lock);
  return r;
}

int
stream_writer_flush (struct stream_writer *w, struct vmdk_error *error)
{
  int r = 0;

  pthread_mutex_lock (&w->lock);
  if (w->failed || w->nr_owed > 0) {
    *error = w->failure;
    r = -1;
  }
  else if (!w->finished)
    r = stream_writer_append (w, error);
  pthread_mutex_unlock (&w->lock);
  return r;
}
