/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* How an image is written: from the first change, which gives it a new content
 * ID, to the flush that makes the last one durable.
 */

#include <config.h>

#include <errno.h>

#include "alloc.h"
#include "content-id.h"
#include "progress.h"
#include "stream-image.h"
#include "writing.h"

/* So many seconds a flush waits for those who may still read what has been
 * freed: a client that reads a slow parent must not hold up the others.
 */
#define PATIENCE 3

/* And the first change, which cannot do without. */
#define START_PATIENCE 30

void
writing_init (struct vmdk_image *image)
{
  struct writing *w = &image->writing;

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

static int
check_failed (const struct vmdk_image *image, struct vmdk_error *error)
{
  const struct writing *w = &image->writing;

  if (!atomic_load (&w->failed))
    return 0;
  *error = w->failure;
  return -1;
}

/* Nothing is changed from now on: the image 'is_not_written' any more, and that
 * for a 'reason'.
 */
static int
fail (struct vmdk_image *image, enum vmdk_error_kind kind, int err,
      const char *is_not_written, const struct vmdk_error *reason)
{
  struct writing *w = &image->writing;
  struct vmdk_error failure;

  error_set (&failure, kind, err, "%s: %s: %s", image_top_link (image)->name,
             is_not_written, reason->message);
  pthread_mutex_lock (&w->flush_lock);
  if (!atomic_load (&w->failed)) {
    w->failure = failure;
    atomic_store (&w->failed, true);
  }
  pthread_mutex_unlock (&w->flush_lock);
  return -1;
}

/* What was acknowledged may be lost, and nothing must be built on it. */
static int
fail_publishing (struct vmdk_image *image, const struct vmdk_error *reason)
{
  return fail (image, VMDK_ERROR_IO, EIO,
               "is not written any more, because data may have been lost",
               reason);
}

/* Is that all that is wrong: the file system has no room, or the server no
 * memory?
 */
static bool
is_short (const struct vmdk_error *error)
{
  return error->err == ENOMEM || error->err == ENOSPC || error->err == EDQUOT;
}

/* Check an extent and put it right.  What has failed once is not tried again,
 * unless something was short: after a failed sync, whatever the reason for that,
 * the second attempt would find all in order in the page cache.
 */
static int
begin_extent (struct vmdk_image *image, struct extent *e, bool *reread,
              struct vmdk_error *error)
{
  if (alloc_begin (e->alloc, reread, error) == 0)
    return 0;
  if (!atomic_load (&((const struct grains *) e)->io->sync_failed) &&
      (is_short (error) || error->kind == VMDK_ERROR_INTERRUPTED))
    return -1;
  return fail (image, error->kind, error->err,
               "is not written any more, because it could not be made ready "
               "for the first change", error);
}

/* Put right what is not in order, and can be.  No extent may take long, and
 * all together still do.
 */
static int
begin_extents (struct vmdk_image *image, struct progress *progress,
               struct vmdk_error *error)
{
  const struct link *link = image_top_link (image);
  bool reread = false;
  size_t i;
  int r = 0;

  for (i = 0; i < link->nr_extents && r == 0; ++i) {
    struct extent *e = link->extents[i];

    if (e->alloc && (progress_at (progress, i, error) == -1 ||
                     begin_extent (image, e, &reread, error) == -1))
      r = -1;
  }
  if (reread)
    atomic_store (&image->writing.is_read, true);
  return r;
}

/* Can another program have changed a file though it is locked for reading,
 * at least, until the image is closed?
 */
static bool
has_unlocked_file (const struct link *link)
{
  size_t i;

  for (i = 0; i < link->nr_files; ++i)
    if (link->files[i]->without_locks)
      return true;
  return false;
}

/* Others may write such a file while it is open, and leave it without a sync,
 * as they may have before.
 */
static void
inherit_files (struct link *link)
{
  size_t i;

  for (i = 0; i < link->nr_files; ++i)
    if (link->files[i]->without_locks && link->files[i]->writable)
      atomic_store (&link->files[i]->inherited, true);
}

/* Look at all extents, so that an image of which a part cannot be put right
 * is not changed at all.  That takes a while, so it is done once, if nobody
 * else can have changed the files since.
 */
static int
check_tables (struct vmdk_image *image, struct vmdk_error *error)
{
  struct writing *w = &image->writing;
  int r;

  if (!w->checked) {
    r = writing_check_tables (image, error);
    w->refused = r == -1;
    w->checked = r == 0 || error->kind == VMDK_ERROR_CORRUPT ||
      error->kind == VMDK_ERROR_UNSUPPORTED;
    if (r == -1)
      w->refusal = *error;
    if (has_unlocked_file (image_top_link (image)))
      w->checked = false;
    return r;
  }
  if (w->refused)
    *error = w->refusal;
  return w->refused ? -1 : 0;
}

int
vmdk_begin_writing (struct vmdk_image *image, struct vmdk_error *error)
{
  struct writing *w = &image->writing;
  struct vmdk_error ignored;

  if (image->stream)
    return stream_image_begin_writing (image, error);
  if (atomic_load (&w->begun))
    return 0;
  if (check_failed (image, error) == -1 ||
      writing_check_image (image, error) == -1 ||
      lock_files (image_top_link (image), IO_LOCK_WRITE, error) == -1)
    return -1;
  if ((w->checked || writing_tables_are_urgent (image)) &&
      check_tables (image, error) == -1) {
    (void) lock_files (image_top_link (image), IO_LOCK_READ, &ignored);
    return -1;
  }
  inherit_files (image_top_link (image));
  atomic_store (&w->begun, true);
  return 0;
}

/* Before the first change, what others have written counts only: who gets ready
 * for that writes too, and must hear himself of a sync that fails.
 */
static int
sync_files (struct vmdk_image *image, bool started, struct vmdk_error *error)
{
  struct link *link = image_top_link (image);
  size_t i;

  for (i = 0; i < link->nr_files; ++i) {
    struct io *io = link->files[i];

    if (!io->writable)
      continue;
    logger_trace (&image->logger, VMDK_TRACE_FLUSH, "%s: %s", io->name,
                  atomic_load (&io->inherited) ||
                  (started && atomic_load (&io->unsynced)) ?
                  "syncing" : "is in sync");
    if ((started ? io_sync (io, error) : io_sync_inherited (io, error)) == -1)
      return -1;
  }
  return 0;
}

/* Write the tables, behind what they point at.  *unfinished tells whether that
 * can be tried again, if it fails.
 */
static int
write_tables (struct vmdk_image *image, bool *wrote, bool *unfinished,
              struct vmdk_error *error)
{
  struct link *link = image_top_link (image);
  size_t i;
  int r = 0;

  for (i = 0; i < link->nr_extents && r == 0; ++i)
    if (link->extents[i]->alloc)
      r = alloc_collect (link->extents[i]->alloc, error);
  *unfinished = r == -1 && is_short (error);
  if (r == 0)
    r = sync_files (image, true, error);
  if (r == -1)
    return -1;
  for (i = 0; i < link->nr_extents && r == 0; ++i)
    if (link->extents[i]->alloc)
      r = alloc_write_tables (link->extents[i]->alloc, wrote, error);
  *unfinished = r == -1 && is_short (error);
  return r;
}

/* Make durable what has been collected: data first, then the tables that
 * point at them.
 */
static int
publish_collected (struct vmdk_image *image, struct vmdk_error *error)
{
  struct link *link = image_top_link (image);
  bool wrote = false, freed = false, left = false, unfinished, unused;
  size_t i;
  int r;

  r = write_tables (image, &wrote, &unfinished, error);
  atomic_store (&image->writing.unfinished, unfinished);
  if (unfinished)
    return -1;
  if (r == 0 && wrote)
    r = sync_files (image, true, error);
  for (i = 0; i < link->nr_extents && r == 0; ++i) {
    const struct alloc *a = link->extents[i]->alloc;

    freed |= a && alloc_has_freed (a);
    left |= a && alloc_has_left (a);
  }
  unused = (freed || left) &&
    epochs_wait (&image->epochs, freed ? PATIENCE : 0);
  if (freed || left)
    atomic_store (&image->writing.is_read, !unused);
  for (i = 0; i < link->nr_extents; ++i)
    if (link->extents[i]->alloc) {
      alloc_done (link->extents[i]->alloc, r == 0, unused);
      alloc_note_pending (link->extents[i]->alloc, &image->writing.pending);
    }
  return r;
}

/* Make durable what has been written. */
static int
publish_changes (struct vmdk_image *image, struct vmdk_error *error)
{
  /* What was collected when the last flush failed goes first, and alone. */
  if (atomic_load (&image->writing.unfinished) &&
      publish_collected (image, error) == -1)
    return -1;
  return publish_collected (image, error);
}

/* A client does not know that another server has written what it flushes: that
 * may have been killed, and the client have come back to this one.  What that
 * had not written to the files is lost, like what it had not flushed in a crash
 * of the machine.
 */
static int
publish (struct vmdk_image *image, struct vmdk_error *error)
{
  struct writing *w = &image->writing;
  int r = 0;

  /* What is flushed lies on what the parents hold: somebody may have written
   * that shortly before.
   */
  if (!w->parents_synced)
    r = chain_sync_inherited (&image->chain, 1, error);
  w->parents_synced = true;
  if (r == 0)
    r = atomic_load (&w->started) ? publish_changes (image, error) :
      sync_files (image, false, error);
  if (r == -1 && !atomic_load (&w->unfinished))
    return fail_publishing (image, error);
  return r;
}

/* Wait until no other thread flushes, and do not let any begin. */
static void
take_turn (struct writing *w)
{
  pthread_mutex_lock (&w->flush_lock);
  while (w->flushing)
    pthread_cond_wait (&w->flushed, &w->flush_lock);
  w->flushing = true;
  pthread_mutex_unlock (&w->flush_lock);
}

/* Locked. */
static void
end_turn (struct writing *w)
{
  w->flushing = false;
  pthread_cond_broadcast (&w->flushed);
}

int
writing_flush (struct vmdk_image *image, struct vmdk_error *error)
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
    /* Who has ended writing meanwhile has flushed. */
    if (r == 0 && atomic_load (&w->begun))
      r = publish (image, error);
    pthread_mutex_lock (&w->flush_lock);
    /* Who waits for one that has failed has to try himself. */
    if (r == 0)
      w->flushes_ended = number;
    end_turn (w);
    pthread_mutex_unlock (&w->flush_lock);
    return r;
  }
  pthread_mutex_unlock (&w->flush_lock);
  return check_failed (image, error);
}

int
vmdk_flush (struct vmdk_image *image, struct vmdk_error *error)
{
  if (image->stream)
    return stream_writer_flush (image->stream, error);
  return atomic_load (&image->writing.begun) ?
    writing_flush (image, error) : check_failed (image, error);
}

int
vmdk_end_writing (struct vmdk_image *image, struct vmdk_error *error)
{
  struct writing *w = &image->writing;
  struct link *link = image_top_link (image);
  struct vmdk_error ignored;
  size_t i;
  int r;

  if (image->stream)
    return stream_image_end_writing (image, error);
  if (!atomic_load (&w->begun))
    return check_failed (image, error);
  r = atomic_load (&w->started) ?
    writing_flush (image, error) : check_failed (image, error);
  /* One who only reads may flush too. */
  take_turn (w);
  /* Meanwhile it may have succeeded, or failed. */
  if (!atomic_load (&w->unfinished))
    r = check_failed (image, error);
  for (i = 0; i < link->nr_extents && r == 0; ++i)
    if (link->extents[i]->alloc)
      r = alloc_end (link->extents[i]->alloc, error);
  /* Nobody may come who tries again; or all that was acknowledged is on the
   * disk, but not that the file has been closed cleanly, or that cannot be known.
   */
  if (r == -1 && !atomic_load (&w->failed)) {
    (void) (atomic_load (&w->unfinished) ? fail_publishing (image, error) :
            fail (image, VMDK_ERROR_IO, EIO,
                  "is not written any more, because it could not be closed "
                  "cleanly", error));
    (void) check_failed (image, error);
  }
  if (atomic_exchange (&w->started, false))
    atomic_fetch_sub (&image->memory->nr_changed, 1);
  atomic_store (&w->begun, false);
  (void) lock_files (link, IO_LOCK_READ, &ignored);
  pthread_mutex_lock (&w->flush_lock);
  end_turn (w);
  pthread_mutex_unlock (&w->flush_lock);
  return r;
}

/* See to it that no changed data can be on the disk with the old content
 * ID.
 */
static int
change_content_id (struct vmdk_image *image, struct vmdk_error *error)
{
  bool unsure;
  const int r = content_id_change (image_top_link (image), &unsure, error);

  if (r == -1 && unsure)
    (void) fail_publishing (image, error);
  return r;
}

bool
vmdk_has_failed (const struct vmdk_image *image)
{
  return atomic_load (&image->writing.failed);
}

bool
writing_has_much_pending (struct vmdk_image *image)
{
  const struct vmdk_memory *memory = image->memory;
  const unsigned nr = atomic_load (&memory->nr_changed);

  return atomic_load (&image->writing.pending) >
    memory->max_pending / (nr > 0 ? nr : 1);
}

int
writing_check_change (struct vmdk_image *image, uint64_t count,
                      uint64_t offset, struct vmdk_error *error)
{
  if (image_check_range (image, count, offset, error) == -1)
    return -1;
  if (!atomic_load (&image->writing.begun))
    return error_set (error, VMDK_ERROR_INVALID, EROFS,
                      "%s: has not been opened for writing",
                      image_top_link (image)->name);
  /* Changes that cannot be published take memory. */
  if (atomic_load (&image->writing.unfinished) &&
      writing_has_much_pending (image) && writing_flush (image, error) == -1)
    return -1;
  return check_failed (image, error);
}

/* Make durable what is found in the descriptor and in the tables: a writer that
 * was killed, or had to give up, may have written them without a sync.  What
 * they do not name any more, the disk might still, and so must not be given
 * away before.  While a flush does the same it is waited for.
 */
static int
sync_metadata (struct vmdk_image *image, struct progress *progress,
               struct vmdk_error *error)
{
  struct writing *w = &image->writing;
  const struct link *link = image_top_link (image);
  int r, interrupted = 0;
  size_t i;

  take_turn (w);
  r = check_failed (image, error);
  if (r == 0 && link->descriptor_room > 0)
    r = io_sync_inherited (link->files[0], error);
  for (i = 0; i < link->nr_extents && r == 0; ++i) {
    const struct extent *e = link->extents[i];

    /* Only extents with grains have an allocator. */
    if (!e->alloc)
      continue;
    interrupted = progress_at (progress, i, error);
    if (interrupted == -1)
      break;
    r = io_sync_inherited (((const struct grains *) e)->io, error);
  }
  if (r == -1)
    (void) fail_publishing (image, error);
  pthread_mutex_lock (&w->flush_lock);
  end_turn (w);
  pthread_mutex_unlock (&w->flush_lock);
  return r == -1 ? -1 : interrupted;
}

static int
say_still_read (struct vmdk_image *image, struct vmdk_error *error)
{
  return error_set (error, VMDK_ERROR_BUSY, EBUSY,
                    "%s: a read that began before the last writer had gone, "
                    "or before the tables were put right, has not ended",
                    image_top_link (image)->name);
}

/* What the last writer freed, and somebody was still reading when it had gone,
 * must not be given away when the tables tell that it is not in use; nor what
 * somebody found in tables that are not the same any more.
 */
static int
wait_for_readers (struct vmdk_image *image, struct progress *progress,
                  struct vmdk_error *error)
{
  struct writing *w = &image->writing;
  unsigned seconds;

  for (seconds = 0; atomic_load (&w->is_read); ++seconds) {
    if (epochs_wait (&image->epochs, 1))
      atomic_store (&w->is_read, false);
    else if (progress_at (progress, 0, error) == -1)
      return -1;
    else if (seconds == START_PATIENCE) {
      atomic_fetch_add (&w->nr_given_up, 1);
      return say_still_read (image, error);
    }
  }
  return 0;
}

/* Locked. */
static int
start (struct vmdk_image *image, struct progress *progress,
       struct vmdk_error *error)
{
  /* Who has waited does not try again what another has not been able to do, or
   * has been interrupted in.  After a failed sync it would even succeed.
   */
  if (check_failed (image, error) == -1 ||
      wait_for_readers (image, progress, error) == -1 ||
      progress_at (progress, 0, error) == -1 ||
      sync_metadata (image, progress, error) == -1 ||
      check_tables (image, error) == -1 ||
      begin_extents (image, progress, error) == -1 ||
      wait_for_readers (image, progress, error) == -1 ||
      change_content_id (image, error) == -1)
    return -1;
  atomic_fetch_add (&image->memory->nr_changed, 1);
  atomic_store (&image->writing.started, true);
  return 0;
}

int
writing_start (struct vmdk_image *image, struct vmdk_error *error)
{
  struct writing *w = &image->writing;
  const unsigned nr_given_up = atomic_load (&w->nr_given_up);
  struct progress progress;
  int r = 0;

  if (atomic_load (&w->started))
    return 0;
  progress_begin (&progress, &image->logger, image_top_link (image)->name,
                  "getting ready for the first change", 0);
  pthread_mutex_lock (&w->start_lock);
  /* Who has waited for one that has waited in vain does not wait anew. */
  if (!atomic_load (&w->started))
    r = nr_given_up != atomic_load (&w->nr_given_up) ?
      say_still_read (image, error) : start (image, &progress, error);
  pthread_mutex_unlock (&w->start_lock);
  return r;
}
