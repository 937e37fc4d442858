/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* epochs.c: nobody is still there when the wait is over. */

#include <config.h>

#include <sched.h>

#include "unit.h"

#include "epochs.h"

#define NR_THREADS 4
#define NR_PLACES 16

static struct epochs epochs;
static atomic_uint place;
static atomic_uint users[NR_PLACES];
static atomic_bool stop;
static atomic_uint late;

/* Look up the place and use it for a while. */
static void *
use (void *arg)
{
  while (!atomic_load (&stop)) {
    const unsigned epoch = epochs_enter (&epochs);
    const unsigned p = atomic_load (&place);
    int i;

    atomic_fetch_add (&users[p], 1);
    for (i = 0; i < 100; ++i)
      atomic_load (&place);
    atomic_fetch_sub (&users[p], 1);
    epochs_leave (&epochs, epoch);
    sched_yield ();
  }
  return arg;
}

/* Once the place has been changed and the wait is over, nobody is in the
 * old one, or comes there any more.
 */
static void
test_wait (void **state)
{
  pthread_t threads[NR_THREADS];
  unsigned i, k;

  (void) state;
  epochs_init (&epochs);
  for (i = 0; i < NR_THREADS; ++i)
    assert_int_equal (pthread_create (&threads[i], NULL, use, NULL), 0);
  for (i = 0; i < 200; ++i) {
    const unsigned old = atomic_load (&place);

    atomic_store (&place, (old + 1) % NR_PLACES);
    assert_true (epochs_wait (&epochs, 1000));
    for (k = 0; k < 100; ++k)
      if (atomic_load (&users[old]) != 0)
        atomic_fetch_add (&late, 1);
  }
  atomic_store (&stop, true);
  for (i = 0; i < NR_THREADS; ++i)
    pthread_join (threads[i], NULL);
  epochs_destroy (&epochs);
  assert_int_equal (atomic_load (&late), 0);
}

/* Who does not wait to the end waits for the rest the next time. */
static void
test_limit (void **state)
{
  unsigned first, second;

  (void) state;
  epochs_init (&epochs);
  first = epochs_enter (&epochs);
  assert_false (epochs_wait (&epochs, 0));
  second = epochs_enter (&epochs);
  assert_false (epochs_wait (&epochs, 0));
  assert_false (epochs_wait (&epochs, 0));
  epochs_leave (&epochs, second);
  assert_false (epochs_wait (&epochs, 0));
  assert_false (epochs_wait (&epochs, 0));
  second = epochs_enter (&epochs);
  epochs_leave (&epochs, first);
  assert_false (epochs_wait (&epochs, 0));
  first = epochs_enter (&epochs);
  epochs_leave (&epochs, second);
  assert_false (epochs_wait (&epochs, 0));
  epochs_leave (&epochs, first);
  assert_true (epochs_wait (&epochs, 0));
  epochs_destroy (&epochs);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_wait),
    cmocka_unit_test (test_limit),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
