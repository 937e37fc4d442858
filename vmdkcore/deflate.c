/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <libdeflate.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "deflate.h"

/* What a compressor takes is not told by libdeflate.  From level 10 on it
 * searches for the best way, and needs far more.
 */
#define COMPRESSOR_MEMORY (UINT64_C (1) << 20)
#define BEST_COMPRESSOR_MEMORY (UINT64_C (9) << 20)

/* A stored block: how long it can be, and what it has in front. */
#define STORED_MAX 65535
#define STORED_HEADER 5

struct deflaters {
  pthread_mutex_t lock;
  pthread_cond_t released;
  int level;
  size_t input, output;
  uint64_t free;                /* how many may still be taken */
  struct deflater *idle;
};

void
deflater_free (struct deflater *deflater)
{
  if (!deflater)
    return;
  libdeflate_free_compressor (deflater->compressor);
  free (deflater->input);
  free (deflater->output);
  free (deflater);
}

struct deflater *
deflater_new (int level, size_t input, size_t output)
{
  struct deflater *deflater = calloc (1, sizeof *deflater);

  if (!deflater)
    return NULL;
  deflater->compressor = libdeflate_alloc_compressor (level);
  deflater->input = malloc (input);
  deflater->output = malloc (output);
  if (deflater->compressor && deflater->input && deflater->output)
    return deflater;
  deflater_free (deflater);
  return NULL;
}

struct deflaters *
deflaters_new (int level, uint64_t limit, size_t input, size_t output)
{
  const uint64_t each = input + output +
    (level < 10 ? COMPRESSOR_MEMORY : BEST_COMPRESSOR_MEMORY);
  struct deflaters *pool = calloc (1, sizeof *pool);

  if (!pool)
    return NULL;
  pthread_mutex_init (&pool->lock, NULL);
  pthread_cond_init (&pool->released, NULL);
  pool->level = level;
  pool->input = input;
  pool->output = output;
  pool->free = max_u64 (1, limit / each);
  return pool;
}

void
deflaters_free (struct deflaters *pool)
{
  if (!pool)
    return;
  while (pool->idle) {
    struct deflater *deflater = pool->idle;

    pool->idle = deflater->next;
    deflater_free (deflater);
  }
  pthread_cond_destroy (&pool->released);
  pthread_mutex_destroy (&pool->lock);
  free (pool);
}

static void
release (struct deflaters *pool, struct deflater *idle)
{
  pthread_mutex_lock (&pool->lock);
  pool->free++;
  if (idle) {
    idle->next = pool->idle;
    pool->idle = idle;
  }
  pthread_cond_signal (&pool->released);
  pthread_mutex_unlock (&pool->lock);
}

struct deflater *
deflater_get (struct deflaters *pool, struct vmdk_error *error)
{
  struct deflater *deflater;

  pthread_mutex_lock (&pool->lock);
  while (pool->free == 0)
    pthread_cond_wait (&pool->released, &pool->lock);
  pool->free--;
  deflater = pool->idle;
  if (deflater)
    pool->idle = deflater->next;
  pthread_mutex_unlock (&pool->lock);

  if (!deflater)
    deflater = deflater_new (pool->level, pool->input, pool->output);
  if (!deflater) {
    release (pool, NULL);
    error_nomem (error);
  }
  return deflater;
}

void
deflater_put (struct deflaters *pool, struct deflater *deflater)
{
  if (deflater)
    release (pool, deflater);
}

size_t
deflater_bound (size_t size)
{
  const size_t blocks = size == 0 ? 1 : (size_t) div_up (size, STORED_MAX);

  return 2 + blocks * STORED_HEADER + size + 4;
}

/* A zlib stream of stored blocks: what cannot be compressed does not grow
 * by more than their headers.
 */
static size_t
store (const uint8_t *in, size_t size, uint8_t *out)
{
  uint32_t check = libdeflate_adler32 (1, in, size);
  uint8_t *p = out;
  unsigned i;

  *p++ = 0x78;                  /* deflate with a window of 32 KiB */
  *p++ = 0x01;                  /* makes both a multiple of 31 */
  do {
    const uint16_t n = (uint16_t) min_u64 (size, STORED_MAX);

    size -= n;
    *p++ = size == 0;           /* the last block? */
    *p++ = (uint8_t) n;
    *p++ = (uint8_t) (n >> 8);
    *p++ = (uint8_t) ~n;
    *p++ = (uint8_t) (~n >> 8);
    memcpy (p, in, n);
    in += n;
    p += n;
  } while (size > 0);
  for (i = 0; i < 4; ++i, check <<= 8)
    *p++ = (uint8_t) (check >> 24);
  return (size_t) (p - out);
}

size_t
deflater_run (struct deflater *deflater, const void *in, size_t size,
              uint8_t *out)
{
  const size_t r = libdeflate_zlib_compress (deflater->compressor, in, size,
                                             out, deflater_bound (size) - 1);

  return r > 0 ? r : store (in, size, out);
}
