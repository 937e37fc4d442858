/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* A descriptor can have thousands of lines, each of a small file.  Each table
 * keeps its small directory, but only as many as there is memory for; and to
 * be ready for changes takes little, too.
 */

#include <config.h>

#include <malloc.h>

#include "gtable-pages.h"
#include "gtable-write.h"
#include "tables.h"

#define NR 100
#define TABLES UINT64_C (200)
#define E UINT64_C (128)
#define PLACE UINT64_C (1000000)

/* How many have theirs, and in how many bytes of memory? */
static size_t
count_kept (struct gtable *const *gts, size_t *bytes)
{
  size_t i, n = 0;

  *bytes = 0;
  for (i = 0; i < NR; ++i) {
    const struct table_page *page =
      gts[i] ? atomic_load (&gts[i]->small_directory) : NULL;

    n += page != NULL;
    *bytes += page ? page->bytes : 0;
  }
  return n;
}

static void
read_through (struct tables *t, struct gtable *gt)
{
  t->gt = gt;
  assert_run (t, 150 * E + 7, 1, PLACE, 1);
  assert_run (t, 150 * E + 8, 1, ENTRY_HOLE, 1);
}

static void
test_many (void **state)
{
  const size_t budget = 64 * 1024;
  struct gtable *gts[NR];
  size_t i, n, bytes;
  struct tables t;

  tables_init (&t, 4, E, TABLES * E, 16, false);
  tables_set_grain (&t, 0, 150 * E + 7, PLACE);
  table_cache_free (t.layout.cache);
  t.layout.cache = table_cache_new (budget);
  assert_non_null (t.layout.cache);
  for (i = 0; i < NR; ++i) {
    gts[i] = gtable_new (&t.layout);
    assert_non_null (gts[i]);
    read_through (&t, gts[i]);
  }
  n = count_kept (gts, &bytes);
  assert_in_range (bytes, budget / 4 - bytes / n, budget / 4);
  assert_in_range (n, 2, NR / 2);

  /* Those without read as well; and one has room when another has gone. */
  for (i = 0; i < NR; ++i)
    read_through (&t, gts[i]);
  assert_int_equal (count_kept (gts, &bytes), n);
  assert_null (atomic_load (&gts[NR - 1]->small_directory));
  gtable_free (gts[0]);
  gts[0] = NULL;
  assert_int_equal (count_kept (gts, &bytes), n - 1);
  read_through (&t, gts[NR - 1]);
  assert_non_null (atomic_load (&gts[NR - 1]->small_directory));
  assert_int_equal (count_kept (gts, &bytes), n);

  for (i = 0; i < NR - 1; ++i)
    gtable_free (gts[i]);
  tables_free (&t);
}

static void
test_ready (void **state)
{
  struct gtable *gts[NR];
  struct vmdk_error error;
  struct tables t;
  size_t i, before;

  (void) state;
  tables_init (&t, 4, E, 3 * E, 16, false);
  before = mallinfo2 ().uordblks;
  for (i = 0; i < NR; ++i) {
    gts[i] = gtable_new (&t.layout);
    assert_non_null (gts[i]);
    assert_int_equal (gtable_begin_changes (gts[i], &error), 0);
  }
  assert_true (mallinfo2 ().uordblks - before < NR * 1024);
  for (i = 0; i < NR; ++i)
    gtable_free (gts[i]);
  tables_free (&t);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_many),
    cmocka_unit_test (test_ready),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
