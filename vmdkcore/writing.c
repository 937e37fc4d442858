/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The public calls that change an image. */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "alloc.h"
#include "bytes.h"
#include "descriptor.h"
#include "descriptor-edit.h"
#include "image.h"

/* An extent's changes may always take this much memory. */
#define MIN_PENDING (64 * 1024)

void
writing_init (struct vmdk_image *image, uint64_t memory)
{
  struct writing *w = &image->writing;

  if (memory == 0)
    memory = VMDK_CACHE_DEFAULT;
  w->max_pending = (size_t) (memory / 16);
  pthread_mutex_init (&w->start_lock, NULL);
  pthread_mutex_init (&w->flush_lock, NULL);
  pthread_cond_init (&w->flushed, NULL);
}

void
writing_destroy (struct vmdk_image *image)
{
  struct writing *w = &image->writing;

  pthread_cond_destroy (&w->flushed);
  pthread_mutex_destroy (&w->flush_lock);
  pthread_mutex_destroy (&w->start_lock);
}

static struct link *
top_link (const struct vmdk_image *image)
{
  return image->chain.links[0];
}

/* Change the lock on the first 'nr' files of a link, or of none. */
static int
lock_files (struct link *link, enum io_lock lock, struct vmdk_error *error)
{
  struct vmdk_error ignored;
  size_t i;

  for (i = 0; i < link->nr_files; ++i)
    if (io_lock (link->files[i], lock, error) == -1) {
      while (i-- > 0)
        (void) io_lock (link->files[i], IO_LOCK_READ, &ignored);
      return -1;
    }
  return 0;
}

int
writing_lock_for_reading (struct vmdk_image *image, struct vmdk_error *error)
{
  size_t i;

  for (i = 0; i < image->chain.nr; ++i)
    if (lock_files (image->chain.links[i], IO_LOCK_READ, error) == -1)
      return -1;
  return 0;
}

static bool
same_file (const struct io *a, const struct io *b)
{
  return a->dev == b->dev && a->ino == b->ino && a->ino != 0;
}

/* Is a file of the link the same as another one of it, or of a parent? */
static const struct io *
find_shared_file (const struct vmdk_image *image)
{
  const struct link *top = top_link (image);
  size_t i, j, k;

  for (i = 0; i < top->nr_files; ++i) {
    if (i > 0 && same_file (top->files[0], top->files[i]))
      return top->files[i];
    for (j = 1; j < image->chain.nr; ++j)
      for (k = 0; k < image->chain.links[j]->nr_files; ++k)
        if (same_file (top->files[i], image->chain.links[j]->files[k]))
          return top->files[i];
  }
  return NULL;
}

/* Find a reason not to change the image that does not depend on others. */
static int
check_writable (const struct vmdk_image *image, struct vmdk_error *error)
{
  const struct link *link = top_link (image);
  const struct io *shared;
  size_t i;

  if (image->chain.cut)
    return error_set (error, VMDK_ERROR_UNSUPPORTED, EROFS,
                      "%s: is read-only because it is opened without its "
                      "parent", link->name);
  if (link->is_bare && image->chain.nr == 1)
    return error_set (error, VMDK_ERROR_UNSUPPORTED, EROFS,
                      "%s: is read-only because it is opened without its "
                      "descriptor", link->name);
  if (link->read_only_line != 0)
    return error_set (error, VMDK_ERROR_UNSUPPORTED, EROFS,
                      "%s: is read-only because line %u of the descriptor is "
                      "RDONLY", link->name, link->read_only_line);
  for (i = 0; i < link->nr_extents; ++i)
    if (link->extents[i]->read_only)
      return error_set (error, VMDK_ERROR_UNSUPPORTED, EROFS,
                        "%s: is read-only: %s", link->name,
                        link->extents[i]->read_only);
  for (i = 0; i < link->nr_files; ++i)
    if (!link->files[i]->writable)
      return error_set (error, VMDK_ERROR_UNSUPPORTED, EROFS,
                        "%s: is read-only because writing to %s is not "
                        "permitted", link->name, link->files[i]->name);
  shared = find_shared_file (image);
  if (shared)
    return error_set (error, VMDK_ERROR_CORRUPT, EROFS,
                      "%s: is read-only because %s has more than one part in "
                      "it", link->name, shared->name);
  return 0;
}

static int
check_failed (struct vmdk_image *image, struct vmdk_error *error)
{
  struct writing *w = &image->writing;

  if (!atomic_load (&w->failed))
    return 0;
  *error = w->failure;
  return -1;
}

/* Nothing is changed from now on. */
static int
fail (struct vmdk_image *image, const struct vmdk_error *reason)
{
  struct writing *w = &image->writing;

  pthread_mutex_lock (&w->flush_lock);
  if (!atomic_load (&w->failed)) {
    w->failure = *reason;
    atomic_store (&w->failed, true);
  }
  pthread_mutex_unlock (&w->flush_lock);
  return -1;
}

/* What was acknowledged may be lost, and nothing must be built on it. */
static int
fail_publishing (struct vmdk_image *image, const struct vmdk_error *reason)
{
  struct vmdk_error failure;

  error_set (&failure, VMDK_ERROR_IO, EIO,
             "%s: is not written any more, because data may have been lost: "
             "%s", top_link (image)->name, reason->message);
  return fail (image, &failure);
}

/* Check an extent and put it right.  What has failed once is not tried
 * again: after a failed sync the second attempt would find all in order in
 * the page cache.
 */
static int
begin_extent (struct vmdk_image *image, struct alloc *a,
              struct vmdk_error *error)
{
  if (alloc_begin (a, error) == 0)
    return 0;
  return error->kind == VMDK_ERROR_NOMEM ? -1 : fail (image, error);
}

/* Put right what was not closed cleanly. */
static int
recover_extents (struct vmdk_image *image, struct vmdk_error *error)
{
  const struct link *link = top_link (image);
  size_t i;

  for (i = 0; i < link->nr_extents; ++i) {
    struct alloc *a = link->extents[i]->alloc;

    if (a && alloc_is_unclean (a) && begin_extent (image, a, error) == -1)
      return -1;
  }
  return 0;
}

/* Check all extents before the first change, so that an image that cannot
 * be put right is not changed at all.
 */
static int
begin_extents (struct vmdk_image *image, struct vmdk_error *error)
{
  const struct link *link = top_link (image);
  size_t i;

  for (i = 0; i < link->nr_extents; ++i) {
    struct alloc *a = link->extents[i]->alloc;

    if (a && begin_extent (image, a, error) == -1)
      return -1;
  }
  return 0;
}

int
vmdk_begin_writing (struct vmdk_image *image, struct vmdk_error *error)
{
  struct writing *w = &image->writing;
  struct vmdk_error ignored;

  if (w->begun)
    return 0;
  if (check_failed (image, error) == -1 ||
      check_writable (image, error) == -1 ||
      lock_files (top_link (image), IO_LOCK_WRITE, error) == -1)
    return -1;
  if (recover_extents (image, error) == -1) {
    (void) lock_files (top_link (image), IO_LOCK_READ, &ignored);
    return -1;
  }
  w->begun = true;
  return 0;
}

static int
sync_files (struct link *link, struct vmdk_error *error)
{
  size_t i;
  int r = 0;

  for (i = 0; i < link->nr_files; ++i)
    if (link->files[i]->writable && r == 0)
      r = io_sync (link->files[i], error);
  return r;
}

/* Make durable what has been written: data first, then the tables that
 * point at them.
 */
static int
publish (struct vmdk_image *image, struct vmdk_error *error)
{
  struct link *link = top_link (image);
  bool wrote = false, freed = false;
  size_t i;
  int r = 0;

  for (i = 0; i < link->nr_extents && r == 0; ++i)
    if (link->extents[i]->alloc)
      r = alloc_collect (link->extents[i]->alloc, error);
  if (r == 0)
    r = sync_files (link, error);
  for (i = 0; i < link->nr_extents && r == 0; ++i)
    if (link->extents[i]->alloc)
      r = alloc_write_tables (link->extents[i]->alloc, &wrote, error);
  if (r == 0 && wrote)
    r = sync_files (link, error);
  for (i = 0; i < link->nr_extents && r == 0; ++i)
    freed |= link->extents[i]->alloc &&
      alloc_has_freed (link->extents[i]->alloc);
  if (freed)
    epochs_wait (&image->epochs);
  for (i = 0; i < link->nr_extents; ++i)
    if (link->extents[i]->alloc)
      alloc_done (link->extents[i]->alloc, r == 0);
  return r == 0 ? 0 : fail_publishing (image, error);
}

/* Not inside an epoch. */
static int
flush (struct vmdk_image *image, struct vmdk_error *error)
{
  struct writing *w = &image->writing;
  uint64_t wanted;
  int r = 0;

  pthread_mutex_lock (&w->flush_lock);
  wanted = w->flushes_begun + 1;
  while (w->flushing && w->flushes_ended < wanted)
    pthread_cond_wait (&w->flushed, &w->flush_lock);
  if (w->flushes_ended < wanted) {
    const uint64_t number = ++w->flushes_begun;

    w->flushing = true;
    pthread_mutex_unlock (&w->flush_lock);
    r = check_failed (image, error);
    if (r == 0)
      r = publish (image, error);
    pthread_mutex_lock (&w->flush_lock);
    w->flushing = false;
    w->flushes_ended = number;
    pthread_cond_broadcast (&w->flushed);
    pthread_mutex_unlock (&w->flush_lock);
    return r;
  }
  pthread_mutex_unlock (&w->flush_lock);
  return check_failed (image, error);
}

int
vmdk_flush (struct vmdk_image *image, struct vmdk_error *error)
{
  return image->writing.begun ? flush (image, error) :
    check_failed (image, error);
}

int
vmdk_end_writing (struct vmdk_image *image, struct vmdk_error *error)
{
  struct writing *w = &image->writing;
  struct link *link = top_link (image);
  struct vmdk_error ignored;
  size_t i;
  int r;

  if (!w->begun)
    return check_failed (image, error);
  r = flush (image, error);
  for (i = 0; i < link->nr_extents && r == 0; ++i)
    if (link->extents[i]->alloc)
      r = alloc_end (link->extents[i]->alloc, error);
  if (r == -1 && !atomic_load (&w->failed))
    (void) fail_publishing (image, error);
  atomic_store (&w->started, false);
  w->begun = false;
  (void) lock_files (link, IO_LOCK_READ, &ignored);
  return r;
}

/* Write those bytes of a text that are not the same as before. */
static int
write_difference (struct io *io, uint64_t offset, const char *old,
                  size_t old_len, const char *new, size_t new_len,
                  struct vmdk_error *error)
{
  const size_t common = (size_t) min_u64 (old_len, new_len);
  size_t first = 0, end = new_len;

  while (first < common && old[first] == new[first])
    first++;
  if (old_len == new_len)
    while (end > first && old[end - 1] == new[end - 1])
      end--;
  return end == first ? 0 :
    io_pwrite (io, new + first, end - first, offset + first, error);
}

static int
random_id (struct descriptor_change *change, const char *text, size_t len,
           struct vmdk_error *error)
{
  uint8_t *id = change->long_content_id;

  if (getrandom (id, sizeof change->long_content_id, 0) !=
      sizeof change->long_content_id)
    return error_sys (error, errno, "getrandom");
  change->cid = descriptor_fit_cid (text, len, load_le32 (id));
  id[12] = (uint8_t) (change->cid >> 24);
  id[13] = (uint8_t) (change->cid >> 16);
  id[14] = (uint8_t) (change->cid >> 8);
  id[15] = (uint8_t) change->cid;
  return 0;
}

/* Give the link a new content ID, and see to it that no changed data can be
 * on the disk with the old one, which snapshots would accept.
 */
static int
change_cid (struct vmdk_image *image, struct vmdk_error *error)
{
  struct link *link = top_link (image);
  struct io *io = link->files[0];
  const uint64_t offset = link->descriptor_offset;
  const size_t room =
    (size_t) min_u64 (link->descriptor_room, DESCRIPTOR_MAX_SIZE);
  const size_t len = (size_t) min_u64 (room, io->size - offset);
  struct descriptor_change change;
  char *text, *edited = NULL;
  size_t edited_len;
  int r = -1;

  if (room == 0)
    return 0;
  text = malloc (len);
  if (!text)
    return error_nomem (error);
  if (io_pread (io, text, len, offset, error) == 0 &&
      random_id (&change, text, len, error) == 0 &&
      descriptor_edit (text, len, room, &change, &edited, &edited_len,
                       error) == 0 &&
      write_difference (io, offset, text, len, edited, edited_len,
                        error) == 0) {
    link->cid = change.cid;
    /* Not io_sync, for which a sync of another thread that is still going
     * on would be enough.
     */
    r = io->ops->sync (io, error);
    if (r == -1)
      (void) fail_publishing (image, error);
  }
  else
    error_prefix (error, "%s", link->name);
  free (edited);
  free (text);
  return r;
}

/* Before each change. */
static int
start (struct vmdk_image *image, uint64_t count, uint64_t offset,
       struct vmdk_error *error)
{
  struct writing *w = &image->writing;
  int r = 0;

  if (image_check_range (image, count, offset, error) == -1)
    return -1;
  if (!w->begun)
    return error_set (error, VMDK_ERROR_INVALID, EROFS,
                      "%s: has not been opened for writing",
                      top_link (image)->name);
  if (check_failed (image, error) == -1)
    return -1;
  if (atomic_load (&w->started))
    return 0;
  pthread_mutex_lock (&w->start_lock);
  if (!atomic_load (&w->started)) {
    r = begin_extents (image, error);
    if (r == 0)
      r = change_cid (image, error);
    atomic_store (&w->started, r == 0);
  }
  pthread_mutex_unlock (&w->start_lock);
  return r;
}

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
  p->extent = image_find_extent (top_link (image), offset);
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
                        "a range that the descriptor calls ZERO can hold "
                        "nothing else");
    return 0;
  }
}

/* Publish what has been done if that was asked for, or if it takes too much
 * memory.
 */
static int
finish (struct vmdk_image *image, const struct extent *extent,
        unsigned flags, struct vmdk_error *error)
{
  const struct writing *w = &image->writing;
  const size_t max =
    (size_t) max_u64 (w->max_pending / top_link (image)->nr_extents,
                      MIN_PENDING);

  if (flags & VMDK_FUA ||
      (extent && extent->alloc && alloc_pending (extent->alloc) > max))
    return flush (image, error);
  return 0;
}

int
vmdk_pwrite (struct vmdk_image *image, const void *buf, size_t count,
             uint64_t offset, unsigned flags, struct vmdk_error *error)
{
  const uint8_t *data = buf;
  struct extent *last = NULL;
  uint64_t left = count, done;
  unsigned epoch;
  int r = 0;

  if (start (image, count, offset, error) == -1)
    return -1;
  epoch = epochs_enter (&image->epochs);
  while (left > 0 && r == 0) {
    struct piece p;

    find_piece (image, offset, left, &p);
    last = p.extent;
    r = write_piece (&p, data, &done, error);
    if (r == 0) {
      data += done;
      offset += done;
      left -= done;
    }
  }
  epochs_leave (&image->epochs, epoch);
  return r == 0 ? finish (image, last, flags, error) : -1;
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

/* Can all of the range be made zeroes without writing them?  Whether holes
 * can be made in files is seen when it is tried; that can only be taken
 * back if it is tried first.
 */
static int
check_fast (struct vmdk_image *image, uint64_t count, uint64_t offset,
            bool may_trim, struct vmdk_error *error)
{
  unsigned epoch = epochs_enter (&image->epochs);
  bool in_place = false, first = true;
  int r = 1;

  while (count > 0 && r == 1) {
    struct piece p;

    find_piece (image, offset, count, &p);
    if (p.extent->alloc)
      r = alloc_zero_is_fast (p.extent->alloc, &p.parents.below, may_trim,
                              p.count, p.offset, error);
    else {
      in_place = true;
      r = may_trim;
    }
    if (in_place && !first)
      r = 0;
    first = false;
    offset += p.count;
    count -= p.count;
  }
  epochs_leave (&image->epochs, epoch);
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
  struct extent *last = NULL;
  uint64_t done;
  unsigned epoch;
  int r = 0;

  if (start (image, count, offset, error) == -1 ||
      (fast && check_fast (image, count, offset, may_trim, error) == -1))
    return -1;
  while (count > 0 && r == 0) {
    struct piece p;

    find_piece (image, offset, count, &p);
    last = p.extent;
    epoch = epochs_enter (&image->epochs);
    r = p.extent->alloc ?
      alloc_zero (p.extent->alloc, &p.parents.below, may_trim, p.count,
                  p.offset, &done, error) :
      zero_in_place (&p, may_trim, fast, &done, error);
    epochs_leave (&image->epochs, epoch);
    if (r == 0) {
      offset += done;
      count -= done;
      r = finish (image, last, 0, error);
    }
  }
  return r == 0 ? finish (image, last, flags, error) : -1;
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
  struct extent *last = NULL;
  uint64_t done;
  unsigned epoch;
  int r = 0;

  if (start (image, count, offset, error) == -1)
    return -1;
  while (count > 0 && r == 0) {
    struct piece p;

    find_piece (image, offset, count, &p);
    last = p.extent;
    epoch = epochs_enter (&image->epochs);
    r = p.extent->alloc ?
      alloc_trim (p.extent->alloc, &p.parents.below, p.count, p.offset,
                  &done, error) :
      trim_in_place (&p, &done, error);
    epochs_leave (&image->epochs, epoch);
    if (r == 0) {
      offset += done;
      count -= done;
      r = finish (image, last, 0, error);
    }
  }
  return r == 0 ? finish (image, last, flags, error) : -1;
}
