/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* gtable-write.c: a change is made whole or not at all, whether it is a
 * table that cannot be read or memory that is short.
 */

#include <config.h>

#include "tables.h"

#include "gtable-write.h"
#include "no-memory.h"

#define E 512
#define NR (E * 300)
#define BASE UINT64_C (1000000)
#define OTHER UINT64_C (90000000)

static int
write_tables (struct io *io, const void *buf, size_t count, uint64_t offset,
              struct vmdk_error *error)
{
  struct tables *t = ((struct tables_io *) io)->t;

  (void) error;
  assert_true (offset + count <= t->size);
  memcpy (t->data + offset, buf, count);
  return 0;
}

static bool
is_stored (struct io *io, uint64_t offset, uint64_t count, uint64_t *length)
{
  (void) io;
  (void) offset;
  *length = count;
  return true;
}

static const struct io_ops ops = {
  .pread = tables_pread, .pwrite = write_tables, .is_stored = is_stored,
};

static void
init (struct tables *t)
{
  struct vmdk_error error;
  uint64_t i;

  tables_init (t, 4, E, NR, 16, true);
  for (i = 0; i < NR; ++i)
    tables_set_grains (t, i, BASE + 16 * i);
  /* A table that does not exist. */
  tables_set_table (t, 0, 9, 0);
  tables_set_table (t, 1, 9, 0);
  t->io.io.ops = &ops;
  t->io.io.writable = true;
  tables_open (t);
  assert_int_equal (gtable_begin_changes (t->gt, &error), 0);
}

static void
publish (struct tables *t)
{
  struct gtable_collected collected;
  struct vmdk_error error;

  assert_int_equal (gtable_collect (t->gt, &collected, &error), 0);
  assert_int_equal (gtable_write (t->gt, &collected, &error), 0);
  gtable_collected_free (t->gt, &collected, true);
}

static bool
second_table (struct tables *t, uint64_t offset, size_t count)
{
  const uint64_t sector[2] = { tables_sector (t, 0, 4),
                               tables_sector (t, 1, 4) };
  unsigned i;

  for (i = 0; i < 2; ++i)
    if (offset < (sector[i] + 4) * SECTOR_SIZE &&
        offset + count > sector[i] * SECTOR_SIZE)
      return true;
  return false;
}

/* Grains of three tables, of which the second cannot be read. */
static void
test_unreadable_table (void **state)
{
  struct tables t;
  struct vmdk_error error;

  init (&t);
  t.fails = second_table;
  assert_int_equal (gtable_change (t.gt, 3 * E + 500, 2 * E, ENTRY_HOLE,
                                   &error), -1);
  assert_error (&error, VMDK_ERROR_IO, EIO, "cannot be read");
  assert_run (&t, 3 * E, E, BASE + 3 * E * 16, E);
  assert_run (&t, 5 * E, E, BASE + 5 * E * 16, E);
  t.fails = NULL;
  assert_run (&t, 0, 9 * E, BASE, 9 * E);
  publish (&t);
  assert_run (&t, 0, 9 * E, BASE, 9 * E);
  tables_free (&t);
}

/* A table with an entry that is bad is not changed: what that was in the file
 * would be lost.
 */
static void
test_bad_entry (void **state)
{
  struct tables t;
  struct vmdk_error error;

  (void) state;
  init (&t);
  tables_set_grains (&t, 5 * E + 3, 2);
  tables_set_grains (&t, 5 * E + 4, tables_sector (&t, 0, 5));
  assert_int_equal (gtable_change (t.gt, 3 * E, 3 * E, ENTRY_HOLE, &error),
                    -1);
  assert_error (&error, VMDK_ERROR_CORRUPT, EIO, "is damaged");
  publish (&t);
  assert_run (&t, 0, 5 * E + 3, BASE, 5 * E + 3);
  assert_run (&t, 5 * E + 3, 2, ENTRY_BAD, 2);
  assert_run (&t, 5 * E + 5, 4 * E - 5, BASE + (5 * E + 5) * 16, 4 * E - 5);
  /* Others are. */
  assert_int_equal (gtable_change (t.gt, 3 * E, E, OTHER, &error), 0);
  assert_run (&t, 3 * E, E, OTHER, E);
  tables_free (&t);
}

/* Each allocation of a change in turn. */
static void
test_change_without_memory (void **state)
{
  struct gtable_collected collected;
  struct tables t;
  struct vmdk_error error;
  int i, r = -1;

  init (&t);
  for (i = 0; r == -1; ++i) {
    assert_in_range (i, 0, 99);

    /* Pages that somebody holds have to be copied. */
    assert_int_equal (gtable_change (t.gt, 2 * E, E + 1,
                                     BASE + 2 * E * 16, &error), 0);
    assert_int_equal (gtable_collect (t.gt, &collected, &error), 0);

    allocations_left = i;
    r = gtable_change (t.gt, E + 7, 4 * E, OTHER, &error);
    allocations_left = -1;
    if (r == -1) {
      assert_error (&error, VMDK_ERROR_NOMEM, ENOMEM, "");
      assert_run (&t, 0, 9 * E, BASE, 9 * E);
    }
    gtable_collected_free (t.gt, &collected, false);
  }
  assert_true (i > 3);
  assert_run (&t, 0, E + 7, BASE, E + 7);
  assert_run (&t, E + 7, 4 * E, OTHER, 4 * E);
  assert_run (&t, 5 * E + 7, E, BASE + (5 * E + 7) * 16, E);
  tables_free (&t);
}

/* A table gets into both directories or into none. */
static void
test_add_table_without_memory (void **state)
{
  struct tables t;
  struct vmdk_error error;
  int i, r = -1;

  init (&t);
  for (i = 0; r == -1; ++i) {
    struct gtable_collected collected;
    unsigned copy;

    assert_in_range (i, 0, 99);
    assert_int_equal (gtable_collect (t.gt, &collected, &error), 0);
    allocations_left = i;
    r = gtable_add_table (t.gt, 9 * E, tables_sector (&t, 0, 9),
                          tables_sector (&t, 1, 9), &error);
    allocations_left = -1;
    gtable_collected_free (t.gt, &collected, true);
    publish (&t);
    for (copy = 0; copy < 2; ++copy)
      assert_int_equal (load_le32 (t.data +
                                   t.layout.directory[copy] * SECTOR_SIZE +
                                   9 * 4),
                        r == -1 ? 0 : tables_sector (&t, copy, 9));
    assert_int_equal (gtable_has_table (t.gt, 9 * E, &error), r == 0);
  }
  assert_true (i > 2);
  tables_free (&t);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_unreadable_table),
    cmocka_unit_test (test_bad_entry),
    cmocka_unit_test (test_change_without_memory),
    cmocka_unit_test (test_add_table_without_memory),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
