/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The inside of stream-write.h.
 *
 * 1. All grains below the frontier have been decided: each has its place in
 *    the file, or is known to be zeroes, or was given up as never written.
 *    Places in the file ascend, and what is there is never changed.
 * 2. One thread at a time appends to the file ('appending'): whoever ends
 *    the use of a grain appends as many as are ready.
 * 3. A grain is changed by the one thread that made it busy, without the
 *    lock.  Its old content stays until the new one is safe, so that
 *    a change that fails loses nothing.
 * 4. A grain below the frontier that is changed is held until the end, and
 *    the file is out of order ('disordered') from then on.
 */

#ifndef VMDK_STREAM_WRITER_H
#define VMDK_STREAM_WRITER_H

#include <pthread.h>
#include <string.h>

#include "cache.h"
#include "inflate.h"
#include "stream-grains.h"
#include "stream-write.h"

/* A write that has failed and was not repeated. */
struct owed {
  uint64_t offset, count;
};

#define MAX_OWED 64

struct stream_writer {
  pthread_mutex_t lock;         /* of all that follows but what is fixed */
  pthread_cond_t changed;       /* a grain is not busy any more, room has
                                   become free, or appending has ended */
  unsigned waiting;             /* for that */

  /* Fixed. */
  uint64_t size;                /* bytes */
  uint64_t nr_grains;
  char *descriptor;
  struct logger logger;
  const struct io_hook *hook;
  struct new_name name;
  struct deflaters *deflaters;
  struct inflaters *inflaters;
  struct inflater_user inflating; /* all of them */
  struct grain_cache *cache;
  struct deflater *own;         /* of the thread that appends */

  struct grain_map map;
  struct spill spill;
  uint64_t room;                /* bytes of content that may still be held in
                                   memory */
  uint64_t reserve;             /* of these, what packed grains leave to raw
                                   ones */
  unsigned nr_busy;             /* grains, and reads of the file */

  /* The file that is written.  Readers may use the first one until the
   * end, after a second was put together.
   */
  struct new_file files[2];
  struct stream_output outputs[2];
  unsigned current;

  bool appending;
  bool disordered;
  uint64_t frontier;            /* the first grain that is not decided */
  uint64_t give_up;             /* what is below is not waited for */

  /* The lowest grain of which anything was written, while the last whole
   * span of grains was completed, and since.
   */
  uint64_t completed;
  uint64_t lowest_before, lowest;

  bool has_data;                /* more was done than to make zeroes */
  bool finished, failed, said_failed;
  struct vmdk_error failure;    /* of what has failed first, or is owed */
  unsigned nr_owed;
  struct owed owed[MAX_OWED];
};

/* The lock is held by the caller of all that follows, and by nobody while
 * they do I/O, compress, or wait.
 */

/* Wait until something has changed, and say that it has. */
extern void stream_writer_wait (struct stream_writer *w);
extern void stream_writer_wake (struct stream_writer *w);

/* Make a grain busy, and not any more. */
extern struct held *stream_writer_acquire (struct stream_writer *w,
                                           uint64_t grain,
                                           struct vmdk_error *error);
extern void stream_writer_release (struct stream_writer *w, struct held *h);

/* Nothing can be written or finished any more.  Returns -1. */
extern int stream_writer_fail (struct stream_writer *w,
                               const struct vmdk_error *reason);

/* Free the content of a busy grain. */
extern void stream_writer_forget (struct stream_writer *w, struct held *h);

/* Inflate the packed grain at 'offset' of a backend, or at 'data' unless
 * that is NULL.  Without the lock.
 */
extern int stream_writer_unpack (struct stream_writer *w, struct io *io,
                                 uint64_t offset, const uint8_t *data,
                                 uint64_t grain, struct grain_room *room,
                                 struct vmdk_error *error);

/* Put 'size' bytes that stream_pack made for a busy grain where they belong
 * now: in the file, in memory, or in a slot.
 */
extern int stream_writer_keep (struct stream_writer *w, struct held *h,
                               const uint8_t *packed, size_t size,
                               struct vmdk_error *error);

/* The content of a busy grain is zeroes. */
extern void stream_writer_clear (struct stream_writer *w, struct held *h);

/* Has all of a held grain been written? */
extern bool stream_writer_is_complete (const struct held *h);

/* Get what a held grain that is complete, or given up, is in the file:
 * *size is 0 if it is zeroes.  *packed may be in the deflater.  Without the
 * lock, the grain being busy.
 */
extern int stream_writer_pack_held (struct stream_writer *w,
                                    const struct held *h,
                                    struct deflater *deflater,
                                    const uint8_t **packed, size_t *size,
                                    struct vmdk_error *error);

/* Append the open table, whose grains have all been decided.  Without the
 * lock, by the thread that appends.
 */
extern int stream_writer_append_table (struct stream_writer *w,
                                       struct vmdk_error *error);

/* Append all grains whose turn it is. */
extern int stream_writer_append (struct stream_writer *w,
                                 struct vmdk_error *error);

/* A grain is about to be written. */
extern void stream_writer_touch (struct stream_writer *w, uint64_t grain);

static inline bool
is_zero (const void *buf, size_t count)
{
  const uint8_t *p = buf;
  const size_t first = count < 16 ? count : 16;
  size_t i;

  for (i = 0; i < first; ++i)
    if (p[i] != 0)
      return false;
  return memcmp (p, p + first, count - first) == 0;
}

#endif /* VMDK_STREAM_WRITER_H */
