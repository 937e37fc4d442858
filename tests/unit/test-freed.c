/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* freed.c: compared with an array that says for each grain which place it
 * has left, also when memory is short.
 */

#include <config.h>

#include "unit.h"

#include "freed.h"
#include "no-memory.h"

#define NR 300
#define SIZE 16                 /* sectors of a grain */

static struct freed freed;
static uint64_t model[NR];      /* 0: not freed */

static void
visit (void *opaque, uint64_t place, uint64_t n)
{
  uint64_t *seen = opaque, i;

  for (i = 0; i < n; ++i) {
    const uint64_t grain = (place / SIZE + i) % NR;

    assert_int_equal (model[grain], place + i * SIZE);
    seen[grain]++;
  }
}

static void
check (void)
{
  uint64_t seen[NR] = { 0 };
  uint64_t i, gap;

  freed_walk (&freed, visit, seen);
  for (i = 0; i < NR; ++i)
    assert_int_equal (seen[i], model[i] != 0);
  for (i = 0; i < NR; ++i) {
    for (gap = 0; i + gap < NR && model[i + gap] == 0; ++gap)
      ;
    assert_int_equal (freed_gap (&freed, i, NR - i), gap);
  }
}

/* The place that a grain has in a round: always another one. */
static uint64_t
place_of (uint64_t grain, uint64_t round)
{
  return (round * NR + grain) * SIZE;
}

static void
add (uint64_t grain, uint64_t n, uint64_t round)
{
  struct vmdk_error error;
  uint64_t i;

  if (freed_add (&freed, grain, n, place_of (grain, round), &error) == -1) {
    assert_error (&error, VMDK_ERROR_NOMEM, 0, "");
    return;
  }
  for (i = 0; i < n; ++i)
    model[grain + i] = place_of (grain + i, round);
}

static void
take (uint64_t grain)
{
  struct vmdk_error error;
  uint64_t place = 0;
  int r;

  r = freed_take (&freed, grain, SIZE, &place, &error);
  if (r == -1) {
    assert_error (&error, VMDK_ERROR_NOMEM, 0, "");
    return;
  }
  assert_int_equal (r, model[grain] != 0);
  if (r == 1)
    assert_int_equal (place, model[grain]);
  model[grain] = 0;
}

static void
run (bool short_of_memory)
{
  uint64_t random = 17, round;

  memset (model, 0, sizeof model);
  for (round = 1; round <= 4000; ++round) {
    const uint64_t grain = next_random (&random) % NR;
    uint64_t n = 1 + next_random (&random) % 20;

    allocations_left = short_of_memory ?
      (int) (next_random (&random) % 3) : -1;
    if (next_random (&random) % 2 == 0)
      take (grain);
    else {
      n = freed_gap (&freed, grain, n < NR - grain ? n : NR - grain);
      if (n > 0)
        add (grain, n, round);
    }
    allocations_left = -1;
    check ();
  }
  freed_clear (&freed);
  assert_true (freed_is_empty (&freed));
  assert_int_equal (atomic_load (&freed.nr), 0);
}

static void
test_random (void **state)
{
  run (false);
}

static void
test_random_short_of_memory (void **state)
{
  run (true);
}

static void
test_move_and_remove (void **state)
{
  struct freed to = { 0 };
  struct vmdk_error error;

  memset (model, 0, sizeof model);
  add (10, 5, 1);
  add (20, 5, 1);
  freed_remove (&freed, 20, 5);
  memset (model + 20, 0, 5 * sizeof *model);
  check ();
  freed_move (&freed, &to);
  assert_true (freed_is_empty (&freed));
  assert_int_equal (atomic_load (&to.nr), 1);
  assert_int_equal (freed_add (&freed, 10, 5, 999, &error), 0);
  freed_clear (&freed);
  freed_clear (&to);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_random),
    cmocka_unit_test (test_random_short_of_memory),
    cmocka_unit_test (test_move_and_remove),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
