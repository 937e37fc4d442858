/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* places.c: no place is given twice, and a grain that was freed gets the
 * place that it has left, or none, until that has been collected.
 */

#include <config.h>

#include <errno.h>

#include "unit.h"

#include "no-memory.h"
#include "places.h"

#define SIZE 8                  /* sectors of a grain */
#define START 21                /* not aligned */
#define BUDGET 1792             /* bytes: for 16 places, 48, 112 */

/* A file that does not get larger than 'limit' bytes. */
static struct io io;
static uint64_t limit;
static int limit_errno;
static unsigned truncates;

static int
truncate_file (struct io *f, uint64_t size, struct vmdk_error *error)
{
  truncates++;
  if (size > limit)
    return error_sys (error, limit_errno, "ftruncate: %s", f->name);
  atomic_store (&f->size, size);
  return 0;
}

static const struct io_ops ops = { .truncate = truncate_file };

static struct budget budget;
static struct places places;
static char name[] = "t.vmdk";

static void
begin (bool aligned)
{
  io = (struct io) {
    .ops = &ops, .name = name, .size = 100 * SECTOR_SIZE, .writable = true,
  };
  limit = UINT64_MAX;
  truncates = 0;
  budget_init (&budget, BUDGET);
  places = (struct places) {
    .io = &io, .grain_size = SIZE, .aligned = aligned, .budget = &budget,
  };
  places_begin (&places, START);
}

static void
check_find (uint64_t grain, uint64_t n, uint64_t got, uint64_t place,
            enum origin origin, int line)
{
  struct vmdk_error error;
  enum origin o;
  uint64_t p;

  if (places_find (&places, grain, &n, &p, &o, &error) == -1) {
    print_error ("%s\n", error.message);
    _fail (__FILE__, line);
  }
  if (n != got || p != place || o != origin) {
    print_error ("got %" PRIu64 " grains at %" PRIu64 ", origin %d\n", n, p,
                 o);
    _fail (__FILE__, line);
  }
}

#define assert_found(grain, n, got, place, origin)              \
  check_find (grain, n, got, place, origin, __LINE__)

static void
test_from_the_end (void **state)
{
  struct vmdk_error error;
  uint64_t place;

  begin (true);
  /* The file has been written up to its end. */
  assert_found (5, 3, 3, 24, ORIGIN_USED);
  assert_int_equal (truncates, 0);
  assert_int_equal (places_take_end (&places, 10, &place, &error), 0);
  assert_int_equal (place, 48);
  assert_found (1, 10, 10, 64, ORIGIN_USED);
  assert_int_equal (truncates, 1);
  assert_found (20, 1, 1, 144, ORIGIN_CLEAN);
  places_destroy (&places);

  begin (false);
  assert_found (5, 3, 3, START, ORIGIN_USED);
  places_destroy (&places);
}

/* What was written and given back is not clean when it is given again. */
static void
test_return_end (void **state)
{
  struct vmdk_error error;
  uint64_t place;

  begin (true);
  assert_int_equal (places_take_end (&places, 200, &place, &error), 0);
  assert_int_equal (places_take_end (&places, 20, &place, &error), 0);
  assert_int_equal (place, 224);
  places_return_end (&places, place);
  assert_found (1, 4, 4, 224, ORIGIN_USED);
  assert_found (9, 1, 1, 256, ORIGIN_CLEAN);
  places_destroy (&places);
}

static void
test_rooms (void **state)
{
  begin (true);
  places_add (&places, 1000, 4);
  places_add (&places, 2000, 2);
  assert_found (1, 3, 2, 2000, ORIGIN_USED);
  assert_found (3, 3, 3, 1000, ORIGIN_USED);
  assert_found (6, 3, 1, 1024, ORIGIN_USED);
  places_return (&places, 6, 1, 1024, ORIGIN_USED);
  assert_found (6, 3, 1, 1024, ORIGIN_USED);
  assert_found (7, 1, 1, 24, ORIGIN_USED);
  places_add (&places, 1000, 4);
  places_forget (&places);
  places_begin (&places, 80);
  assert_found (7, 1, 1, 80, ORIGIN_USED);
  places_destroy (&places);
}

/* Places are remembered as long as there is memory, which is given back. */
static void
test_budget (void **state)
{
  uint64_t n, i;

  begin (true);
  for (n = 0; budget_left (&budget) > 0; ++n) {
    assert_true (n < BUDGET);
    places_add (&places, 1000 + n * SIZE, 1);
  }
  while (places.nr_rooms < places.max_rooms)
    places_add (&places, 1000 + n++ * SIZE, 1);
  places_add (&places, 1000 + n * SIZE, 1);
  for (i = n; i-- > 0;)
    assert_found (2 * i, 1, 1, 1000 + i * SIZE, ORIGIN_USED);
  assert_found (1, 1, 1, 24, ORIGIN_USED);
  places_forget (&places);
  assert_true (budget_left (&budget) == BUDGET);
  places_destroy (&places);
}

static void
test_freed_returns (void **state)
{
  struct freed collected = { 0 };
  struct vmdk_error error;

  begin (true);
  places_add (&places, 1000, 9);
  assert_int_equal (freed_add (&places.freed, 10, 3, 5000, &error), 0);
  assert_found (8, 9, 2, 1000, ORIGIN_USED);
  assert_found (11, 9, 1, 5008, ORIGIN_OWN);
  places_return (&places, 11, 1, 5008, ORIGIN_OWN);
  assert_found (11, 9, 1, 5008, ORIGIN_OWN);
  assert_found (12, 9, 1, 5016, ORIGIN_OWN);

  /* Once they have been collected they get what comes. */
  places_return (&places, 12, 1, 5016, ORIGIN_OWN);
  places_collect (&places, &collected);
  assert_found (12, 1, 1, 1016, ORIGIN_USED);
  freed_clear (&collected);
  places_destroy (&places);
}

/* If a grain that was freed cannot be kept in mind, none gets another place
 * until all that were have been collected.
 */
static void
test_freed_is_forgotten (void **state)
{
  struct freed collected = { 0 };
  struct vmdk_error error;
  enum origin origin;
  uint64_t place, n = 1;

  begin (true);
  assert_int_equal (freed_add (&places.freed, 10, 1, 5000, &error), 0);
  assert_found (10, 1, 1, 5000, ORIGIN_OWN);
  allocations_left = 0;
  places_return (&places, 10, 1, 5000, ORIGIN_OWN);
  allocations_left = -1;
  assert_int_equal (places_find (&places, 10, &n, &place, &origin, &error),
                    -1);
  assert_error (&error, VMDK_ERROR_NOMEM, ENOMEM, "");
  places_collect (&places, &collected);
  assert_found (10, 1, 1, 24, ORIGIN_USED);
  places_destroy (&places);
}

/* A file system that does not take so much at once may take what is needed.
 */
static void
check_limit (int err)
{
  struct vmdk_error error;
  enum origin origin;
  uint64_t place, n = 20;

  begin (true);
  limit_errno = err;
  limit = 24 * SECTOR_SIZE + 20 * SIZE * SECTOR_SIZE;
  assert_found (1, 20, 20, 24, ORIGIN_USED);
  assert_int_equal (places_find (&places, 40, &n, &place, &origin, &error),
                    -1);
  assert_error (&error, VMDK_ERROR_IO, err, "t.vmdk");
  limit = UINT64_MAX;
  assert_found (40, 20, 20, 184, ORIGIN_CLEAN);
  places_destroy (&places);
}

static void
test_limit (void **state)
{
  check_limit (EFBIG);
  check_limit (ENOSPC);
}

/* 32 bit entries cannot name what lies behind 2 TiB. */
static void
test_two_tib (void **state)
{
  struct vmdk_error error;
  enum origin origin;
  uint64_t place, n = 20;

  begin (true);
  places_begin (&places, UINT64_C (0xffffffff) - 7);
  assert_int_equal (places_find (&places, 40, &n, &place, &origin, &error),
                    -1);
  assert_error (&error, VMDK_ERROR_IO, ENOSPC, "2 TiB");
  places_destroy (&places);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_from_the_end),
    cmocka_unit_test (test_return_end),
    cmocka_unit_test (test_rooms),
    cmocka_unit_test (test_budget),
    cmocka_unit_test (test_freed_returns),
    cmocka_unit_test (test_freed_is_forgotten),
    cmocka_unit_test (test_limit),
    cmocka_unit_test (test_two_tib),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
