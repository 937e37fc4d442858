/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Deflating, and inflating again. */

#include <config.h>

#include <stdatomic.h>

#include "deflate.h"
#include "inflate.h"
#include "unit.h"

#define SIZE 65536

static uint8_t in[2 * SIZE], out[2 * SIZE];

/* Random bytes, ones that repeat, or zeroes. */
static void
fill (uint64_t kind, uint64_t *seed)
{
  size_t i;

  for (i = 0; i < sizeof in; ++i)
    in[i] = kind == 0 ? (uint8_t) (next_random (seed) >> 20) :
      kind == 1 ? (uint8_t) (i % 61) : 0;
}

static struct inflater_user user;

static void
check (struct deflater *d, struct inflaters *inflaters, size_t size,
       size_t *length)
{
  struct vmdk_error error;
  struct inflater *inflater = inflater_get (inflaters, &user, 3 * SIZE, 0,
                                            &error);
  size_t produced;

  assert_non_null (inflater);
  *length = deflater_run (d, in, size, d->output);
  assert_true (*length <= deflater_bound (size));
  assert_int_equal (d->output[0] % 16, 8);
  memcpy (inflater->input, d->output, *length);
  assert_null (inflater_run (inflater, *length, out, sizeof out, &produced));
  assert_int_equal (produced, size);
  assert_memory_equal (in, out, size);
  inflater_put (inflaters, inflater);
}

static void
test_levels (void **state)
{
  static const size_t sizes[] = { 1, 512, 65535, 65536, 65537, 131072 };
  struct inflaters *inflaters = inflaters_new (1 << 20);
  uint64_t seed = 1, kind;
  size_t i, length;
  int level;

  assert_non_null (inflaters);
  for (level = DEFLATE_LEVEL_MIN; level <= DEFLATE_LEVEL_MAX; ++level) {
    struct deflater *d = deflater_new (level, SIZE,
                                       deflater_bound (2 * SIZE));

    assert_non_null (d);
    for (kind = 0; kind < 3; ++kind)
      for (i = 0; i < ARRAY_LENGTH (sizes); ++i) {
        fill (kind, &seed);
        check (d, inflaters, sizes[i], &length);
        if (kind != 0 && sizes[i] > 512)
          assert_true (length < sizes[i] / 50);
      }
    deflater_free (d);
  }
  inflaters_free (inflaters);
}

/* What cannot be compressed is stored, in blocks whose headers are all that
 * it grows by.
 */
static void
test_stored (void **state)
{
  struct inflaters *inflaters = inflaters_new (1 << 20);
  struct deflater *d = deflater_new (1, SIZE, deflater_bound (SIZE));
  uint64_t seed = 7;
  size_t length;

  assert_non_null (inflaters);
  assert_non_null (d);
  fill (0, &seed);
  check (d, inflaters, SIZE, &length);
  assert_true (length > SIZE && length <= SIZE + 16);
  deflater_free (d);
  inflaters_free (inflaters);
}

#define NR_THREADS 8

static struct deflaters *pool;
static atomic_uint at_work, most;

static void *
work (void *arg)
{
  struct vmdk_error error;
  unsigned i;

  for (i = 0; i < 200; ++i) {
    struct deflater *d = deflater_get (pool, &error);
    unsigned n, old = atomic_load (&most);

    if (!d)
      return NULL;
    n = atomic_fetch_add (&at_work, 1) + 1;
    while (old < n && !atomic_compare_exchange_weak (&most, &old, n))
      ;
    memset (d->input, 1, 100);
    (void) deflater_run (d, d->input, 100, d->output);
    atomic_fetch_sub (&at_work, 1);
    deflater_put (pool, d);
  }
  return arg;
}

/* Many threads, but not more at a time than the memory is for. */
static void
check_threads (uint64_t limit, unsigned at_a_time)
{
  pthread_t threads[NR_THREADS];
  void *result;
  unsigned i;

  atomic_store (&most, 0);
  pool = deflaters_new (6, limit, SIZE, deflater_bound (SIZE));
  assert_non_null (pool);
  for (i = 0; i < NR_THREADS; ++i)
    assert_int_equal (pthread_create (&threads[i], NULL, work, &pool), 0);
  for (i = 0; i < NR_THREADS; ++i) {
    pthread_join (threads[i], &result);
    assert_ptr_equal (result, &pool);
  }
  assert_in_range (atomic_load (&most), 1, at_a_time);
  deflaters_free (pool);
}

static void
test_threads (void **state)
{
  check_threads (0, 1);
  check_threads (3 << 20, 2);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_levels),
    cmocka_unit_test (test_stored),
    cmocka_unit_test (test_threads),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
