/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The cache of inflated grains, with sources that count. */

#include <config.h>

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include "cache.h"
#include "unit.h"

#define SIZE 4096
#define NR_THREADS 16

/* As many as the cache has parts; 'budget' is shared out to them. */
#define NR_PARTS 8

static struct grain_cache *cache;
static uint64_t owners[2];
static atomic_uint inflated, at_once, together;
static atomic_bool slow, failing;

static uint8_t
byte_of (const struct grain_source *source, size_t i)
{
  return (uint8_t) (source->grain * 7 + i * 3 +
                    (source->owner == owners[1] ? 100 : 0));
}

static int
count_inflate (const struct grain_source *source, struct grain_room *room,
               struct vmdk_error *error)
{
  uint8_t *p;
  size_t i;

  atomic_fetch_add (&inflated, 1);
  if (atomic_fetch_add (&at_once, 1) > 0)
    atomic_fetch_add (&together, 1);
  if (slow)
    usleep (50000);
  p = grain_room_get (room);
  for (i = 0; i < source->size; ++i)
    p[i] = byte_of (source, i);
  atomic_fetch_sub (&at_once, 1);
  return failing ? error_set (error, VMDK_ERROR_CORRUPT, EIO,
                              "grain %" PRIu64 " is damaged",
                              source->grain) : 0;
}

static int
setup (void **state)
{
  inflated = at_once = together = 0;
  slow = failing = false;
  /* Four grains in each part, with what it takes to know them. */
  cache = grain_cache_new (NR_PARTS * 4 * (SIZE + 256));
  if (!cache)
    return -1;
  owners[0] = grain_cache_owner (cache);
  owners[1] = grain_cache_owner (cache);
  return 0;
}

static int
teardown (void **state)
{
  grain_cache_free (cache);
  return 0;
}

static int
read_grain (unsigned owner, uint64_t grain, size_t offset, size_t count,
            struct vmdk_error *error)
{
  const struct grain_source source = {
    .owner = owners[owner], .grain = grain, .size = SIZE,
    .inflate = count_inflate,
  };
  uint8_t buf[SIZE];
  size_t i;

  if (grain_cache_read (cache, &source, offset, buf, count, error) == -1)
    return -1;
  for (i = 0; i < count; ++i)
    if (buf[i] != byte_of (&source, offset + i))
      return 1;
  return 0;
}

/* Read a piece, and see whether the grain was inflated for it. */
static void
check_piece (unsigned owner, uint64_t grain, bool inflates,
             const char *file, int line)
{
  const unsigned before = inflated;
  struct vmdk_error error;

  if (read_grain (owner, grain, 100, 1000, &error) != 0 ||
      inflated != before + inflates) {
    print_error ("grain %" PRIu64 ": inflated %u times\n", grain,
                 inflated - before);
    _fail (file, line);
  }
}

#define assert_inflates(owner, grain)                   \
  check_piece (owner, grain, true, __FILE__, __LINE__)
#define assert_kept(owner, grain)                       \
  check_piece (owner, grain, false, __FILE__, __LINE__)

static void
test_pieces (void **state)
{
  struct vmdk_error error;
  size_t i;

  for (i = 0; i < SIZE; ++i)
    assert_int_equal (read_grain (0, 5, i, 1, &error), 0);
  assert_int_equal (read_grain (0, 5, 0, SIZE - 1, &error), 0);
  assert_int_equal (read_grain (0, 5, 1, SIZE - 1, &error), 0);
  assert_int_equal (inflated, 1);
}

/* Whole grains are not kept, but those that are kept are used. */
static void
test_whole_grains (void **state)
{
  struct vmdk_error error;

  assert_int_equal (read_grain (0, 5, 0, SIZE, &error), 0);
  assert_int_equal (read_grain (0, 5, 0, SIZE, &error), 0);
  assert_int_equal (inflated, 2);
  assert_inflates (0, 5);
  assert_int_equal (read_grain (0, 5, 0, SIZE, &error), 0);
  assert_int_equal (inflated, 3);
  assert_kept (0, 5);
}

static void
test_owners (void **state)
{
  assert_inflates (0, 3);
  assert_inflates (1, 3);
  assert_kept (0, 3);
  assert_kept (1, 3);
}

/* Grains 0, 8, 16 and so on are in one part, with room for four: the one
 * that was not used for longest goes.
 */
static void
test_eviction (void **state)
{
  uint64_t i;

  for (i = 0; i < 4; ++i)
    assert_inflates (0, i * NR_PARTS);
  for (i = 0; i < 4; ++i)
    assert_kept (0, i * NR_PARTS);
  assert_kept (0, 0);
  assert_inflates (0, 4 * NR_PARTS);
  assert_inflates (0, 1 * NR_PARTS);    /* and 2 goes */
  assert_kept (0, 0);
  assert_kept (0, 3 * NR_PARTS);
  assert_kept (0, 4 * NR_PARTS);
  assert_inflates (0, 2 * NR_PARTS);

  /* The other parts have room of their own. */
  for (i = 1; i < NR_PARTS; ++i)
    assert_inflates (0, i);
  for (i = 1; i < NR_PARTS; ++i)
    assert_kept (0, i);
  assert_kept (0, 3 * NR_PARTS);
}

/* Neighbours do not drive each other out: a budget for 32 grains keeps
 * 32 of them.
 */
static void
test_neighbours (void **state)
{
  uint64_t i;

  for (i = 1000; i < 1032; ++i)
    assert_inflates (0, i);
  for (i = 1000; i < 1032; ++i)
    assert_kept (0, i);
  assert_inflates (0, 1032);
  assert_inflates (0, 1000);
}

/* With less room than a grain needs, all works, without keeping any. */
static void
test_no_room (void **state)
{
  grain_cache_free (cache);
  cache = grain_cache_new (0);
  assert_non_null (cache);
  assert_inflates (0, 1);
  assert_inflates (0, 1);
  assert_inflates (0, 9);
}

/* A failure is not kept, and nothing else is lost by it. */
static void
test_failure (void **state)
{
  struct vmdk_error error;

  assert_inflates (0, 8);
  failing = true;
  assert_int_equal (read_grain (0, 16, 0, 10, &error), -1);
  assert_error (&error, VMDK_ERROR_CORRUPT, EIO, "grain 16 is damaged");
  assert_int_equal (read_grain (0, 16, 0, SIZE, &error), -1);
  assert_error (&error, VMDK_ERROR_CORRUPT, EIO, "grain 16 is damaged");
  assert_kept (0, 8);
  failing = false;
  assert_inflates (0, 16);
  assert_kept (0, 16);
  assert_kept (0, 8);
}

static pthread_barrier_t barrier;
static atomic_uint succeeded, failed;

static void *
read_same (void *arg)
{
  struct vmdk_error error = { .kind = VMDK_ERROR_NONE };
  int r;

  pthread_barrier_wait (&barrier);
  r = read_grain (0, 42, 17, 1000, &error);
  if (r == 0)
    atomic_fetch_add (&succeeded, 1);
  else if (r == -1 && error.kind == VMDK_ERROR_CORRUPT &&
           strcmp (error.message, "grain 42 is damaged") == 0)
    atomic_fetch_add (&failed, 1);
  return NULL;
}

static void
run_threads (void *(*work) (void *))
{
  pthread_t threads[NR_THREADS];
  uintptr_t i;

  succeeded = failed = 0;
  assert_int_equal (pthread_barrier_init (&barrier, NULL, NR_THREADS), 0);
  for (i = 0; i < NR_THREADS; ++i)
    assert_int_equal (pthread_create (&threads[i], NULL, work, (void *) i),
                      0);
  for (i = 0; i < NR_THREADS; ++i)
    pthread_join (threads[i], NULL);
  pthread_barrier_destroy (&barrier);
}

/* Many threads want one grain: it is inflated once. */
static void
test_same_grain (void **state)
{
  slow = true;
  run_threads (read_same);
  assert_int_equal (succeeded, NR_THREADS);
  assert_int_equal (inflated, 1);
}

/* Even if it cannot be kept, nobody gets another one's bytes. */
static void
test_same_grain_no_room (void **state)
{
  grain_cache_free (cache);
  cache = grain_cache_new (0);
  assert_non_null (cache);
  slow = true;
  run_threads (read_same);
  assert_int_equal (succeeded, NR_THREADS);
  assert_int_equal (together, 0);
}

/* Each of them gets the error, and never two inflate it at once. */
static void
test_same_failure (void **state)
{
  slow = failing = true;
  run_threads (read_same);
  assert_int_equal (failed, NR_THREADS);
  assert_int_equal (together, 0);

  /* None waits for ever, and the grain may come back. */
  slow = failing = false;
  run_threads (read_same);
  assert_int_equal (succeeded, NR_THREADS);
}

/* Different grains do not wait for each other. */
static void *
read_other (void *arg)
{
  struct vmdk_error error;

  pthread_barrier_wait (&barrier);
  if (read_grain (0, (uintptr_t) arg * NR_PARTS, 0, 10, &error) == 0)
    atomic_fetch_add (&succeeded, 1);
  return NULL;
}

static void
test_different_grains (void **state)
{
  slow = true;
  run_threads (read_other);
  assert_int_equal (succeeded, NR_THREADS);
  assert_int_equal (inflated, NR_THREADS);
  assert_true (together > 0);
}

/* Pieces and whole grains of both owners, with room for a part. */
static void *
read_mixed (void *arg)
{
  uint64_t seed = (uintptr_t) arg + 1;
  struct vmdk_error error;
  unsigned i;

  pthread_barrier_wait (&barrier);
  for (i = 0; i < 3000; ++i) {
    const size_t offset = random_below (&seed, SIZE);
    const bool whole = i % 10 == 0;

    if (read_grain (i % 2, random_below (&seed, 100), whole ? 0 : offset,
                    whole ? SIZE : 1 + random_below (&seed, SIZE - offset),
                    &error) == 0)
      atomic_fetch_add (&succeeded, 1);
  }
  return NULL;
}

static void
test_mixed (void **state)
{
  run_threads (read_mixed);
  assert_int_equal (succeeded, NR_THREADS * 3000);
  assert_true (inflated < NR_THREADS * 3000);
}

/* What is not in a grain is not read. */
static void
test_too_much (void **state)
{
  const struct grain_source source = {
    .owner = owners[0], .grain = 3, .size = SIZE, .inflate = count_inflate,
  };
  static const struct {
    size_t offset, count;
  } cases[] = {
    { 0, SIZE + 1 }, { 1, SIZE }, { SIZE + 1, 0 }, { SIZE, 1 },
    { SIZE_MAX, 1 }, { 1, SIZE_MAX },
  };
  struct vmdk_error error;
  uint8_t buf[2 * SIZE];
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i)
    assert_int_equal (grain_cache_read (cache, &source, cases[i].offset, buf,
                                        cases[i].count, &error), -1);
  assert_int_equal (inflated, 0);
}

#define TEST(t) cmocka_unit_test_setup_teardown (t, setup, teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    TEST (test_pieces),
    TEST (test_whole_grains),
    TEST (test_too_much),
    TEST (test_owners),
    TEST (test_eviction),
    TEST (test_neighbours),
    TEST (test_no_room),
    TEST (test_failure),
    TEST (test_same_grain),
    TEST (test_same_grain_no_room),
    TEST (test_same_failure),
    TEST (test_different_grains),
    TEST (test_mixed),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
