/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <libdeflate.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "inflate.h"

/* A buffer larger than the limit divided by this is not kept, nor more of them
 * than the other part of the limit.
 */
#define KEPT_BUFFERS 16
#define KEPT_PART 2

/* Who claims more than the limit divided by this works alone among its like. */
#define LARGE_PART 4

struct inflaters {
  pthread_mutex_t lock;
  pthread_cond_t released;
  uint64_t limit;
  uint64_t claimed;             /* but for large ones */
  uint64_t granted;             /* so far, but for large ones */
  unsigned nr_without;          /* who wait and have nothing */
  bool beyond;                  /* one has more than there was */
  struct inflater_turns large;
  uint64_t kept;                /* bytes of the buffers of idle ones */
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

static bool
is_large (const struct inflaters *pool, uint64_t claim)
{
  return claim > pool->limit / LARGE_PART;
}

/* A user takes at most half of what the others leave, so that there is something
 * left for those who have nothing; and nothing more while one of these waits.
 */
static bool
fits (const struct inflaters *pool, const struct inflater_user *user,
      uint64_t claim)
{
  return pool->claimed + claim <= pool->limit &&
    (user->claimed == 0 ||
     (pool->nr_without == 0 &&
      pool->claimed + user->claimed + 2 * claim <= pool->limit));
}

static void
wait_in_turn (struct inflaters *pool, struct inflater_turns *turns)
{
  const uint64_t turn = turns->arrived++;

  while (turn != turns->served)
    pthread_cond_wait (&pool->released, &pool->lock);
}

/* Wait until what one needs is there.  Who has nothing may be passed by others
 * who have nothing either and need less: if so much was given to these as there
 * is, one at a time may have what it needs beyond the limit.  Returns whether
 * this one has.  Locked.
 */
static bool
wait_for_room (struct inflaters *pool, const struct inflater_user *user,
               uint64_t claim)
{
  uint64_t granted = 0;         /* when it began to wait with nothing */
  bool without = false, beyond = false;

  while (!fits (pool, user, claim)) {
    if (user->claimed == 0) {
      if (!without) {
        without = true;
        pool->nr_without++;
        granted = pool->granted;
      }
      beyond = !pool->beyond && pool->granted - granted >= pool->limit;
      if (beyond)
        break;
    }
    pthread_cond_wait (&pool->released, &pool->lock);
  }
  pool->nr_without -= without;
  return beyond;
}

/* Wait for a claim to be granted.  Those of one user are served in turn, large
 * ones and others apart; among the large ones the first of each user stands in a
 * queue.  So a disk that does not answer keeps waiting those of its own image,
 * others that need much, and, as each image may have half of what is left, those
 * of all when there are several such disks.  Locked.
 */
static bool
wait_for_turn (struct inflaters *pool, struct inflater_user *user,
               uint64_t claim)
{
  bool beyond = false;

  if (is_large (pool, claim)) {
    wait_in_turn (pool, &user->large);
    wait_in_turn (pool, &pool->large);
    user->large.served++;
  }
  else {
    wait_in_turn (pool, &user->little);
    beyond = wait_for_room (pool, user, claim);
    pool->beyond |= beyond;
    pool->claimed += claim;
    pool->granted += claim;
    user->claimed += claim;
    user->little.served++;
  }
  /* The next of this user, those who let pass who had nothing, and who may have
   * been passed for long enough.
   */
  pthread_cond_broadcast (&pool->released);
  return beyond;
}

/* 'idle' is NULL, or may be used again. */
static void
release (struct inflaters *pool, struct inflater_user *user, uint64_t claim,
         bool beyond, struct inflater *idle)
{
  pthread_mutex_lock (&pool->lock);
  if (is_large (pool, claim))
    pool->large.served++;
  else {
    pool->claimed -= claim;
    user->claimed -= claim;
    if (beyond)
      pool->beyond = false;
  }
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
inflater_get (struct inflaters *pool, struct inflater_user *user,
              size_t input, size_t extra, struct vmdk_error *error)
{
  const uint64_t claim = (uint64_t) input + extra;
  struct inflater *inflater;
  bool beyond;

  pthread_mutex_lock (&pool->lock);
  beyond = wait_for_turn (pool, user, claim);
  inflater = pool->idle;
  if (inflater) {
    pool->idle = inflater->next;
    pool->kept -= inflater->input_size;
  }
  pthread_mutex_unlock (&pool->lock);

  if (!inflater) {
    inflater = calloc (1, sizeof *inflater);
    if (!inflater)
      goto nomem;
    inflater->decompressor = libdeflate_alloc_decompressor ();
    if (!inflater->decompressor)
      goto nomem;
  }
  /* A buffer that is much larger would be nobody's claim. */
  if (inflater->input_size < input || inflater->input_size > claim) {
    free (inflater->input);
    inflater->input_size = 0;
    inflater->input = malloc (input);
    if (!inflater->input)
      goto nomem;
    inflater->input_size = input;
  }
  inflater->user = user;
  inflater->claimed = claim;
  inflater->beyond = beyond;
  return inflater;

 nomem:
  if (inflater)
    free_inflater (inflater);
  release (pool, user, claim, beyond, NULL);
  error_nomem (error);
  return NULL;
}

void
inflater_put (struct inflaters *pool, struct inflater *inflater)
{
  release (pool, inflater->user, inflater->claimed, inflater->beyond,
           inflater);
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
