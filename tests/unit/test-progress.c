/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* What the log says of work that takes long, and how that is stopped. */

#include <config.h>

#include <errno.h>
#include <unistd.h>

#include "progress.h"
#include "unit.h"

#define TOTAL (UINT64_C (40) << 20)

static struct captured said;
static struct logger logger;
static unsigned asked, stop_at;

static bool
stop (void *opaque)
{
  assert_ptr_equal (opaque, &said);
  return ++asked == stop_at;
}

static int
setup (void **state)
{
  (void) state;
  captured_init (&said, &logger);
  asked = stop_at = 0;
  return 0;
}

/* Do the work in so many steps.  Returns how many were done. */
static unsigned
work (uint64_t total, unsigned steps, struct vmdk_error *error)
{
  struct progress p;
  unsigned i;

  progress_begin (&p, &logger, "d.vmdk", "working", total);
  for (i = 0; i < steps; ++i)
    if (progress_at (&p, total / steps * i, error) == -1)
      break;
  return i;
}

static void
test_tenths (void **state)
{
  struct vmdk_error error;

  (void) state;
  assert_int_equal (work (TOTAL, 100000, &error), 100000);
  assert_string_equal (said.text,
                       "d.vmdk: working\n"
                       "d.vmdk: working: 10 %\n"
                       "d.vmdk: working: 20 %\n"
                       "d.vmdk: working: 30 %\n"
                       "d.vmdk: working: 40 %\n"
                       "d.vmdk: working: 50 %\n"
                       "d.vmdk: working: 60 %\n"
                       "d.vmdk: working: 70 %\n"
                       "d.vmdk: working: 80 %\n"
                       "d.vmdk: working: 90 %\n");
  assert_int_equal (said.warnings, 0);
}

/* Few steps: each tenth at most once. */
static void
test_large_steps (void **state)
{
  struct vmdk_error error;

  (void) state;
  assert_int_equal (work (TOTAL, 3, &error), 3);
  assert_string_equal (said.text,
                       "d.vmdk: working\n"
                       "d.vmdk: working: 30 %\n"
                       "d.vmdk: working: 60 %\n");
}

/* More was done than was expected, and nearly all that there can be. */
static void
test_extremes (void **state)
{
  struct vmdk_error error;
  struct progress p;

  (void) state;
  progress_begin (&p, &logger, "d.vmdk", "working", UINT64_MAX);
  assert_int_equal (progress_at (&p, UINT64_MAX - 1, &error), 0);
  assert_logged (&said, 0, "90 %");
  progress_begin (&p, &logger, "d.vmdk", "working", TOTAL);
  assert_int_equal (progress_at (&p, UINT64_MAX, &error), 0);
  assert_logged (&said, 0, "100 %");
  progress_begin (&p, &logger, "d.vmdk", "working", 0);
  assert_int_equal (progress_at (&p, 0, &error), 0);
}

static void
test_little (void **state)
{
  struct vmdk_error error;

  (void) state;
  assert_int_equal (work (PROGRESS_MIN - 1, 1000, &error), 1000);
  assert_string_equal (said.text, "");
}

/* Little work can be stopped, too, and not only when a tenth has been done.
 * It is asked at once, and then now and then.
 */
static void
test_interrupted (void **state)
{
  const uint64_t totals[] = { 0, 1000, TOTAL };
  struct vmdk_error error;
  struct progress p;
  unsigned i;

  for (i = 0; i < ARRAY_LENGTH (totals); ++i) {
    uint64_t calls = 0;

    setup (state);
    logger.interrupted = stop;
    stop_at = 3;
    progress_begin (&p, &logger, "d.vmdk", "working", totals[i]);
    alarm (60);
    while (progress_at (&p, 0, &error) == 0) {
      calls++;
      assert_in_range (asked, 1, 2);
    }
    alarm (0);
    assert_in_range (calls, 100, UINT64_MAX);
    assert_int_equal (asked, 3);
    assert_error (&error, VMDK_ERROR_INTERRUPTED, EINTR,
                  "d.vmdk: working: was interrupted");
  }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup (test_tenths, setup),
    cmocka_unit_test_setup (test_large_steps, setup),
    cmocka_unit_test_setup (test_extremes, setup),
    cmocka_unit_test_setup (test_little, setup),
    cmocka_unit_test_setup (test_interrupted, setup),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
