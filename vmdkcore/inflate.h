/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Inflating grains, with states and buffers that are used again. */

#ifndef VMDK_INFLATE_H
#define VMDK_INFLATE_H

#include <stdbool.h>

#include "error.h"

struct inflaters;

/* 'limit' bounds the memory (bytes) that all inflating together may use
 * at a time, beside what one grain needs, and a quarter of the limit for one
 * that has waited long.  Buffers that are kept for the next take half as much
 * more.  NULL if memory is short.
 */
extern struct inflaters *inflaters_new (uint64_t limit);

/* None may be in use.  NULL is accepted. */
extern void inflaters_free (struct inflaters *pool);

/* One of those who share them, such as an image: all zeroes at first, and there
 * as long as one of its inflaters is in use.  Locked by the pool.
 */
struct inflater_user {
  uint64_t claimed;
  struct inflater_turns {
    uint64_t arrived, served;
  } little, large;
};

/* A decompressor with a buffer for its input, used by one thread. */
struct inflater {
  struct libdeflate_decompressor *decompressor;
  uint8_t *input;               /* at least as large as was asked for */
  size_t input_size;
  struct inflater_user *user;
  uint64_t claimed;
  bool beyond;                  /* the limit */
  struct inflater *next;
};

/* Get an inflater for 'input' bytes and 'extra' bytes more that the
 * caller allocates then.  Waits while too many others are at work, and longer
 * if they are the same user's.
 */
extern struct inflater *inflater_get (struct inflaters *pool,
                                      struct inflater_user *user,
                                      size_t input, size_t extra,
                                      struct vmdk_error *error);
extern void inflater_put (struct inflaters *pool, struct inflater *inflater);

/* Inflate the zlib stream (RFC 1950) at the start of the first 'len'
 * bytes of the input.  *produced gets the number of bytes in 'out'.
 * Returns NULL, or what is wrong in words.
 */
extern const char *inflater_run (struct inflater *inflater, size_t len,
                                 void *out, size_t size, size_t *produced);

#endif /* VMDK_INFLATE_H */
