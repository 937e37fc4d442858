/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Making a streamOptimized image of writes in any order.
 *
 * Whole grains are compressed by the thread that writes them.  What comes in
 * order goes to its final place at once; what must wait for grains before it
 * is held in memory, and when that is used up in a temporary file.  A grain
 * that is changed after it was placed is held as well, and in the end the
 * file is then put together anew.  The file appears when that is done.
 */

#ifndef VMDK_STREAM_WRITE_H
#define VMDK_STREAM_WRITE_H

#include "io.h"

/* The default of compress_level.  It takes less than a third of the time of
 * what QEMU uses, zlib's level 6, and makes streams of usual disks that are
 * larger by less than a percent.
 */
#define STREAM_LEVEL_DEFAULT 4

struct stream_create_options {
  const char *path;             /* must not exist */
  uint64_t size;                /* of the disk: bytes, whole sectors */

  /* All of the text of the descriptor, whose one extent line is
   * RW size/512 SPARSE "the last component of path".
   */
  const char *descriptor;

  int compress_level;           /* 1 to 12; 0: the default */
  uint64_t memory;              /* bytes for what stream-grains.h does not
                                   count; 0: VMDK_CACHE_DEFAULT, and at least
                                   VMDK_CACHE_MIN is used */
  struct logger logger;
  const struct io_hook *hook;   /* outlives the writer, or NULL */
};

struct stream_writer;

/* Strings in the options are borrowed until this returns. */
extern struct stream_writer *
stream_writer_create (const struct stream_create_options *options,
                      struct vmdk_error *error);

/* Free the writer.  If it was not finished nothing is left of the image.
 * NULL is accepted.  No other call may be running.
 */
extern void stream_writer_free (struct stream_writer *w);

/* The following may be called by any number of threads at once.  Ranges (in
 * bytes) must lie inside the disk.
 */

extern uint64_t stream_writer_size (const struct stream_writer *w);

extern int stream_writer_pread (struct stream_writer *w, void *buf,
                                uint64_t count, uint64_t offset,
                                struct vmdk_error *error);

/* Any alignment.  Where writes meet in the same bytes, either may win.  A
 * write that has failed must be repeated, with the same range or a larger
 * one, for the image ever to be finished.
 */
extern int stream_writer_pwrite (struct stream_writer *w, const void *buf,
                                 uint64_t count, uint64_t offset,
                                 struct vmdk_error *error);

/* Also for trimming. */
extern int stream_writer_zero (struct stream_writer *w, uint64_t count,
                               uint64_t offset, struct vmdk_error *error);

/* Fail with VMDK_ERROR_UNSUPPORTED if the range has a part of a grain with
 * content, and not all of it: the rest has to be compressed again then.
 */
extern int stream_writer_check_fast_zero (struct stream_writer *w,
                                          uint64_t count, uint64_t offset,
                                          struct vmdk_error *error);

/* Whether the byte at 'offset' is in a grain with content, and for how many
 * of the 'count' > 0 bytes from there the answer is the same.
 */
extern bool stream_writer_is_allocated (struct stream_writer *w,
                                        uint64_t offset, uint64_t count,
                                        uint64_t *length);

/* Say whether anything has gone wrong for good.  An image becomes durable as
 * a whole, when it is finished.
 */
extern int stream_writer_flush (struct stream_writer *w,
                                struct vmdk_error *error);

/* Has anything been written, or failed to be, but by stream_writer_zero? */
extern bool stream_writer_has_data (struct stream_writer *w);

/* May it still be written?  If not, *error says why. */
extern int stream_writer_check (struct stream_writer *w,
                                struct vmdk_error *error);

/* May this process, as the user that it is now, give it its name? */
extern int stream_writer_check_name (struct stream_writer *w,
                                     struct vmdk_error *error);

/* Complete the image, and give it its name.  Once that has failed it cannot
 * be done any more.  Only reading may go on meanwhile, and afterwards.  May
 * be repeated, and says the same again.
 */
extern int stream_writer_finish (struct stream_writer *w,
                                 struct vmdk_error *error);

/* An image, to be used and closed through vmdkcore.h, that is made in this
 * way.  It is finished by vmdk_end_writing if it has data, or else by
 * vmdk_close: who only makes zeroes, as QEMU does before it opens a disk once
 * more to copy to it, prepares it for those who write.
 */
extern struct vmdk_image *
stream_create (const struct stream_create_options *options,
               struct vmdk_error *error);

#endif /* VMDK_STREAM_WRITE_H */
