/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The inflaters: what they make of data, and how many work at once. */

#include <config.h>

#include "asleep.h"
#include "inflate.h"
#include "streams.h"

#define LIMIT 10000

static struct inflaters *pool;
static struct inflater_user users[100];

static int
setup (void **state)
{
  pool = inflaters_new (LIMIT);
  memset (users, 0, sizeof users);
  return pool ? 0 : -1;
}

static int
teardown (void **state)
{
  size_t i;

  inflaters_free (pool);
  for (i = 0; i < 100; ++i)
    if (users[i].claimed != 0 || users[i].little.arrived != users[i].little.served ||
        users[i].large.arrived != users[i].large.served)
      return -1;
  return 0;
}

static struct inflater *
get_for (unsigned user, size_t input, size_t extra)
{
  struct vmdk_error error;
  struct inflater *inflater = inflater_get (pool, &users[user], input, extra,
                                            &error);

  if (!inflater)
    fail_msg ("%s", error.message);
  assert_true (inflater->input_size >= input);
  memset (inflater->input, 0xaa, input);
  return inflater;
}

static struct inflater *
get (size_t input, size_t extra)
{
  return get_for (0, input, extra);
}

static void
test_run (void **state)
{
  static const char text[] = "some text some text some text some text";
  struct inflater *inflater = get (1000, 0);
  const char *fault;
  size_t len, produced = 99;
  uint8_t out[100];

  len = stream_compress (text, sizeof text, 6, inflater->input, 1000);
  assert_null (inflater_run (inflater, len, out, sizeof text, &produced));
  assert_int_equal (produced, sizeof text);
  assert_memory_equal (out, text, sizeof text);

  /* What follows does not matter, and less than there is room for is no
   * fault here.
   */
  memset (inflater->input + len, 0xff, 1000 - len);
  assert_null (inflater_run (inflater, 1000, out, sizeof out, &produced));
  assert_int_equal (produced, sizeof text);

  fault = inflater_run (inflater, len, out, sizeof text - 1, &produced);
  assert_non_null (fault);
  assert_string_equal (fault, "it inflates to more than a grain");

  for (; len > 0; --len) {
    fault = inflater_run (inflater, len - 1, out, sizeof text, &produced);
    assert_non_null (fault);
    assert_string_equal (fault, "its compressed data are damaged");
  }
  inflater_put (pool, inflater);
}

/* The checksum counts. */
static void
test_checksum (void **state)
{
  struct inflater *inflater = get (1000, 0);
  uint8_t out[8];
  size_t len, produced;
  unsigned i;

  len = stream_compress ("abcdefg", 8, 0, inflater->input, 1000);
  for (i = 0; i < 32; ++i) {
    uint8_t *p = inflater->input + len - 1 - i / 8;

    *p ^= (uint8_t) (1 << i % 8);
    assert_non_null (inflater_run (inflater, len, out, 8, &produced));
    *p ^= (uint8_t) (1 << i % 8);
  }
  assert_null (inflater_run (inflater, len, out, 8, &produced));
  inflater_put (pool, inflater);
}

/* One that was put back is used again, with a larger buffer if it must
 * be.
 */
static void
test_reuse (void **state)
{
  struct inflater *a = get (100, 0), *b = get (200, 0), *c;

  assert_ptr_not_equal (a, b);
  inflater_put (pool, a);
  c = get (5000, 0);
  assert_ptr_equal (c, a);
  inflater_put (pool, c);
  inflater_put (pool, b);
  c = get (50, 150);
  assert_ptr_equal (c, b);
  assert_true (c->input_size >= 200);
  inflater_put (pool, c);
}

/* Large buffers are given back to the system. */
static void
test_large_buffer (void **state)
{
  struct inflater *inflater = get (LIMIT / 16, 0);

  inflater_put (pool, inflater);
  assert_int_equal (inflater->input_size, LIMIT / 16);
  inflater = get (LIMIT / 16 + 1, 0);
  inflater_put (pool, inflater);
  assert_int_equal (inflater->input_size, 0);
  assert_null (inflater->input);
  inflater = get (10, 0);
  inflater_put (pool, inflater);
}

/* What one claims is what it has: not a buffer that another needed. */
static void
test_small_claim (void **state)
{
  struct inflater *inflater = get (LIMIT / 16, 0);

  inflater_put (pool, inflater);
  inflater = get (10, 20);
  assert_in_range (inflater->input_size, 10, 30);
  inflater_put (pool, inflater);
}

/* Nor are many of them kept that are small. */
static void
test_many_buffers (void **state)
{
  struct inflater *all[100];
  size_t kept = 0;
  unsigned i;

  (void) state;
  for (i = 0; i < 100; ++i)
    all[i] = get_for (i, LIMIT / 100, 0);
  for (i = 0; i < 100; ++i)
    inflater_put (pool, all[i]);
  for (i = 0; i < 100; ++i)
    kept += all[i]->input_size;
  assert_in_range (kept, LIMIT / 4, LIMIT / 2);
}

/* More than the limit alone goes on, and so does exactly the limit. */
static void
test_larger_than_limit (void **state)
{
  struct inflater *a;

  alarm (20);
  a = get (LIMIT, LIMIT);
  inflater_put (pool, a);
  a = get (3 * LIMIT, 0);
  inflater_put (pool, a);
  a = get (1, 3 * LIMIT);
  inflater_put (pool, a);
  alarm (0);
}

struct waiter {
  unsigned user;
  size_t input, extra;
  atomic_int tid;
  atomic_bool done;
  pthread_t thread;
};

static void *
wait_for_one (void *arg)
{
  struct waiter *w = arg;
  struct vmdk_error error;
  struct inflater *inflater;

  atomic_store (&w->tid, gettid ());
  inflater = inflater_get (pool, &users[w->user], w->input, w->extra,
                           &error);
  atomic_store (&w->done, true);
  if (inflater)
    inflater_put (pool, inflater);
  return NULL;
}

static void
start (struct waiter *w, unsigned user, size_t input, size_t extra)
{
  w->user = user;
  w->input = input;
  w->extra = extra;
  atomic_store (&w->tid, 0);
  atomic_store (&w->done, false);
  assert_int_equal (pthread_create (&w->thread, NULL, wait_for_one, w), 0);
}

/* It waits until what is to be put back is. */
static void
wakes (struct waiter *w, struct inflater *inflater)
{
  wait_until_asleep (&w->tid);
  assert_false (atomic_load (&w->done));
  inflater_put (pool, inflater);
  pthread_join (w->thread, NULL);
  assert_true (atomic_load (&w->done));
}

/* It need not wait for anything. */
static void
goes_on (struct waiter *w, unsigned user, size_t input, size_t extra)
{
  start (w, user, input, extra);
  pthread_join (w->thread, NULL);
}

/* One user takes half of what there is, and waits for more; what others take
 * is not there.
 */
static void
test_half (void **state)
{
  struct inflater *a, *b, *c;
  struct waiter w;

  (void) state;
  alarm (60);
  a = get_for (0, 1000, 1500);
  b = get_for (0, 1000, 0);
  goes_on (&w, 0, 1000, 500);
  start (&w, 0, 1000, 501);
  wakes (&w, a);
  inflater_put (pool, b);

  a = get_for (0, 2000, 0);
  b = get_for (1, 1000, 1000);  /* leaves the first 8000 */
  goes_on (&w, 0, 2000, 0);
  c = get_for (0, 1, 0);
  start (&w, 0, 2000, 0);
  wakes (&w, c);
  inflater_put (pool, a);
  inflater_put (pool, b);
  alarm (0);
}

/* Who has nothing gets what is left, and waits if it is too little. */
static void
test_waiting (void **state)
{
  struct inflater *all[5];
  struct waiter w;
  unsigned i;

  (void) state;
  alarm (60);
  for (i = 0; i < 4; ++i)
    all[i] = get_for (i, 2400, 0);
  goes_on (&w, 4, 300, 100);
  start (&w, 4, 300, 101);
  wakes (&w, all[0]);
  all[0] = get_for (0, 2400, 0);
  all[4] = get_for (4, 400, 0);  /* LIMIT in all */
  start (&w, 5, 0, 1);
  wakes (&w, all[1]);
  for (i = 0; i < 5; ++i)
    if (i != 1)
      inflater_put (pool, all[i]);
  alarm (0);
}

/* Who waits and has nothing is not passed by those who have something. */
static void
test_nothing (void **state)
{
  struct inflater *all[4];
  struct waiter without, with;
  unsigned i;

  (void) state;
  alarm (60);
  all[0] = get_for (0, 100, 0);
  for (i = 1; i < 4; ++i)
    all[i] = get_for (i, 2500, 0);
  start (&without, 4, 2500, 0);
  wait_until_asleep (&without.tid);
  start (&with, 0, 100, 0);
  wait_until_asleep (&with.tid);
  assert_false (atomic_load (&with.done));
  /* Who has nothing either may. */
  goes_on (&(struct waiter) { 0 }, 5, 100, 0);
  wakes (&without, all[1]);
  pthread_join (with.thread, NULL);
  inflater_put (pool, all[0]);
  inflater_put (pool, all[2]);
  inflater_put (pool, all[3]);
  alarm (0);
}

/* Of those who want more than a quarter one works at a time, whatever the
 * others do, and keeps none of them waiting.
 */
static void
test_large (void **state)
{
  struct inflater *a, *b, *large;
  struct waiter w;

  (void) state;
  alarm (60);
  a = get_for (0, 2500, 0);
  b = get_for (1, 2500, 0);
  large = get_for (2, 2 * LIMIT, LIMIT);
  goes_on (&w, 3, 1000, 1500);
  start (&w, 4, 2500, 1);
  wakes (&w, large);
  inflater_put (pool, a);
  inflater_put (pool, b);
  alarm (0);
}

/* Who was passed by as much as there is does not wait for more to be given back
 * at once, but is the only one.
 */
static void
test_passed (void **state)
{
  struct inflater *all[10];
  struct waiter passed, another;
  unsigned i;

  (void) state;
  alarm (60);
  for (i = 0; i < 10; ++i)
    all[i] = get_for (i, LIMIT / 10, 0);
  start (&passed, 20, LIMIT / 4, 0);
  wait_until_asleep (&passed.tid);
  start (&another, 21, LIMIT / 4, 0);
  wait_until_asleep (&another.tid);
  for (i = 0; i < 9; ++i) {
    inflater_put (pool, all[i]);
    all[i] = get_for (30 + i, LIMIT / 10, 0);
  }
  wait_until_asleep (&passed.tid);
  assert_false (atomic_load (&passed.done) || atomic_load (&another.done));
  inflater_put (pool, all[9]);
  all[9] = get_for (39, LIMIT / 10, 0);
  /* One after the other. */
  pthread_join (passed.thread, NULL);
  pthread_join (another.thread, NULL);
  /* And the limit holds again. */
  start (&another, 21, 1, 0);
  wakes (&another, all[9]);
  for (i = 0; i < 9; ++i)
    inflater_put (pool, all[i]);
  alarm (0);
}

/* Those of one user are served in turn, large ones and others apart, and keep
 * only that user waiting: among the large ones each user has its turn.
 */
static void
test_in_turn (void **state)
{
  struct inflater *large;
  struct waiter own[2], another;

  (void) state;
  alarm (60);
  large = get_for (0, LIMIT, 0);
  start (&own[0], 0, LIMIT, 0);
  wait_until_asleep (&own[0].tid);
  start (&own[1], 0, LIMIT, 0);
  wait_until_asleep (&own[1].tid);
  start (&another, 1, LIMIT, 0);
  wait_until_asleep (&another.tid);
  goes_on (&(struct waiter) { 0 }, 0, 1, 0);
  goes_on (&(struct waiter) { 0 }, 2, 1, 0);
  assert_false (atomic_load (&own[0].done));
  assert_false (atomic_load (&another.done));
  inflater_put (pool, large);
  pthread_join (own[0].thread, NULL);
  pthread_join (another.thread, NULL);
  pthread_join (own[1].thread, NULL);
  alarm (0);
}

static atomic_uint in_use, most, rounds;

static void *
work (void *arg)
{
  uint64_t seed = (uintptr_t) arg + 1;
  unsigned i;

  for (i = 0; i < 500; ++i) {
    const size_t input = 1 + random_below (&seed, LIMIT / 2 - 100);
    struct vmdk_error error;
    struct inflater *inflater = inflater_get (pool, &users[seed % 3], input,
                                              100, &error);
    unsigned now, before;

    if (!inflater)
      return NULL;
    now = atomic_fetch_add (&in_use, (unsigned) input + 100) +
      (unsigned) input + 100;
    before = atomic_load (&most);
    while (now > before &&
           !atomic_compare_exchange_weak (&most, &before, now))
      ;
    memset (inflater->input, (int) i, input);
    atomic_fetch_sub (&in_use, (unsigned) input + 100);
    inflater_put (pool, inflater);
    atomic_fetch_add (&rounds, 1);
  }
  return NULL;
}

/* All of them together never have more than the limit, one large one and one
 * that has waited long.
 */
static void
test_threads (void **state)
{
  pthread_t threads[16];
  uintptr_t i;

  for (i = 0; i < 16; ++i)
    assert_int_equal (pthread_create (&threads[i], NULL, work, (void *) i),
                      0);
  for (i = 0; i < 16; ++i)
    pthread_join (threads[i], NULL);
  assert_int_equal (rounds, 16 * 500);
  assert_true (most > 0 && most <= LIMIT + LIMIT / 2 + LIMIT / 4);
}

#define TEST(t) cmocka_unit_test_setup_teardown (t, setup, teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    TEST (test_run),
    TEST (test_checksum),
    TEST (test_reuse),
    TEST (test_large_buffer),
    TEST (test_small_claim),
    TEST (test_many_buffers),
    TEST (test_larger_than_limit),
    TEST (test_half),
    TEST (test_waiting),
    TEST (test_nothing),
    TEST (test_large),
    TEST (test_passed),
    TEST (test_in_turn),
    TEST (test_threads),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
