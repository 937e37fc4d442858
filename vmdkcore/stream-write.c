/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Requests: reading, and writing parts of grains and whole ones. */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "stream-writer.h"

/* A piece of a request, in one grain. */
struct piece {
  uint64_t grain;
  size_t offset;                /* in the grain */
  size_t count;
};

static void
find_piece (uint64_t offset, uint64_t count, struct piece *p)
{
  p->grain = offset / STREAM_GRAIN_SIZE;
  p->offset = (size_t) (offset % STREAM_GRAIN_SIZE);
  p->count = (size_t) min_u64 (count, STREAM_GRAIN_SIZE - p->offset);
}

static int
check_range (const struct stream_writer *w, uint64_t count, uint64_t offset,
             struct vmdk_error *error)
{
  if (offset > w->size || count > w->size - offset)
    return error_set (error, VMDK_ERROR_INVALID, EINVAL,
                      "%" PRIu64 " bytes at offset %" PRIu64 " are not in "
                      "the disk of %" PRIu64 " bytes", count, offset,
                      w->size);
  return 0;
}

/* Where a grain is read from. */
struct placed {
  struct stream_writer *w;
  const struct stream_output *output;
};

static int
inflate_placed (const struct grain_source *source, struct grain_room *room,
                struct vmdk_error *error)
{
  const struct placed *placed = source->opaque;

  return stream_writer_unpack (placed->w, placed->output->io,
                               source->grain * SECTOR_SIZE, NULL,
                               source->place, room, error);
}

/* Read from the file, where nothing changes that has once been placed: so
 * the place is what the cache knows a grain by.
 */
static int
read_placed (struct stream_writer *w, const struct stream_output *output,
             uint32_t place, const struct piece *p, void *buf,
             struct vmdk_error *error)
{
  struct placed placed = { w, output };
  const struct grain_source source = {
    .owner = (uintptr_t) output,
    .grain = place,
    .size = STREAM_GRAIN_SIZE,
    .inflate = inflate_placed,
    .opaque = &placed,
    .place = p->grain,
  };

  return grain_cache_read (w->cache, &source, p->offset, buf, p->count,
                           error);
}

/* Read the content of a busy grain that is packed. */
static int
read_packed (struct stream_writer *w, const struct held *h,
             const struct piece *p, void *buf, struct vmdk_error *error)
{
  const struct grain_source source = { .size = STREAM_GRAIN_SIZE };
  struct grain_room room = { .source = &source };
  int r;

  /* Of a grain in memory the file may just be made by another thread. */
  r = stream_writer_unpack (w, h->data ? NULL : w->spill.file.io,
                            h->slot * SPILL_SLOT_SIZE, h->data, h->grain,
                            &room, error);
  if (r == 0)
    memcpy (buf, room.data + p->offset, p->count);
  free (room.data);
  return r;
}

/* Read the content of a busy grain. */
static int
read_held (struct stream_writer *w, const struct held *h,
           const struct piece *p, void *buf, struct vmdk_error *error)
{
  if (h->form == HELD_PACKED)
    return read_packed (w, h, p, buf, error);
  if (h->slot != SPILL_NO_SLOT)
    return spill_pread (&w->spill, h->slot, buf, p->count, p->offset, error);
  if (h->data)
    memcpy (buf, h->data + p->offset, p->count);
  else
    memset (buf, 0, p->count);
  return 0;
}

static int
read_grain (struct stream_writer *w, const struct piece *p, void *buf,
            struct vmdk_error *error)
{
  struct stream_output *output;
  struct held *h;
  uint32_t place;
  int r = 0;

  pthread_mutex_lock (&w->lock);
  while ((h = grain_map_held (&w->map, p->grain)) && h->busy)
    stream_writer_wait (w);
  if (h)
    h->busy = true;
  output = &w->outputs[w->current];
  place = grain_map_place (&w->map, p->grain);
  w->nr_busy++;
  pthread_mutex_unlock (&w->lock);

  if (h)
    r = read_held (w, h, p, buf, error);
  else if (place >= STREAM_FIRST_PLACE)
    r = read_placed (w, output, place, p, buf, error);
  else
    memset (buf, 0, p->count);

  pthread_mutex_lock (&w->lock);
  if (h)
    stream_writer_release (w, h);
  else {
    w->nr_busy--;
    stream_writer_wake (w);
  }
  pthread_mutex_unlock (&w->lock);
  return r;
}

int
stream_writer_pread (struct stream_writer *w, void *buf, uint64_t count,
                     uint64_t offset, struct vmdk_error *error)
{
  uint8_t *to = buf;
  struct piece p;

  if (check_range (w, count, offset, error) == -1)
    return -1;
  for (; count > 0; count -= p.count, offset += p.count, to += p.count) {
    find_piece (offset, count, &p);
    if (read_grain (w, &p, to, error) == -1)
      return -1;
  }
  return 0;
}

static bool
grain_is_allocated (const struct stream_writer *w, uint64_t grain)
{
  return grain_map_held (&w->map, grain) ||
    grain_map_place (&w->map, grain) >= STREAM_FIRST_PLACE;
}

bool
stream_writer_is_allocated (struct stream_writer *w, uint64_t offset,
                            uint64_t count, uint64_t *length)
{
  const uint64_t first = offset / STREAM_GRAIN_SIZE;
  const uint64_t end = div_up (offset + count, STREAM_GRAIN_SIZE);
  uint64_t grain = first;
  uint32_t place;
  bool allocated;

  pthread_mutex_lock (&w->lock);
  allocated = grain_is_allocated (w, first);
  while (grain < end && grain_is_allocated (w, grain) == allocated)
    grain += max_u64 (1, grain_map_uniform (&w->map, grain, end - grain,
                                            &place));
  pthread_mutex_unlock (&w->lock);
  *length = min_u64 (offset + count, grain * STREAM_GRAIN_SIZE) - offset;
  return allocated;
}

/* Does the range begin or end in the midst of a grain with content? */
static bool
cuts_content (const struct stream_writer *w, uint64_t offset, uint64_t end)
{
  return (offset % STREAM_GRAIN_SIZE != 0 &&
          grain_is_allocated (w, offset / STREAM_GRAIN_SIZE)) ||
    (end % STREAM_GRAIN_SIZE != 0 && end != w->size &&
     grain_is_allocated (w, end / STREAM_GRAIN_SIZE));
}

int
stream_writer_check_fast_zero (struct stream_writer *w, uint64_t count,
                               uint64_t offset, struct vmdk_error *error)
{
  bool cuts;

  if (check_range (w, count, offset, error) == -1)
    return -1;
  pthread_mutex_lock (&w->lock);
  cuts = cuts_content (w, offset, offset + count);
  pthread_mutex_unlock (&w->lock);
  return !cuts ? 0 :
    error_set (error, VMDK_ERROR_UNSUPPORTED, ENOTSUP,
               "a grain would have to be compressed again");
}

/* Mark the sectors whose ends lie in a range of the grain as written: what is
 * written in order, in pieces of any size, is complete with the last one.
 */
static void
mark_written (struct held *h, size_t offset, size_t count)
{
  const size_t end = (offset + count) / SECTOR_SIZE;
  size_t i;

  for (i = offset / SECTOR_SIZE; i < end; ++i)
    h->written[i / 64] |= UINT64_C (1) << i % 64;
}

/* Get memory for a raw grain, or a slot, or neither with *error set. */
static void
take_raw (struct stream_writer *w, uint8_t **data, uint32_t *slot,
          struct vmdk_error *error)
{
  *data = NULL;
  *slot = SPILL_NO_SLOT;
  pthread_mutex_lock (&w->lock);
  if (w->room >= STREAM_GRAIN_SIZE) {
    *data = malloc (STREAM_GRAIN_SIZE);
    if (*data)
      w->room -= STREAM_GRAIN_SIZE;
  }
  if (!*data)
    *slot = spill_take (&w->spill, error);
  pthread_mutex_unlock (&w->lock);
}

/* Give a busy grain raw content: STREAM_GRAIN_SIZE bytes at 'raw', or zeroes
 * if that is NULL.
 */
static int
set_raw (struct stream_writer *w, struct held *h, const void *raw,
         struct deflater *deflater, struct vmdk_error *error)
{
  uint8_t *data;
  uint32_t slot;

  take_raw (w, &data, &slot, error);
  if (!data && slot == SPILL_NO_SLOT)
    return -1;
  if (!raw) {
    /* NOLINTNEXTLINE(clang-analyzer-*): a deflater has its input */
    memset (deflater->input, 0, STREAM_GRAIN_SIZE);
    raw = deflater->input;
  }
  if (data)
    memcpy (data, raw, STREAM_GRAIN_SIZE);
  else if (spill_pwrite (&w->spill, slot, raw, STREAM_GRAIN_SIZE, 0,
                         error) == -1) {
    pthread_mutex_lock (&w->lock);
    spill_give (&w->spill, slot);
    pthread_mutex_unlock (&w->lock);
    return -1;
  }
  pthread_mutex_lock (&w->lock);
  stream_writer_forget (w, h);
  pthread_mutex_unlock (&w->lock);
  h->form = HELD_RAW;
  h->data = data;
  h->slot = slot;
  return 0;
}

/* Make a busy grain a raw one, with the content that it has. */
static int
make_raw (struct stream_writer *w, struct held *h,
          struct deflater *deflater, struct vmdk_error *error)
{
  const struct piece all = { h->grain, 0, STREAM_GRAIN_SIZE };
  const uint64_t rest = w->size - h->grain * STREAM_GRAIN_SIZE;
  struct stream_output *output;
  uint32_t place;
  int r;

  if (h->form == HELD_RAW)
    return 0;
  pthread_mutex_lock (&w->lock);
  place = grain_map_place (&w->map, h->grain);
  output = &w->outputs[w->current];
  pthread_mutex_unlock (&w->lock);

  if (h->form == HELD_NOTHING && place < STREAM_FIRST_PLACE) {
    h->form = HELD_RAW;
    h->written[0] = h->written[1] = 0;
    if (rest < STREAM_GRAIN_SIZE)
      mark_written (h, rest, STREAM_GRAIN_SIZE - rest);
    return 0;
  }
  r = h->form == HELD_PACKED ?
    read_held (w, h, &all, deflater->input, error) :
    read_placed (w, output, place, &all, deflater->input, error);
  if (r == -1 || set_raw (w, h, deflater->input, deflater, error) == -1)
    return -1;
  h->written[0] = h->written[1] = UINT64_MAX;
  return 0;
}

/* Change a part of a busy grain that is raw. */
static int
change_raw (struct stream_writer *w, struct held *h, const struct piece *p,
            const void *buf, struct deflater *deflater,
            struct vmdk_error *error)
{
  const bool is_empty = !h->data && h->slot == SPILL_NO_SLOT;

  if (is_empty) {
    if (!buf)
      return 0;
    if (set_raw (w, h, NULL, deflater, error) == -1)
      return -1;
  }
  if (h->data) {
    if (buf)
      memcpy (h->data + p->offset, buf, p->count);
    else
      memset (h->data + p->offset, 0, p->count);
    return 0;
  }
  if (!buf) {
    memset (deflater->input, 0, p->count);
    buf = deflater->input;
  }
  return spill_pwrite (&w->spill, h->slot, buf, p->count, p->offset, error);
}

/* A busy grain has just become complete. */
static int
keep_complete (struct stream_writer *w, struct held *h,
               struct deflater *deflater, struct vmdk_error *error)
{
  const uint8_t *packed;
  size_t size;
  int r = stream_writer_pack_held (w, h, deflater, &packed, &size, error);

  if (r == -1)
    return -1;
  pthread_mutex_lock (&w->lock);
  if (size == 0)
    stream_writer_clear (w, h);
  else
    r = stream_writer_keep (w, h, packed, size, error);
  pthread_mutex_unlock (&w->lock);
  return r;
}

/* Write a part of a busy grain.  'buf' is NULL for zeroes. */
static int
write_part (struct stream_writer *w, struct held *h, const struct piece *p,
            const void *buf, struct vmdk_error *error)
{
  struct deflater *deflater = deflater_get (w->deflaters, error);
  bool was_complete;
  int r;

  if (!deflater)
    return -1;
  r = make_raw (w, h, deflater, error);
  was_complete = stream_writer_is_complete (h);
  if (r == 0)
    r = change_raw (w, h, p, buf, deflater, error);
  if (r == 0) {
    pthread_mutex_lock (&w->lock);
    w->disordered |= h->grain < w->frontier;
    pthread_mutex_unlock (&w->lock);
    mark_written (h, p->offset, p->count);
    if (!was_complete && stream_writer_is_complete (h))
      r = keep_complete (w, h, deflater, error);
  }
  deflater_put (w->deflaters, deflater);
  return r;
}

/* Write all of a busy grain. */
static int
write_whole (struct stream_writer *w, struct held *h, const void *buf,
             struct vmdk_error *error)
{
  struct deflater *deflater = deflater_get (w->deflaters, error);
  size_t size;
  int r;

  if (!deflater)
    return -1;
  size = stream_pack (deflater, h->grain, buf);
  pthread_mutex_lock (&w->lock);
  r = stream_writer_keep (w, h, deflater->output, size, error);
  pthread_mutex_unlock (&w->lock);
  deflater_put (w->deflaters, deflater);
  return r;
}

/* 'buf' is NULL for zeroes. */
static int
write_grain (struct stream_writer *w, const struct piece *p, const void *buf,
             struct vmdk_error *error)
{
  const uint64_t rest = w->size - p->grain * STREAM_GRAIN_SIZE;
  const bool is_all = p->offset == 0 &&
    p->count == min_u64 (rest, STREAM_GRAIN_SIZE);
  struct held *h;
  int r = 0;

  if (buf && is_zero (buf, p->count))
    buf = NULL;
  pthread_mutex_lock (&w->lock);
  stream_writer_touch (w, p->grain);
  h = stream_writer_acquire (w, p->grain, error);
  if (!h)
    r = -1;
  else if (is_all && !buf)
    stream_writer_clear (w, h);
  else {
    pthread_mutex_unlock (&w->lock);
    /* The last grain may have to be filled up. */
    if (p->count == STREAM_GRAIN_SIZE)
      r = write_whole (w, h, buf, error);
    else
      r = write_part (w, h, p, buf, error);
    pthread_mutex_lock (&w->lock);
  }
  if (h)
    stream_writer_release (w, h);
  if (r == 0)
    r = stream_writer_append (w, error);
  pthread_mutex_unlock (&w->lock);
  return r;
}

/* Make zeroes of whole tables without data.  Returns how many bytes. */
static uint64_t
zero_tables (struct stream_writer *w, uint64_t offset, uint64_t count)
{
  const uint64_t size = STREAM_TABLE_GRAINS * STREAM_GRAIN_SIZE;
  uint64_t done = 0;

  if (offset % size != 0)
    return 0;
  pthread_mutex_lock (&w->lock);
  while (count - done >= size) {
    const uint64_t table = (offset + done) / size;

    if (w->has_data ? !grain_map_zero_table (&w->map, table) :
        grain_map_places (&w->map, table) != NULL)
      break;
    stream_writer_touch (w, table * STREAM_TABLE_GRAINS);
    done += size;
  }
  pthread_mutex_unlock (&w->lock);
  return done;
}

/* A write is owed if it has failed. */
static void
end_write (struct stream_writer *w, uint64_t count, uint64_t offset, int r,
           const struct vmdk_error *error)
{
  unsigned i = 0;

  pthread_mutex_lock (&w->lock);
  if (r == -1 && w->nr_owed < MAX_OWED) {
    if (w->nr_owed == 0 && !w->failed)
      w->failure = *error;
    w->owed[w->nr_owed++] = (struct owed) { offset, count };
  }
  if (r == -1 && (w->nr_owed == MAX_OWED || error->err == EFBIG))
    (void) stream_writer_fail (w, error);
  while (r == 0 && i < w->nr_owed)
    if (w->owed[i].offset >= offset && w->owed[i].count <= count &&
        w->owed[i].offset - offset <= count - w->owed[i].count)
      w->owed[i] = w->owed[--w->nr_owed];
    else
      i++;
  pthread_mutex_unlock (&w->lock);
}

/* Both kinds of writes begin so. */
static int
begin_write (struct stream_writer *w, uint64_t count, uint64_t offset,
             bool is_data, struct vmdk_error *error)
{
  if (check_range (w, count, offset, error) == -1 ||
      stream_writer_check (w, error) == -1)
    return -1;
  pthread_mutex_lock (&w->lock);
  w->has_data |= is_data;
  pthread_mutex_unlock (&w->lock);
  return 0;
}

int
stream_writer_pwrite (struct stream_writer *w, const void *buf,
                      uint64_t count, uint64_t offset,
                      struct vmdk_error *error)
{
  const uint8_t *from = buf;
  uint64_t done = 0;
  struct piece p;
  int r = 0;

  if (begin_write (w, count, offset, true, error) == -1)
    return -1;
  for (; done < count && r == 0; done += p.count) {
    find_piece (offset + done, count - done, &p);
    r = write_grain (w, &p, from + done, error);
  }
  end_write (w, count, offset, r, error);
  return r;
}

int
stream_writer_zero (struct stream_writer *w, uint64_t count, uint64_t offset,
                    struct vmdk_error *error)
{
  uint64_t done = 0;
  struct piece p;
  int r = 0;

  if (begin_write (w, count, offset, false, error) == -1)
    return -1;
  while (done < count && r == 0) {
    const uint64_t n = zero_tables (w, offset + done, count - done);

    done += n;
    if (n == 0) {
      find_piece (offset + done, count - done, &p);
      r = write_grain (w, &p, NULL, error);
      done += p.count;
    }
  }
  end_write (w, count, offset, r, error);
  return r;
}
