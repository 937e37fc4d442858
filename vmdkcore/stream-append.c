/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* What goes to the file, and when. */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "header.h"
#include "stream-writer.h"

/* While this many grains are completed, nothing may be written below those
 * that wait, before what is not there is given up.  Two connections of
 * nbdcopy, which each walk through 128 MiB of their own, differ by less.
 */
#define SPAN 1024

/* A place cannot be found out: nothing is given up for it. */
#define NO_GRAIN UINT64_MAX

void
stream_writer_touch (struct stream_writer *w, uint64_t grain)
{
  w->lowest = min_u64 (w->lowest, grain);
}

static void
count_completed (struct stream_writer *w)
{
  if (++w->completed % SPAN == 0) {
    w->lowest_before = w->lowest;
    w->lowest = NO_GRAIN;
  }
}

/* Memory is used up.  Those who wait for grains that nobody writes need not
 * do so for ever.
 */
static void
give_up_gaps (struct stream_writer *w)
{
  if (w->completed >= 2 * SPAN)
    w->give_up = max_u64 (w->give_up,
                          min_u64 (w->nr_grains,
                                   min_u64 (w->lowest_before, w->lowest)));
}

void
stream_writer_forget (struct stream_writer *w, struct held *h)
{
  if (h->data)
    w->room += h->form == HELD_RAW ? STREAM_GRAIN_SIZE : h->size;
  free (h->data);
  h->data = NULL;
  if (h->slot != SPILL_NO_SLOT)
    spill_give (&w->spill, h->slot);
  h->slot = SPILL_NO_SLOT;
  h->form = HELD_NOTHING;
}

/* Is there memory for a packed grain? */
static bool
has_room (const struct stream_writer *w, size_t size)
{
  return w->room >= w->reserve + size;
}

bool
stream_writer_is_complete (const struct held *h)
{
  return h->form == HELD_PACKED ||
    (h->form == HELD_RAW && ~h->written[0] == 0 && ~h->written[1] == 0);
}

void
stream_writer_clear (struct stream_writer *w, struct held *h)
{
  const uint32_t place = grain_map_place (&w->map, h->grain);
  struct vmdk_error never;

  stream_writer_forget (w, h);
  if (place >= STREAM_FIRST_PLACE)
    w->disordered = true;
  /* Zeroes before there are any data are a preparation of all the disk:
   * more will be written there.
   */
  if (place >= STREAM_FIRST_PLACE || w->has_data)
    (void) grain_map_set_place (&w->map, h->grain, PLACE_ZERO, &never);
}

int
stream_writer_append_table (struct stream_writer *w, struct vmdk_error *error)
{
  struct stream_output *output = &w->outputs[w->current];
  uint32_t entries[STREAM_TABLE_GRAINS];
  const uint32_t *places;

  pthread_mutex_lock (&w->lock);
  places = grain_map_places (&w->map, output->open_table);
  if (places)
    memcpy (entries, places, sizeof entries);
  else
    memset (entries, 0, sizeof entries);
  pthread_mutex_unlock (&w->lock);
  return stream_output_table (output, entries, error);
}

/* Append a packed grain at the frontier.  Without the lock, by the thread
 * that appends.
 */
static int
append_packed (struct stream_writer *w, uint64_t grain, const void *packed,
               size_t size, uint32_t *place, struct vmdk_error *error)
{
  struct stream_output *output = &w->outputs[w->current];

  if (output->open_table != STREAM_NO_TABLE &&
      output->open_table != grain / STREAM_TABLE_GRAINS &&
      stream_writer_append_table (w, error) == -1)
    return -1;
  if (stream_output_grain (output, grain, packed, size, place, error) == -1)
    return -1;
  logger_trace (&w->logger, VMDK_TRACE_GRAINS, "grain %" PRIu64
                ": %zu bytes appended at sector %" PRIu32, grain, size,
                *place);
  return 0;
}

/* A grain at the frontier has got its place. */
static void
decide (struct stream_writer *w, struct held *h, uint32_t place)
{
  struct vmdk_error never;

  stream_writer_forget (w, h);
  (void) grain_map_set_place (&w->map, h->grain, place, &never);
  w->frontier = h->grain + 1;
}

int
stream_writer_pack_held (struct stream_writer *w, const struct held *h,
                         struct deflater *deflater, const uint8_t **packed,
                         size_t *size, struct vmdk_error *error)
{
  const uint8_t *raw = h->data;

  *size = h->size;
  *packed = h->data;
  if (h->form == HELD_PACKED) {
    if (h->data)
      return 0;
    *packed = deflater->output;
    return spill_pread (&w->spill, h->slot, deflater->output, h->size, 0,
                        error);
  }

  *size = 0;
  if (h->slot != SPILL_NO_SLOT) {
    if (spill_pread (&w->spill, h->slot, deflater->input, STREAM_GRAIN_SIZE,
                     0, error) == -1)
      return -1;
    raw = deflater->input;
  }
  if (raw && !is_zero (raw, STREAM_GRAIN_SIZE)) {
    *size = stream_pack (deflater, h->grain, raw);
    *packed = deflater->output;
  }
  return 0;
}

/* Append the held grain at the frontier. */
static int
append_held (struct stream_writer *w, struct held *h,
             struct vmdk_error *error)
{
  const uint8_t *packed;
  uint32_t place = PLACE_ZERO;
  size_t size;
  int r;

  h->busy = true;
  w->nr_busy++;
  pthread_mutex_unlock (&w->lock);
  r = stream_writer_pack_held (w, h, w->own, &packed, &size, error);
  if (r == 0 && size > 0)
    r = append_packed (w, h->grain, packed, size, &place, error);
  pthread_mutex_lock (&w->lock);
  if (r == 0)
    decide (w, h, place);
  stream_writer_release (w, h);
  return r;
}

/* Move the frontier over grains that are known, or given up, and not held.
 * False if there is no such one.  Grains that are waited for are not counted,
 * since this is called for each write and they may be all of a large disk.
 */
static bool
pass_known (struct stream_writer *w)
{
  uint32_t place = grain_map_place (&w->map, w->frontier);
  const uint64_t end = place == PLACE_NONE ? w->give_up : w->nr_grains;
  uint64_t n;

  if (w->frontier >= end)
    return false;
  n = grain_map_uniform (&w->map, w->frontier, end - w->frontier, &place);
  if (n == 0) {
    if (grain_map_held (&w->map, w->frontier))
      return false;
    n = 1;
  }
  w->frontier += n;
  return true;
}

static bool
is_ready (const struct stream_writer *w, const struct held *h)
{
  return h && !h->busy &&
    (stream_writer_is_complete (h) || w->frontier < w->give_up);
}

int
stream_writer_append (struct stream_writer *w, struct vmdk_error *error)
{
  int r = 0;

  if (w->appending || w->failed)
    return 0;
  w->appending = true;
  while (r == 0 && w->frontier < w->nr_grains) {
    struct held *h;

    if (pass_known (w))
      continue;
    h = grain_map_held (&w->map, w->frontier);
    if (!is_ready (w, h))
      break;
    r = append_held (w, h, error);
  }
  w->appending = false;
  stream_writer_wake (w);
  return r;
}

/* Hold packed bytes that have to wait: in memory if there is room, else in
 * a slot.
 */
static int
hold_packed (struct stream_writer *w, struct held *h, const uint8_t *packed,
             size_t size, struct vmdk_error *error)
{
  uint8_t *data = NULL;
  uint32_t slot = SPILL_NO_SLOT;
  int r = 0;

  if (has_room (w, size)) {
    w->room -= size;
    pthread_mutex_unlock (&w->lock);
    data = malloc (size);
    if (data)
      memcpy (data, packed, size);
    pthread_mutex_lock (&w->lock);
    if (!data)
      w->room += size;
  }
  if (!data) {
    slot = spill_take (&w->spill, error);
    if (slot == SPILL_NO_SLOT)
      return -1;
    pthread_mutex_unlock (&w->lock);
    logger_trace (&w->logger, VMDK_TRACE_GRAINS, "grain %" PRIu64
                  ": %zu bytes wait in the temporary file", h->grain, size);
    r = spill_pwrite (&w->spill, slot, packed, size, 0, error);
    pthread_mutex_lock (&w->lock);
    if (r == -1) {
      spill_give (&w->spill, slot);
      return -1;
    }
  }
  stream_writer_forget (w, h);
  h->form = HELD_PACKED;
  h->data = data;
  h->slot = slot;
  h->size = (uint32_t) size;
  if (h->grain < w->frontier)
    w->disordered = true;
  return 0;
}

/* Append bytes from the caller's buffer at the frontier. */
static int
keep_in_place (struct stream_writer *w, struct held *h,
               const uint8_t *packed, size_t size, struct vmdk_error *error)
{
  uint32_t place;
  int r;

  w->appending = true;
  pthread_mutex_unlock (&w->lock);
  r = append_packed (w, h->grain, packed, size, &place, error);
  pthread_mutex_lock (&w->lock);
  w->appending = false;
  stream_writer_wake (w);
  if (r == 0)
    decide (w, h, place);
  return r;
}

int
stream_writer_keep (struct stream_writer *w, struct held *h,
                    const uint8_t *packed, size_t size,
                    struct vmdk_error *error)
{
  count_completed (w);
  if (!has_room (w, size))
    give_up_gaps (w);
  for (;;) {
    if (!w->appending)
      while (w->frontier < w->nr_grains && pass_known (w))
        ;
    if (h->grain == w->frontier && !w->appending)
      return keep_in_place (w, h, packed, size, error);
    if (has_room (w, size) || !w->appending || h->grain < w->frontier)
      return hold_packed (w, h, packed, size, error);
    /* Room is being made, faster than another file would be written. */
    stream_writer_wait (w);
  }
}
