/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Random writes to streams by one thread and by many, with little memory,
 * against a model in memory.
 */

#include <config.h>

#include <stdatomic.h>

#include "written.h"

#define NR_THREADS 8
#define NR_GRAINS 700
#define NR_STEPS 250

static struct written t;
static atomic_uint wrong;
static bool alone;

/* Each thread has its own sectors, in every grain: sectors i, i + n, ... of
 * n threads, in stripes; so that all meet in the same grains, but never in
 * the same bytes.  One that is alone has all of them.
 */
#define STRIPE 8192

static uint64_t
random_offset (uint64_t *seed, unsigned number, uint64_t *count)
{
  const uint64_t at = random_below (seed, t.size);
  uint64_t offset;

  if (alone) {
    *count = 1 + random_below (seed, min_u64 (t.size - at,
                                              random_below (seed, 4) == 0 ?
                                              5 * GRAIN : 3000));
    return at;
  }
  offset = at / (NR_THREADS * STRIPE) * (NR_THREADS * STRIPE) +
    number * STRIPE;
  if (offset >= t.size)
    offset = number * STRIPE;
  *count = 1 + random_below (seed, min_u64 (STRIPE, t.size - offset));
  if (random_below (seed, 2) == 0)
    offset += random_below (seed, min_u64 (STRIPE, t.size - offset) -
                            *count + 1);
  return offset;
}

static void *
work (void *arg)
{
  const unsigned number = (unsigned) (uintptr_t) arg;
  uint8_t *buf = malloc (5 * GRAIN);
  uint64_t seed = number + 1;
  struct vmdk_error error;
  unsigned i;

  for (i = 0; i < NR_STEPS && buf; ++i) {
    const uint64_t kind = random_below (&seed, 8);
    uint64_t count;
    const uint64_t offset = random_offset (&seed, number, &count);
    int r;

    if (kind < 4) {
      fill_kind (t.model + offset, count, kind, &seed);
      r = stream_writer_pwrite (t.w, t.model + offset, count, offset,
                                &error);
    }
    else if (kind == 4) {
      memset (t.model + offset, 0, count);
      r = stream_writer_zero (t.w, count, offset, &error);
    }
    else
      r = stream_writer_pread (t.w, buf, count, offset, &error) == -1 ||
        memcmp (buf, t.model + offset, count) != 0;
    if (r != 0)
      atomic_fetch_add (&wrong, 1);
  }
  if (!buf)
    atomic_fetch_add (&wrong, 1);
  free (buf);
  return NULL;
}

static void
check_random (unsigned nr_threads, uint64_t size, uint64_t memory)
{
  pthread_t threads[NR_THREADS];
  uintptr_t i;

  written_new (&t, size, memory);
  alone = nr_threads == 1;
  for (i = 0; i < nr_threads; ++i)
    assert_int_equal (pthread_create (&threads[i], NULL, work, (void *) i),
                      0);
  for (i = 0; i < nr_threads; ++i)
    pthread_join (threads[i], NULL);
  assert_int_equal (atomic_load (&wrong), 0);
  written_read (&t, 0, t.size);
  written_finish (&t);
  written_check (&t);
  written_free (&t);
}

static void
test_one_thread (void **state)
{
  check_random (1, NR_GRAINS * GRAIN, 0);
  check_random (1, NR_GRAINS * GRAIN, 1);
  check_random (1, 20 * GRAIN + 512, 0);
  check_random (1, 20 * GRAIN + 512, 1);
}

static void
test_many_threads (void **state)
{
  check_random (NR_THREADS, NR_GRAINS * GRAIN, 0);
  check_random (NR_THREADS, NR_GRAINS * GRAIN, 1);
  check_random (NR_THREADS, 20 * GRAIN + 512, 0);
  check_random (NR_THREADS, 20 * GRAIN + 512, 1);
}

/* As nbdcopy does it: four connections, each with several requests at a
 * time, walk through ranges of their own.
 */
static atomic_uint next_piece[4];
#define RANGE (160 * GRAIN)

static void *
copy (void *arg)
{
  const uintptr_t connection = (uintptr_t) arg % 4;
  struct vmdk_error error;

  for (;;) {
    const uint64_t piece = atomic_fetch_add (&next_piece[connection], 1);
    const uint64_t offset = connection * RANGE + piece * 4 * GRAIN;

    if (offset >= (connection + 1) * RANGE)
      return NULL;
    if (piece % 5 == 3 ?
        stream_writer_zero (t.w, 4 * GRAIN, offset, &error) == -1 :
        stream_writer_pwrite (t.w, t.model + offset, 4 * GRAIN, offset,
                              &error) == -1)
      atomic_fetch_add (&wrong, 1);
  }
}

static void
test_like_nbdcopy (void **state)
{
  static const uint64_t memories[] = { 0, 1 };
  pthread_t threads[NR_THREADS];
  uintptr_t i;
  size_t j;

  for (j = 0; j < ARRAY_LENGTH (memories); ++j) {
    written_new (&t, 4 * RANGE, memories[j]);
    for (i = 0; i < t.size / GRAIN / 4; ++i)
      fill_kind (t.model + i * 4 * GRAIN, 4 * GRAIN,
                 i % (RANGE / GRAIN / 4) % 5 == 3 ? 2 : i % 2, &t.seed);
    for (i = 0; i < 4; ++i)
      atomic_store (&next_piece[i], 0);
    for (i = 0; i < NR_THREADS; ++i)
      assert_int_equal (pthread_create (&threads[i], NULL, copy,
                                        (void *) i), 0);
    for (i = 0; i < NR_THREADS; ++i)
      pthread_join (threads[i], NULL);
    assert_int_equal (atomic_load (&wrong), 0);
    written_finish (&t);
    written_check (&t);
    written_free (&t);
  }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_one_thread),
    cmocka_unit_test (test_many_threads),
    cmocka_unit_test (test_like_nbdcopy),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
