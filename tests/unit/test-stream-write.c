/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The file that a stream writer makes, of writes in order and others. */

#include <config.h>

#include "written.h"

static const uint64_t sizes[] = {
  512, 4096, GRAIN, GRAIN + 512, 10 * GRAIN - 512, 512 * GRAIN,
  513 * GRAIN, 600 * GRAIN + 1536,
};

/* Write all of a disk, 'step' bytes at a time, every third step zeroes. */
static void
write_all (struct written *t, uint64_t step)
{
  uint64_t at, n = 0;

  for (at = 0; at < t->size; at += step, ++n) {
    const uint64_t count = min_u64 (step, t->size - at);

    if (n % 3 == 2)
      written_zero (t, at, count);
    else
      written_put (t, at, count, n % 3);
  }
}

static void
test_sizes (void **state)
{
  static const uint64_t steps[] = { 40000, GRAIN, 3 * GRAIN };
  struct written t;
  size_t i, j;

  for (i = 0; i < ARRAY_LENGTH (sizes); ++i)
    for (j = 0; j < ARRAY_LENGTH (steps); ++j) {
      written_new (&t, sizes[i], 0);
      write_all (&t, steps[j]);
      written_finish (&t);
      written_check (&t);
      written_free (&t);
    }
}

static void
test_empty (void **state)
{
  struct written t;
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (sizes); ++i) {
    written_new (&t, sizes[i], 0);
    written_finish (&t);
    written_check (&t);
    written_free (&t);
  }
}

/* In order, with data in some tables only; and pieces of zeroes in front. */
static void
test_holes (void **state)
{
  struct written t;

  written_new (&t, 3000 * GRAIN, 0);
  written_zero (&t, 0, t.size);
  written_put (&t, 7 * GRAIN, 3 * GRAIN, 0);
  written_zero (&t, 10 * GRAIN, 1500 * GRAIN);
  written_put (&t, 1510 * GRAIN, GRAIN, 1);
  written_put (&t, 1511 * GRAIN, 2 * GRAIN, 2);
  written_put (&t, 2999 * GRAIN, GRAIN, 1);
  written_read (&t, 0, t.size);
  written_finish (&t);
  written_check (&t);
  written_free (&t);
}

static void
test_backwards (void **state)
{
  static const uint64_t memories[] = { 0, 1 };
  struct written t;
  uint64_t i;
  size_t j;

  for (j = 0; j < ARRAY_LENGTH (memories); ++j) {
    written_new (&t, 100 * GRAIN, memories[j]);
    for (i = 100; i-- > 0;) {
      written_put (&t, i * GRAIN, GRAIN, i % 3);
      written_read (&t, i * GRAIN, GRAIN);
    }
    written_read (&t, 0, t.size);
    written_finish (&t);
    written_check (&t);
    written_free (&t);
  }
}

/* What is changed after it has got its place. */
static void
test_rewritten (void **state)
{
  struct written t;

  written_new (&t, 1100 * GRAIN, 0);
  write_all (&t, GRAIN);
  written_put (&t, 4 * GRAIN, GRAIN, 0);
  written_put (&t, 6 * GRAIN + 1000, 100, 0);
  written_put (&t, 7 * GRAIN, GRAIN, 2);
  written_zero (&t, 9 * GRAIN, 2 * GRAIN);
  written_zero (&t, 12 * GRAIN + 5, 10000);
  written_zero (&t, 512 * GRAIN, 512 * GRAIN);
  written_put (&t, 700 * GRAIN + 3, 5, 0);
  written_read (&t, 0, t.size);
  written_finish (&t);
  written_check (&t);
  written_free (&t);
}

/* Nothing may be written to a stream that is finished, and finishing it once
 * more changes nothing.
 */
static void
test_finished (void **state)
{
  struct vmdk_error error;
  struct written t;
  uint64_t size;

  written_new (&t, 10 * GRAIN, 0);
  written_put (&t, 0, GRAIN, 1);
  assert_int_equal (access (written_path (&t), F_OK), -1);
  written_finish (&t);
  assert_int_equal (stream_writer_pwrite (t.w, "x", 1, 0, &error), -1);
  assert_error (&error, VMDK_ERROR_UNSUPPORTED, EROFS, "finished");
  assert_int_equal (stream_writer_zero (t.w, 1, 0, &error), -1);
  assert_error (&error, VMDK_ERROR_UNSUPPORTED, EROFS, "finished");
  written_finish (&t);
  written_check (&t);
  free (read_file (written_path (&t), &size));
  assert_int_equal (stream_writer_flush (t.w, &error), 0);
  written_free (&t);
}

static void
test_allocated (void **state)
{
  struct written t;
  uint64_t length;

  written_new (&t, 2000 * GRAIN, 0);
  assert_false (stream_writer_is_allocated (t.w, 5, t.size - 5, &length));
  assert_int_equal (length, t.size - 5);
  written_put (&t, 3 * GRAIN, GRAIN, 0);
  written_put (&t, 4 * GRAIN + 10, 10, 0);
  assert_false (stream_writer_is_allocated (t.w, 0, t.size, &length));
  assert_int_equal (length, 3 * GRAIN);
  assert_true (stream_writer_is_allocated (t.w, 3 * GRAIN + 1, t.size -
                                           3 * GRAIN - 1, &length));
  assert_int_equal (length, 2 * GRAIN - 1);
  assert_true (stream_writer_is_allocated (t.w, 3 * GRAIN, 7, &length));
  assert_int_equal (length, 7);
  assert_false (stream_writer_is_allocated (t.w, 5 * GRAIN, t.size -
                                            5 * GRAIN, &length));
  assert_int_equal (length, 1995 * GRAIN);
  written_free (&t);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_sizes),
    cmocka_unit_test (test_empty),
    cmocka_unit_test (test_holes),
    cmocka_unit_test (test_backwards),
    cmocka_unit_test (test_rewritten),
    cmocka_unit_test (test_finished),
    cmocka_unit_test (test_allocated),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
