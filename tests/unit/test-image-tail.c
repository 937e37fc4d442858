/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The end of a sparse extent: lines that are longer or shorter than the
 * header's capacity, capacities that are not whole grains, and files
 * that end inside the last grain.
 */

#include <config.h>

#include "image.h"

#define GRAIN UINT64_C (16)

static struct model m;
static struct captured logged;

/* A disk of one extent whose file is full of data.  The model holds what
 * the file has, up to the end of its last grain.
 */
static struct vmdk_image *
open_one (uint64_t capacity, uint64_t line, uint64_t cut,
          struct vmdk_error *error)
{
  const struct sparse_spec spec = {
    .capacity = capacity, .grain_size = GRAIN, .entries = 64,
    .redundant = true, .cut = cut,
  };
  struct vmdk_image *image;

  model_init (&m, capacity);
  sparse_write (&m, "sparse", &spec, true, m.bytes, m.kinds);
  model_add (&m, "RW", line, "SPARSE \"sparse\"", SECTOR_DATA);
  folder_write_text (&m.folder, "disk.vmdk", m.descriptor);
  image = open_path (folder_path (&m.folder, "disk.vmdk"), 0, &logged,
                     error);
  if (image)
    assert_true (vmdk_size (image) == line * SECTOR_SIZE);
  return image;
}

/* Every sector alone, and ranges to the end. */
static void
check_all (struct vmdk_image *image)
{
  const uint64_t size = m.sectors * SECTOR_SIZE;
  uint64_t offset;

  for (offset = 0; offset < size; offset += 512)
    if (!model_read_is_right (&m, image, offset, 512) ||
        !model_read_is_right (&m, image, offset, size - offset) ||
        !model_read_is_right (&m, image, offset + 5, size - offset - 5))
      fail_msg ("sector %" PRIu64, offset / 512);
}

static void
test_line_equals_capacity (void **state)
{
  static const uint64_t capacities[] = { 1, 15, 16, 17, 160, 163, 1025 };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (capacities); ++i) {
    struct vmdk_error error;
    struct vmdk_image *image = open_one (capacities[i], capacities[i], 0,
                                         &error);

    assert_non_null (image);
    assert_string_equal (logged.text, "");
    check_all (image);
    vmdk_close (image);
    model_free (&m);
  }
}

/* The header is rounded up to a grain, the line is not. */
static void
test_line_shorter (void **state)
{
  struct vmdk_error error;
  struct vmdk_image *image = open_one (160, 147, 0, &error);

  assert_non_null (image);
  assert_string_equal (logged.text, "");
  check_all (image);
  vmdk_close (image);
  model_free (&m);
}

/* The line is longer by less than a grain, and the last grain has what
 * it wants.
 */
static void
test_line_longer_in_last_grain (void **state)
{
  struct vmdk_error error;
  struct vmdk_image *image = open_one (163, 176, 0, &error);

  assert_non_null (image);
  assert_logged (&logged, 1, "sparse: the descriptor gives this extent 176 "
                 "sectors, its header has 163");
  check_all (image);
  vmdk_close (image);
  model_free (&m);
}

/* The file ends at some sector of the last grain behind the capacity:
 * the rest reads as zeroes.
 */
static void
test_line_longer_than_file (void **state)
{
  uint64_t missing;

  for (missing = 1; missing <= 13; ++missing) {
    struct vmdk_error error;
    struct vmdk_image *image = open_one (163, 176, missing * 512, &error);

    assert_non_null (image);
    memset (m.bytes + (176 - missing) * 512, 0, missing * 512);
    check_all (image);
    vmdk_close (image);
    model_free (&m);
  }
}

/* In the middle of a sector. */
static void
test_file_ends_inside_a_sector (void **state)
{
  struct vmdk_error error;
  struct vmdk_image *image = open_one (163, 176, 1000, &error);

  assert_non_null (image);
  memset (m.bytes + 176 * 512 - 1000, 0, 1000);
  check_all (image);
  vmdk_close (image);
  model_free (&m);
}

/* Behind whole grains there is nothing. */
static void
test_line_longer_than_all_grains (void **state)
{
  struct vmdk_error error;
  struct vmdk_image *image = open_one (160, 175, 0, &error);

  assert_non_null (image);
  assert_logged (&logged, 1, "zeroes");
  memset (m.bytes + 160 * 512, 0, 15 * 512);
  check_all (image);
  vmdk_close (image);
  model_free (&m);
}

/* By one grain or more: the header and the line are not of one disk. */
static void
test_line_much_longer (void **state)
{
  static const uint64_t lines[] = { 176, 177, 1000 };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (lines); ++i) {
    struct vmdk_error error;

    assert_null (open_one (160, lines[i], 0, &error));
    assert_error (&error, VMDK_ERROR_CORRUPT, 0,
                  "sparse: the descriptor gives this extent");
    model_free (&m);
  }
}

/* The file ends inside the capacity: what is missing fails, and all that
 * is there is read.
 */
static void
test_truncated (void **state)
{
  static const uint64_t cuts[] = { 512, 1024, 13 * 512 };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cuts); ++i) {
    struct vmdk_error error;
    struct vmdk_image *image = open_one (160, 160, cuts[i], &error);
    const uint64_t there = 160 * 512 - cuts[i];
    enum vmdk_allocation allocation;
    uint64_t offset, length;
    uint8_t buf[512];

    assert_non_null (image);
    for (offset = 0; offset < there; offset += 512)
      assert_true (model_read_is_right (&m, image, offset, 512));
    assert_true (model_read_is_right (&m, image, 0, there));
    for (; offset < 160 * 512; offset += 512) {
      assert_int_equal (vmdk_pread (image, buf, 512, offset, &error), -1);
      assert_error (&error, VMDK_ERROR_IO, EIO, "sparse: ");
      assert_error (&error, VMDK_ERROR_IO, EIO, "end of file");
    }
    assert_int_equal (vmdk_is_allocated (image, 0, 160 * 512, &allocation,
                                         &length, &error), 0);
    assert_int_equal (allocation, VMDK_ALLOCATED);
    assert_int_equal (length, 160 * 512);
    vmdk_close (image);
    model_free (&m);
  }
}

/* Whole grains are missing: their entries point behind the end. */
static void
test_truncated_by_grains (void **state)
{
  struct vmdk_error error;
  struct vmdk_image *image = open_one (160, 160, 2 * GRAIN * 512, &error);
  uint8_t buf[512];
  uint64_t sector;

  assert_non_null (image);
  assert_true (model_read_is_right (&m, image, 0, 128 * 512));
  for (sector = 128; sector < 160; ++sector) {
    assert_int_equal (vmdk_pread (image, buf, 512, sector * 512, &error),
                      -1);
    assert_error (&error, VMDK_ERROR_CORRUPT, EIO, "sparse: damaged: ");
  }
  assert_logged (&logged, 1, "2 entries are damaged");
  vmdk_close (image);
  model_free (&m);
}

/* The last grain ends where the file does: nothing of it is missing, and
 * its entry counts, whatever the redundant one says.  Tables are not
 * read before the first grain is.
 */
static void
test_last_grain_ends_with_file (void **state)
{
  struct vmdk_error error;
  struct vmdk_image *image = open_one (160, 160, 0, &error);
  uint8_t entry[4];
  int fd;

  assert_non_null (image);
  fd = open (folder_path (&m.folder, "sparse"), O_RDWR);
  assert_true (fd >= 0);
  /* The redundant table is in sector 2; the entries of grains 0 and 9. */
  assert_int_equal (pread (fd, entry, 4, 1024), 4);
  assert_int_equal (pwrite (fd, entry, 4, 1024 + 9 * 4), 4);
  close (fd);
  check_all (image);
  vmdk_close (image);
  model_free (&m);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_line_equals_capacity),
    cmocka_unit_test (test_line_shorter),
    cmocka_unit_test (test_line_longer_in_last_grain),
    cmocka_unit_test (test_line_longer_than_file),
    cmocka_unit_test (test_file_ends_inside_a_sector),
    cmocka_unit_test (test_line_longer_than_all_grains),
    cmocka_unit_test (test_line_much_longer),
    cmocka_unit_test (test_truncated),
    cmocka_unit_test (test_truncated_by_grains),
    cmocka_unit_test (test_last_grain_ends_with_file),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
