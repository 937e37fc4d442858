/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Where grains go while they wait, and when they do not any more.  What the
 * files get is counted by a hook around them.
 */

#include <config.h>

#include "counted.h"
#include "stream-grains.h"
#include "written.h"

/* With this memory hardly anything can wait in it. */
#define SMALL 1

/* Enough for gaps to be given up. */
#define MANY 2400

static void
written_new_counted (struct written *t, struct counted *c, uint64_t size,
                     uint64_t memory)
{
  struct vmdk_error error;

  counted_init (c);
  written_try (t, size, memory, &c->hook, &error);
  if (!t->w)
    fail_msg ("%s", error.message);
}

/* What comes in order is written once, in one file, and not read. */
static void
test_in_order (void **state)
{
  static struct counted c;
  struct written t;
  uint64_t i;

  written_new_counted (&t, &c, 600 * GRAIN, SMALL);
  for (i = 0; i < 600; ++i)
    if (i % 7 == 6)
      written_zero (&t, i * GRAIN, GRAIN);
    else
      written_put (&t, i * GRAIN, GRAIN, 0);
  written_finish (&t);
  assert_int_equal (c.nr_files, 1);
  assert_int_equal (c.bytes_read, 0);
  assert_int_equal (c.bytes_written, c.sizes[0]);
  written_check (&t);
  written_free (&t);
}

/* The same in small pieces. */
static void
test_in_order_small (void **state)
{
  static struct counted c;
  struct written t;
  uint64_t at;

  written_new_counted (&t, &c, 50 * GRAIN, SMALL);
  for (at = 0; at < t.size; at += 3001)
    written_put (&t, at, min_u64 (3001, t.size - at), 0);
  written_finish (&t);
  assert_int_equal (c.nr_files, 1);
  assert_int_equal (c.bytes_read, 0);
  assert_int_equal (c.bytes_written, c.sizes[0]);
  written_check (&t);
  written_free (&t);
}

/* Slots in the temporary file are used again. */
static void
test_slots (void **state)
{
  static struct counted c;
  struct written t;
  uint64_t i, j;

  written_new_counted (&t, &c, 2000 * GRAIN, SMALL);
  for (i = 0; i < 2000; i += 50)
    for (j = 50; j-- > 0;)
      written_put (&t, (i + j) * GRAIN, GRAIN, 0);
  written_finish (&t);
  assert_int_equal (c.nr_files, 2);
  assert_true (c.sizes[1] > 30 * GRAIN && c.sizes[1] < 60 * GRAIN);
  written_check (&t);
  written_free (&t);
}

/* A gap that nobody fills is waited for a while, and then no longer. */
static void
test_gap (void **state)
{
  static struct counted c;
  struct written t;
  uint64_t i;

  written_new_counted (&t, &c, MANY * GRAIN, SMALL);
  written_put (&t, 0, 100, 0);
  for (i = 20; i < MANY; ++i)
    written_put (&t, i * GRAIN, GRAIN, 1);
  assert_true (c.sizes[0] > 2000 * 512);
  written_finish (&t);
  assert_int_equal (c.nr_files, 2);
  assert_true (c.sizes[1] < 2200 * UINT64_C (69632));
  written_check (&t);
  written_free (&t);
}

/* One that is filled slowly is waited for. */
static void
test_slow (void **state)
{
  static struct counted c;
  struct written t;
  uint64_t i;

  written_new_counted (&t, &c, (MANY + 10) * GRAIN, SMALL);
  for (i = 0; i < MANY; ++i) {
    written_put (&t, (10 + i) * GRAIN, GRAIN, 1);
    if (i % 300 == 0)
      written_put (&t, i / 300 * GRAIN, GRAIN, 1);
  }
  for (i = 8; i < 10; ++i)
    written_put (&t, i * GRAIN, GRAIN, 1);
  written_finish (&t);
  assert_int_equal (c.nr_files, 2);
  written_check (&t);
  written_free (&t);
}

/* What comes after all makes the file be put together anew. */
static void
test_late (void **state)
{
  static struct counted c;
  struct written t;
  uint64_t i;

  written_new_counted (&t, &c, MANY * GRAIN, SMALL);
  for (i = 20; i < MANY; ++i)
    written_put (&t, i * GRAIN, GRAIN, 1);
  for (i = 0; i < 20; i += 2) {
    written_put (&t, i * GRAIN, GRAIN, 1);
    written_put (&t, (i + 1) * GRAIN + 700, 3000, 0);
  }
  written_read (&t, 0, 30 * GRAIN);
  written_finish (&t);
  assert_int_equal (c.nr_files, 3);
  written_check (&t);
  written_free (&t);
}

/* How many grains were counted as alike in all. */
static uint64_t counted_alike;

extern uint64_t __real_grain_map_uniform (const struct grain_map *map,
                                          uint64_t grain, uint64_t max,
                                          uint32_t *place);
extern uint64_t __wrap_grain_map_uniform (const struct grain_map *map,
                                          uint64_t grain, uint64_t max,
                                          uint32_t *place);

uint64_t
__wrap_grain_map_uniform (const struct grain_map *map, uint64_t grain,
                          uint64_t max, uint32_t *place)
{
  const uint64_t n = __real_grain_map_uniform (map, grain, max, place);

  counted_alike += n;
  return n;
}

/* Behind a large area that nothing was written to, writes are no slower: it
 * is not looked through for each.
 */
static void
test_far (void **state)
{
  const uint64_t nr_grains = UINT64_C (1) << 24, first = nr_grains / 2;
  static uint8_t data[GRAIN];
  char descriptor[1024];
  struct stream_create_options options = {
    .size = nr_grains * GRAIN, .compress_level = 1, .descriptor = descriptor,
  };
  struct stream_writer *w;
  struct vmdk_error error;
  struct folder folder;
  uint64_t i;

  folder_new (&folder);
  options.path = folder_path (&folder, "new.vmdk");
  written_descriptor (descriptor, sizeof descriptor, options.size);
  w = stream_writer_create (&options, &error);
  assert_non_null (w);
  counted_alike = 0;
  for (i = 0; i < 100; ++i) {
    memset (data, 1 + (int) i, sizeof data);
    assert_int_equal (stream_writer_pwrite (w, data, GRAIN,
                                            (first + i) * GRAIN, &error), 0);
  }
  assert_true (counted_alike < nr_grains);
  assert_int_equal (stream_writer_finish (w, &error), 0);
  /* Each table once, in the end. */
  assert_true (counted_alike <= nr_grains);
  assert_int_equal (stream_writer_pread (w, data, GRAIN, (first + 7) * GRAIN,
                                         &error), 0);
  assert_int_equal (data[GRAIN - 1], 8);
  stream_writer_free (w);
  folder_remove (&folder);
}

/* Zeroes in all of the disk, as a preparation, do not make all that comes
 * then late.
 */
static void
test_prepared (void **state)
{
  static struct counted c;
  struct written t;
  uint64_t i;

  written_new_counted (&t, &c, 1500 * GRAIN, SMALL);
  written_zero (&t, 0, t.size);
  for (i = 0; i < 1500; i += 2) {
    written_put (&t, (i + 1) * GRAIN, GRAIN, 1);
    written_put (&t, i * GRAIN, GRAIN, 1);
  }
  written_finish (&t);
  assert_true (c.nr_files <= 2);
  written_check (&t);
  written_free (&t);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_in_order),
    cmocka_unit_test (test_in_order_small),
    cmocka_unit_test (test_slots),
    cmocka_unit_test (test_gap),
    cmocka_unit_test (test_slow),
    cmocka_unit_test (test_late),
    cmocka_unit_test (test_far),
    cmocka_unit_test (test_prepared),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
