/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* What several images share: each gives back what it has taken. */

#include <config.h>

#include <errno.h>

#include "image.h"
#include "memory.h"

#define EXTENT_SECTORS 1000

static struct model m;
static struct vmdk_memory *memory;
static struct captured said;
static struct vmdk_error error;

static int
setup (void **state)
{
  (void) state;
  model_init (&m, 1);
  memory = vmdk_memory_new (VMDK_CACHE_MIN);
  return memory ? 0 : -1;
}

static int
teardown (void **state)
{
  (void) state;
  vmdk_memory_free (memory);
  model_free (&m);
  return 0;
}

/* Two disks, of two sparse extents each. */
static void
make_disks (void)
{
  unsigned i;

  for (i = 0; i < 2; ++i) {
    model_add_sparse (&m, EXTENT_SECTORS, 8, 128, true);
    model_add_sparse (&m, EXTENT_SECTORS, 8, 128, true);
    folder_write_text (&m.folder, i == 0 ? "a.vmdk" : "b.vmdk",
                       m.descriptor);
    *strstr (m.descriptor, "RW") = '\0';
  }
}

static struct vmdk_image *
open_disk (const char *name)
{
  struct logger logger;
  struct vmdk_options options = { .writable = true, .memory = memory };

  captured_init (&said, &logger);
  options.log = logger.log;
  options.opaque = logger.opaque;
  return vmdk_open (folder_path (&m.folder, name), &options, &error);
}

static void
write_sector (struct vmdk_image *image, uint64_t sector)
{
  uint8_t buf[SECTOR_SIZE];

  memset (buf, 'x', sizeof buf);
  if (vmdk_pwrite (image, buf, sizeof buf, sector * SECTOR_SIZE, 0,
                   &error) == -1)
    fail_msg ("%s", error.message);
}

/* Give up the place that the first grain has. */
static void
free_grain (struct vmdk_image *image)
{
  write_sector (image, 0);
  if (vmdk_trim (image, 8 * SECTOR_SIZE, 0, 0, &error) == -1 ||
      vmdk_flush (image, &error) == -1)
    fail_msg ("%s", error.message);
}

/* Memory for changes is shared by those that have changed something, not by
 * all that could.
 */
static void
test_changed (void **state)
{
  struct vmdk_image *a, *b;

  (void) state;
  make_disks ();
  a = open_disk ("a.vmdk");
  b = open_disk ("b.vmdk");
  assert_true (a && b);
  assert_int_equal (vmdk_begin_writing (a, &error), 0);
  assert_int_equal (vmdk_begin_writing (b, &error), 0);
  assert_int_equal (atomic_load (&memory->nr_changed), 0);
  write_sector (a, 0);
  write_sector (a, EXTENT_SECTORS + 8);
  assert_int_equal (atomic_load (&memory->nr_changed), 1);
  write_sector (b, 0);
  assert_int_equal (atomic_load (&memory->nr_changed), 2);
  assert_int_equal (vmdk_end_writing (a, &error), 0);
  assert_int_equal (atomic_load (&memory->nr_changed), 1);
  assert_int_equal (vmdk_begin_writing (a, &error), 0);
  vmdk_close (a);
  assert_int_equal (atomic_load (&memory->nr_changed), 1);
  vmdk_close (b);
  assert_int_equal (atomic_load (&memory->nr_changed), 0);
}

/* What is remembered of places without a grain is forgotten when nothing is
 * written any more, and not remembered where there is no memory.
 */
static void
test_rooms (void **state)
{
  const uint64_t all = budget_left (&memory->rooms);
  struct vmdk_image *a;
  uint8_t buf[SECTOR_SIZE];

  (void) state;
  make_disks ();
  a = open_disk ("a.vmdk");
  assert_non_null (a);
  assert_int_equal (vmdk_begin_writing (a, &error), 0);
  free_grain (a);
  assert_true (budget_left (&memory->rooms) < all);
  assert_int_equal (vmdk_end_writing (a, &error), 0);
  assert_true (budget_left (&memory->rooms) == all);

  assert_true (budget_take (&memory->rooms, all));
  assert_int_equal (vmdk_begin_writing (a, &error), 0);
  free_grain (a);
  assert_int_equal (budget_left (&memory->rooms), 0);
  write_sector (a, 8);
  assert_int_equal (vmdk_pread (a, buf, sizeof buf, 8 * SECTOR_SIZE, &error),
                    0);
  assert_int_equal (buf[0], 'x');
  vmdk_close (a);
}

/* All images together have so many extents, and one too many is refused. */
static void
test_extents (void **state)
{
  struct vmdk_image *a, *b;

  (void) state;
  make_disks ();
  assert_true (budget_take (&memory->extents, MEMORY_MAX_EXTENTS - 3));
  a = open_disk ("a.vmdk");
  assert_non_null (a);
  assert_null (open_disk ("b.vmdk"));
  assert_error (&error, VMDK_ERROR_NOMEM, ENOMEM, "b.vmdk: ");
  assert_error (&error, VMDK_ERROR_NOMEM, ENOMEM, "extents together");
  vmdk_close (a);
  b = open_disk ("b.vmdk");
  assert_non_null (b);
  assert_int_equal (budget_left (&memory->extents), 1);
  vmdk_close (b);
  assert_int_equal (budget_left (&memory->extents), 3);
}

/* They count before their files are opened, which may take long; and no more
 * when that has failed.
 */
static void
test_extents_unopened (void **state)
{
  (void) state;
  folder_write_text (&m.folder, "a.vmdk",
                     "# Disk DescriptorFile\nversion=1\nCID=1\n"
                     "parentCID=ffffffff\nRW 8 ZERO\nRW 8 FLAT \"none\" 0\n");
  assert_true (budget_take (&memory->extents, MEMORY_MAX_EXTENTS - 1));
  assert_null (open_disk ("a.vmdk"));
  assert_error (&error, VMDK_ERROR_NOMEM, ENOMEM, "extents together");
  assert_int_equal (budget_left (&memory->extents), 1);
  budget_give (&memory->extents, 1);
  assert_null (open_disk ("a.vmdk"));
  assert_error (&error, VMDK_ERROR_IO, ENOENT, "none");
  assert_int_equal (budget_left (&memory->extents), 2);
}

#define TEST(t) cmocka_unit_test_setup_teardown (t, setup, teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    TEST (test_changed),
    TEST (test_rooms),
    TEST (test_extents),
    TEST (test_extents_unopened),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
