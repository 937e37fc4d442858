/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The inside of an image. */

#ifndef VMDK_IMAGE_H
#define VMDK_IMAGE_H

#include "chain.h"
#include "epochs.h"
#include "memory.h"

/* How an image is being written. */
struct writing {
  atomic_bool begun;            /* by vmdk_begin_writing */

  /* What is known of the tables, since they were looked at: why they must
   * not be changed, or that they may.
   */
  bool checked, refused;
  struct vmdk_error refusal;

  atomic_size_t pending;        /* bytes that changes take that have not been
                                   published */

  atomic_bool is_read;          /* perhaps, what has been freed, or is not in
                                   the tables any more */

  /* Of the first change, which gives the link a new content ID. */
  pthread_mutex_t start_lock;
  atomic_bool started;
  atomic_uint nr_given_up;      /* tries that have waited for readers in vain */

  /* Flushes are numbered: those that were asked for while one was running
   * are all served by the next, unless it fails.
   */
  pthread_mutex_t flush_lock;
  pthread_cond_t flushed;
  bool flushing;
  uint64_t flushes_begun, flushes_ended;
  bool parents_synced;          /* while flushing */
  atomic_bool unfinished;       /* the last flush found no room or memory */

  /* Once set, nothing is changed any more. */
  atomic_bool failed;
  struct vmdk_error failure;
};

struct vmdk_image {
  struct chain chain;
  struct path_policy policy;    /* of parents */
  struct path_policy top_policy; /* a copy that may also write */
  struct extent_env env;
  struct inflater_user inflating;
  struct logger logger;
  struct vmdk_memory *memory;   /* NULL: a stream that is made has its own */
  bool owns_memory;
  struct epochs epochs;
  struct writing writing;

  /* A stream that is being written, or was: it is then all that there is,
   * and there are no links.  NULL otherwise.
   */
  struct stream_writer *stream;
};

/* The link that the user named, the only one that is ever written. */
static inline struct link *
image_top_link (const struct vmdk_image *image)
{
  return image->chain.links[0];
}

/* vmdk_open, with a hook that outlives the image, or NULL. */
extern struct vmdk_image *image_open (const char *path,
                                      const struct vmdk_options *options,
                                      const struct io_hook *hook,
                                      struct vmdk_error *error);

/* The same for a disk that is named so in the folder 'dir', or with is_entry has
 * just this name there.  That is not the user's word: the confinement rule
 * applies to it.
 */
extern struct vmdk_image *image_open_in (int dir, const char *name,
                                         bool is_entry,
                                         const struct vmdk_options *options,
                                         struct vmdk_error *error);

/* Is the range not empty and inside the disk? */
extern int image_check_range (const struct vmdk_image *image, uint64_t count,
                              uint64_t offset, struct vmdk_error *error);

/* The extent of the link that holds the byte at 'offset'. */
extern struct extent *image_find_extent (const struct link *link,
                                         uint64_t offset);

/* Read what the chain has from its link number 'first' on; what lies
 * behind the end of that is zeroes.
 */
extern int image_read_below (struct vmdk_image *image, size_t first,
                             void *buf, uint64_t count, uint64_t offset,
                             struct vmdk_error *error);

/* How many bytes of the same are zeroes, from 'offset' on; fewer if it would
 * take long to find out.
 */
extern int image_count_zeroes (struct vmdk_image *image, size_t first,
                               uint64_t count, uint64_t offset,
                               uint64_t *zeroes, struct vmdk_error *error);

/* Of writing.c. */
extern void writing_init (struct vmdk_image *image);
extern void writing_destroy (struct vmdk_image *image);

/* Lock the files of all links against writers in other programs. */
extern int writing_lock_for_reading (struct vmdk_image *image,
                                     struct vmdk_error *error);

#endif /* VMDK_IMAGE_H */
