/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Deflating grains, with states and buffers that are used again. */

#ifndef VMDK_DEFLATE_H
#define VMDK_DEFLATE_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct deflaters;

/* The levels of libdeflate that compress. */
#define DEFLATE_LEVEL_MIN 1
#define DEFLATE_LEVEL_MAX 12

/* Deflate with 'level', within 'limit' bytes of memory: as many at a time
 * as fit, but at least one.  Each gets buffers of 'input' and 'output'
 * bytes.  NULL if memory is short.
 */
extern struct deflaters *deflaters_new (int level, uint64_t limit,
                                        size_t input, size_t output);

/* None may be in use.  NULL is accepted. */
extern void deflaters_free (struct deflaters *pool);

/* A compressor with two buffers, used by one thread. */
struct deflater {
  struct libdeflate_compressor *compressor;
  uint8_t *input;               /* whatever its user keeps there */
  uint8_t *output;
  struct deflater *next;
};

/* One that is in no pool.  NULL if memory is short. */
extern struct deflater *deflater_new (int level, size_t input,
                                      size_t output);

/* NULL is accepted. */
extern void deflater_free (struct deflater *deflater);

/* Get a deflater.  Waits while too many others are at work. */
extern struct deflater *deflater_get (struct deflaters *pool,
                                      struct vmdk_error *error);

/* Accepts NULL. */
extern void deflater_put (struct deflaters *pool, struct deflater *deflater);

/* How many bytes deflater_run can make of 'size' bytes at most. */
extern size_t deflater_bound (size_t size);

/* Make a zlib stream (RFC 1950) of 'size' bytes at 'in'; 'out' has room for
 * deflater_bound (size).  Returns its length.
 */
extern size_t deflater_run (struct deflater *deflater, const void *in,
                            size_t size, uint8_t *out);

#endif /* VMDK_DEFLATE_H */
