/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <libdeflate.h>
#include <pthread.h>
#include <stdlib.h>

#include "inflate.h"

/* A buffer larger than the limit divided by this is not kept, nor more of them
 * than the other part of the limit.
 */
#define KEPT_BUFFERS 16
#define KEPT_PART 2

struct inflaters {
  pthread_mutex_t lock;
  pthread_cond_t released;
  uint64_t limit, claimed;
  uint64_t kept;                /* bytes of the buffers of idle ones */
  uint64_t arrived, served;     /* who waits is served in turn */
  struct inflater *idle;
};

struct inflaters *
inflaters_new (uint64_t limit)
{
  struct inflaters *pool = calloc (1, sizeof *pool);

  if (!pool)
    return NULL;
  pthread_mutex_init (&pool->lock, NULL);
  pthread_cond_init (&pool->released, NULL);
  pool->limit = limit;
  return pool;
}

static void
free_inflater (struct inflater *inflater)
{
  libdeflate_free_decompressor (inflater->decompressor);
  free (inflater->input);
  free (inflater);
}

void
inflaters_free (struct inflaters *pool)
{
  if (!pool)
    return;
  while (pool->idle) {
    struct inflater *inflater = pool->idle;

    pool->idle = inflater->next;
    free_inflater (inflater);
  }
  pthread_cond_destroy (&pool->released);
  pthread_mutex_destroy (&pool->lock);
  free (pool);
}

static void
release (struct inflaters *pool, struct inflater *idle, uint64_t claimed)
{
  pthread_mutex_lock (&pool->lock);
  pool->claimed -= claimed;
  if (idle) {
    if (idle->input_size > pool->limit / KEPT_BUFFERS ||
        pool->kept + idle->input_size > pool->limit / KEPT_PART) {
      free (idle->input);
      idle->input = NULL;
      idle->input_size = 0;
    }
    pool->kept += idle->input_size;
    idle->next = pool->idle;
    pool->idle = idle;
  }
  pthread_cond_broadcast (&pool->released);
  pthread_mutex_unlock (&pool->lock);
}

struct inflater *
inflater_get (struct inflaters *pool, size_t input, size_t extra,
              struct vmdk_error *error)
{
  const uint64_t claim = (uint64_t) input + extra;
  struct inflater *inflater;
  uint64_t turn;

  /* One may always go on, however much it needs; and those who need little
   * do not pass one that needs much for ever.
   */
  pthread_mutex_lock (&pool->lock);
  turn = pool->arrived++;
  while (turn != pool->served ||
         (pool->claimed > 0 && pool->claimed + claim > pool->limit))
    pthread_cond_wait (&pool->released, &pool->lock);
  pool->served++;
  pool->claimed += claim;
  inflater = pool->idle;
  if (inflater) {
    pool->idle = inflater->next;
    pool->kept -= inflater->input_size;
  }
  /* The next one may fit too. */
  if (pool->served != pool->arrived)
    pthread_cond_broadcast (&pool->released);
  pthread_mutex_unlock (&pool->lock);

  if (!inflater) {
    inflater = calloc (1, sizeof *inflater);
    if (!inflater)
      goto nomem;
    inflater->decompressor = libdeflate_alloc_decompressor ();
    if (!inflater->decompressor)
      goto nomem;
  }
  if (inflater->input_size < input) {
    free (inflater->input);
    inflater->input_size = 0;
    inflater->input = malloc (input);
    if (!inflater->input)
      goto nomem;
    inflater->input_size = input;
  }
  inflater->claimed = claim;
  return inflater;

 nomem:
  if (inflater)
    free_inflater (inflater);
  release (pool, NULL, claim);
  error_nomem (error);
  return NULL;
}

void
inflater_put (struct inflaters *pool, struct inflater *inflater)
{
  release (pool, inflater, inflater->claimed);
}

const char *
inflater_run (struct inflater *inflater, size_t len, void *out, size_t size,
              size_t *produced)
{
  size_t consumed;

  switch (libdeflate_zlib_decompress_ex (inflater->decompressor,
                                         inflater->input, len, out, size,
                                         &consumed, produced)) {
  case LIBDEFLATE_SUCCESS:
    return NULL;
  case LIBDEFLATE_INSUFFICIENT_SPACE:
    return "it inflates to more than a grain";
  case LIBDEFLATE_BAD_DATA:
  default:
    return "its compressed data are damaged";
  }
}

const char *
vmdk_libdeflate_version (void)
{
  return LIBDEFLATE_VERSION_STRING;
}
