/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Where the bytes of an image come from, and go to.
 *
 * Everything above this interface reads and writes through it, so that
 * an image can live in a file, on a device or in memory.
 */

#ifndef VMDK_IO_H
#define VMDK_IO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct io;

enum io_lock {
  IO_UNLOCKED,
  IO_LOCK_READ,                 /* others may read */
  IO_LOCK_WRITE                 /* nobody else may do anything */
};

struct io_ops {
  /* Read exactly 'count' bytes at 'offset' (bytes) or fail.  Reading
   * past the end of the backend fails with EIO.  Any thread.
   */
  int (*pread) (struct io *io, void *buf, size_t count, uint64_t offset,
                struct vmdk_error *error);

  /* Say whether the byte at 'offset' is stored, and put in *length for
   * how many of the next 'count' bytes (count > 0) that is so.  A
   * backend that does not know answers "stored", for all of them.
   * Any thread.
   */
  bool (*is_stored) (struct io *io, uint64_t offset, uint64_t count,
                     uint64_t *length);

  /* Hint that a range will be read soon.  Any thread. */
  void (*prefetch) (struct io *io, uint64_t offset, uint64_t count);

  /* Have what is read from now on come from the disk: after a sync that has
   * failed a cache may hold something else, and not know it any more.  What
   * has not been synced stays.  NULL if there is no cache.  Any thread.
   */
  void (*drop_cache) (struct io *io);

  /* The following are NULL in a backend that cannot be written, and called only
   * if 'writable' is set in the backend; but sync is there, and called, also if
   * 'inherited' is set.
   */

  /* Write exactly 'count' bytes at 'offset' (bytes) or fail; then some of
   * them may have been written.  Writing behind the end makes the backend
   * larger.  Any thread.
   */
  int (*pwrite) (struct io *io, const void *buf, size_t count,
                 uint64_t offset, struct vmdk_error *error);

  /* Make a range inside the backend read as zeroes, without storage.
   * Returns 1 if that is done, 0 if the backend cannot do it, which
   * changes nothing but that parts may be zeroes, -1 on failure.  Any thread.
   */
  int (*punch) (struct io *io, uint64_t offset, uint64_t count,
                struct vmdk_error *error);

  /* Can punch be expected to work?  NULL if that is only known when it is
   * tried.  Changes nothing.  Any thread.
   */
  bool (*can_punch) (struct io *io);

  /* Set the size to 'size' bytes.  What is added reads as zeroes, what is
   * cut off is gone.  Calls must not overlap.
   */
  int (*truncate) (struct io *io, uint64_t size, struct vmdk_error *error);

  /* Make durable all that has been written, by any thread, and the size.
   * Any thread.
   */
  int (*sync) (struct io *io, struct vmdk_error *error);

  /* Find a reason why the following one would fail, changing nothing.  NULL
   * if it is.
   */
  int (*check_replace) (struct io *io, struct vmdk_error *error);

  /* Make 'count' bytes at 'data' all that there is, durably, and so that
   * a power cut leaves all of the old or all of the new bytes.  The lock
   * is kept, 'dev' and 'ino' may change.  On failure the old bytes are
   * there, but *unsure tells whether it is not known which are after a
   * power cut.  NULL in a backend that cannot do it.  No other call that
   * changes something may be going on.
   */
  int (*replace) (struct io *io, const void *data, size_t count,
                  bool *unsure, struct vmdk_error *error);

  /* Take, change or drop the lock that keeps other programs from writing,
   * or from using, what the backend stands for.  Fails with EBUSY, and
   * leaves the lock as it was, if another program is in the way.  Also in
   * backends that cannot be written; NULL if there are no locks.
   */
  int (*lock) (struct io *io, enum io_lock lock, struct vmdk_error *error);

  /* Free what the backend holds, and 'io' itself. */
  void (*close) (struct io *io);
};

/* Backends embed this as their first member. */
struct io {
  const struct io_ops *ops;
  char *name;                   /* for messages */
  _Atomic uint64_t size;        /* bytes; grows if it is written */
  bool writable;                /* fixed when opened */
  atomic_bool unsynced;         /* set when a change has returned, cleared
                                   when a sync begins */
  atomic_bool inherited;        /* others may have written it before it was
                                   opened, without a sync since */
  atomic_bool sync_failed;      /* what was lost then is not known */
  bool without_locks;           /* set by lock: it had no effect */
  uint64_t dev, ino;            /* identity; both 0 if it has none */
  unsigned refs;                /* changed while opening, closing only */
};

/* Something between an image and its files, for tests: it is given each
 * backend when that has been opened and returns the one to use, which owns
 * the first, or NULL with *error set and the first closed.
 */
struct io_hook {
  struct io *(*wrap) (void *opaque, struct io *io,
                      struct vmdk_error *error);
  void *opaque;
};

/* Take over the open file descriptor 'fd' of a regular file or block
 * device, which can be written if 'writable' is set.  'name' is copied.
 * On failure returns NULL and closes fd.
 */
extern struct io *io_file_new (int fd, bool writable, const char *name,
                               struct vmdk_error *error);

/* The same, past the page cache (O_DIRECT).  Reads and writes of whole pages
 * are fastest.  Fails with VMDK_ERROR_UNSUPPORTED if the file system cannot.
 */
extern struct io *io_direct_new (int fd, bool writable, const char *name,
                                 struct vmdk_error *error);

/* Open what 'fd' stands for anew, with these flags and those that every file has
 * here.  Returns a file descriptor, or -1 with errno.
 */
extern int io_open_again (int fd, int flags);

/* fsync for the file 'fd', repeated if it was interrupted.  Returns 0, or -1
 * with errno.
 */
extern int io_fsync (int fd);

/* The same for a folder, so that the names in it are durable.  Some file
 * systems have no such call, and keep names in their own way: there that is
 * no failure.
 */
extern int io_fsync_folder (int fd);

/* A backend over 'size' bytes at 'data', which are borrowed until it
 * is closed.
 */
extern struct io *io_mem_new (const void *data, size_t size,
                              const char *name, struct vmdk_error *error);

static inline struct io *
io_ref (struct io *io)
{
  io->refs++;
  return io;
}

/* Drop a reference; the last one closes.  NULL is accepted. */
static inline void
io_unref (struct io *io)
{
  if (io && --io->refs == 0)
    io->ops->close (io);
}

/* The following call what struct io_ops describes.  Those that change something
 * note that a sync is needed, also if they fail: a part may have been done.
 */

static inline int
io_pread (struct io *io, void *buf, size_t count, uint64_t offset,
          struct vmdk_error *error)
{
  return io->ops->pread (io, buf, count, offset, error);
}

static inline int
io_pwrite (struct io *io, const void *buf, size_t count, uint64_t offset,
           struct vmdk_error *error)
{
  const int r = io->ops->pwrite (io, buf, count, offset, error);

  atomic_store (&io->unsynced, true);
  return r;
}

static inline int
io_punch (struct io *io, uint64_t offset, uint64_t count,
          struct vmdk_error *error)
{
  const int r = io->ops->punch (io, offset, count, error);

  atomic_store (&io->unsynced, true);
  return r;
}

static inline int
io_truncate (struct io *io, uint64_t size, struct vmdk_error *error)
{
  const int r = io->ops->truncate (io, size, error);

  atomic_store (&io->unsynced, true);
  return r;
}

/* Whatever was written before, by this server or another, is on the disk when
 * this returns.  None of the three succeeds once one has failed.
 */
extern int io_sync_now (struct io *io, struct vmdk_error *error);

/* Nothing happens if nothing has been written since the last one began, be that
 * of another thread and still going on.
 */
extern int io_sync (struct io *io, struct vmdk_error *error);

/* Make durable what others had written before the file was opened, unless a
 * sync has begun since.
 */
extern int io_sync_inherited (struct io *io, struct vmdk_error *error);

static inline void
io_drop_cache (struct io *io)
{
  if (io->ops->drop_cache)
    io->ops->drop_cache (io);
}

static inline bool
io_can_punch (struct io *io)
{
  return !io->ops->can_punch || io->ops->can_punch (io);
}

static inline int
io_lock (struct io *io, enum io_lock lock, struct vmdk_error *error)
{
  return io->ops->lock ? io->ops->lock (io, lock, error) : 0;
}

/* Remember that the backend reaches to 'end' now.  For backends. */
static inline void
io_grow_to (struct io *io, uint64_t end)
{
  uint64_t size = atomic_load (&io->size);

  while (size < end &&
         !atomic_compare_exchange_weak (&io->size, &size, end))
    ;
}

/* Write zeroes to a range inside the backend, which keeps its storage. */
extern int io_write_zeroes (struct io *io, uint64_t offset, uint64_t count,
                            struct vmdk_error *error);

static inline bool
io_is_stored (struct io *io, uint64_t offset, uint64_t count,
              uint64_t *length)
{
  return io->ops->is_stored (io, offset, count, length);
}

static inline void
io_prefetch (struct io *io, uint64_t offset, uint64_t count)
{
  io->ops->prefetch (io, offset, count);
}

#endif /* VMDK_IO_H */
