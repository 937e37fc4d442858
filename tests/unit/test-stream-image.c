/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* A stream that is being written, behind the public calls; and what a writer
 * does with disks that are too large for a model.
 */

#include <config.h>

#include "header.h"
#include "stream-output.h"
#include "written.h"

#define TIB (UINT64_C (1) << 40)

static struct folder folder;
static struct captured captured;

static int
set_up (void **state)
{
  folder_new (&folder);
  return 0;
}

static int
tear_down (void **state)
{
  folder_remove (&folder);
  return 0;
}

static const char *
path (void)
{
  return folder_path (&folder, "new.vmdk");
}

static struct vmdk_image *
create (uint64_t size)
{
  char descriptor[1024];
  struct stream_create_options options = {
    .path = path (), .size = size, .descriptor = descriptor,
  };
  struct vmdk_error error;
  struct vmdk_image *image;

  captured_init (&captured, &options.logger);
  written_descriptor (descriptor, sizeof descriptor, size);
  image = stream_create (&options, &error);
  if (!image)
    fail_msg ("%s", error.message);
  return image;
}

/* Check a finished one, which has one grain that begins with "abc" at
 * 'offset'.
 */
static void
check_finished (uint64_t size, uint64_t offset)
{
  const struct vmdk_options options = { .writable = true };
  enum vmdk_allocation allocation;
  struct vmdk_error error;
  struct vmdk_image *image = vmdk_open (path (), &options, &error);
  uint64_t length;
  char text[4];

  assert_non_null (image);
  assert_int_equal (check_stream (path (), size), 1);
  assert_int_equal (vmdk_size (image), size);
  assert_int_equal (vmdk_pread (image, text, 4, offset, &error), 0);
  assert_memory_equal (text, "abc", 4);
  assert_int_equal (vmdk_is_allocated (image, 0, size, &allocation, &length,
                                       &error), 0);
  assert_int_equal (allocation, VMDK_HOLE);
  assert_int_equal (length, offset);
  vmdk_close (image);
}

static int
count_pieces (void *opaque, uint64_t offset, uint64_t length,
              enum vmdk_allocation allocation)
{
  unsigned *n = opaque;

  (void) offset;
  (void) length;
  ++*n;
  assert_int_equal (allocation, *n == 2 ? VMDK_ALLOCATED : VMDK_HOLE);
  return 0;
}

static void
test_calls (void **state)
{
  const uint64_t size = 100 * GRAIN, offset = 5 * GRAIN;
  struct vmdk_image *image = create (size);
  struct vmdk_description description;
  struct vmdk_error error;
  unsigned pieces = 0;
  char text[3];

  assert_int_equal (vmdk_size (image), size);
  vmdk_describe (image, &description);
  assert_string_equal (description.create_type, "streamOptimized");
  assert_int_equal (description.nr_extents, 1);
  assert_int_equal (description.nr_links, 1);
  assert_int_equal (description.grain_size, GRAIN);

  assert_int_equal (vmdk_begin_writing (image, &error), 0);
  assert_int_equal (vmdk_pwrite (image, "abc", 3, offset, VMDK_FUA, &error),
                    0);
  assert_int_equal (vmdk_pwrite (image, "x", 1, 1, 0, &error), 0);
  assert_int_equal (vmdk_zero (image, GRAIN, 0, VMDK_FAST, &error), 0);
  assert_int_equal (vmdk_pwrite (image, "x", 1, 9 * GRAIN, 0, &error), 0);
  assert_int_equal (vmdk_trim (image, GRAIN, 9 * GRAIN, 0, &error), 0);
  assert_int_equal (vmdk_flush (image, &error), 0);
  assert_int_equal (vmdk_prefetch (image, GRAIN, 0, &error), 0);
  assert_int_equal (vmdk_pread (image, text, 3, offset, &error), 0);
  assert_memory_equal (text, "abc", 3);
  assert_int_equal (vmdk_map (image, 0, size, count_pieces, &pieces,
                              &error), 0);
  assert_int_equal (pieces, 3);
  assert_int_equal (vmdk_pread (image, text, 3, size - 1, &error), -1);
  assert_error (&error, VMDK_ERROR_INVALID, EINVAL, "not in the disk");
  assert_int_equal (vmdk_zero (image, 2, size - 1, 0, &error), -1);
  assert_error (&error, VMDK_ERROR_INVALID, EINVAL, "not in the disk");

  assert_int_equal (access (path (), F_OK), -1);
  assert_int_equal (vmdk_end_writing (image, &error), 0);
  check_finished (size, offset);
  assert_int_equal (vmdk_begin_writing (image, &error), -1);
  assert_error (&error, VMDK_ERROR_UNSUPPORTED, EROFS, "finished");
  assert_int_equal (vmdk_end_writing (image, &error), 0);
  assert_int_equal (vmdk_pread (image, text, 3, offset, &error), 0);
  assert_memory_equal (text, "abc", 3);
  vmdk_close (image);
  check_finished (size, offset);
  assert_logged (&captured, 0, "");
}

/* Zeroes that are asked for only if nothing need be written: not where the
 * rest of a grain would have to be compressed again.
 */
static void
test_fast_zero (void **state)
{
  const uint64_t size = 8 * GRAIN + 512;
  struct vmdk_image *image = create (size);
  static uint8_t data[2 * GRAIN], got[2 * GRAIN];
  struct vmdk_error error;

  memset (data, 'x', sizeof data);
  assert_int_equal (vmdk_begin_writing (image, &error), 0);
  assert_int_equal (vmdk_pwrite (image, data, sizeof data, GRAIN, 0, &error),
                    0);
  assert_int_equal (vmdk_pwrite (image, data, 512, 8 * GRAIN, 0, &error), 0);
  assert_int_equal (vmdk_zero (image, 2 * GRAIN, 512, VMDK_FAST, &error), -1);
  assert_error (&error, VMDK_ERROR_UNSUPPORTED, ENOTSUP, "");
  assert_int_equal (vmdk_zero (image, 512, 3 * GRAIN - 512,
                               VMDK_FAST | VMDK_MAY_TRIM, &error), -1);
  assert_error (&error, VMDK_ERROR_UNSUPPORTED, ENOTSUP, "");
  assert_int_equal (vmdk_pread (image, got, sizeof got, GRAIN, &error), 0);
  assert_memory_equal (got, data, sizeof got);

  assert_int_equal (vmdk_zero (image, 4 * GRAIN, 512, VMDK_FAST, &error), 0);
  assert_int_equal (vmdk_zero (image, 512, 8 * GRAIN, VMDK_FAST, &error), 0);
  memset (data, 0, sizeof data);
  assert_int_equal (vmdk_pread (image, got, sizeof got, GRAIN, &error), 0);
  assert_memory_equal (got, data, sizeof got);
  assert_int_equal (vmdk_pread (image, got, 512, 8 * GRAIN, &error), 0);
  assert_memory_equal (got, data, 512);
  vmdk_close (image);
}

/* A client that only looks does not finish the stream; closing does. */
static void
test_not_changed (void **state)
{
  struct vmdk_image *image = create (100 * GRAIN);
  struct vmdk_error error;

  assert_int_equal (vmdk_begin_writing (image, &error), 0);
  assert_int_equal (vmdk_end_writing (image, &error), 0);
  assert_int_equal (access (path (), F_OK), -1);
  assert_int_equal (vmdk_begin_writing (image, &error), 0);
  vmdk_close (image);
  assert_int_equal (check_stream (path (), 100 * GRAIN), 0);
  assert_logged (&captured, 0, "");
}

/* Why closing could not finish it is logged. */
static void
test_close_fails (void **state)
{
  struct vmdk_image *image = create (100 * GRAIN);

  folder_write_text (&folder, "new.vmdk", "other");
  vmdk_close (image);
  assert_logged (&captured, 1, "new.vmdk: File exists");
}

static void
test_exists (void **state)
{
  struct stream_create_options options = {
    .path = path (), .size = 512, .descriptor = "",
  };
  struct vmdk_error error;

  folder_write_text (&folder, "new.vmdk", "other");
  assert_null (stream_create (&options, &error));
  assert_error (&error, VMDK_ERROR_IO, EEXIST, "new.vmdk");
}

/* Nothing takes time or memory by the size of the disk. */
static void
test_large (void **state)
{
  static const uint64_t sizes[] = { 2 * TIB, 64 * TIB };
  struct vmdk_error error;
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (sizes); ++i) {
    const uint64_t size = sizes[i], offset = size - 10 * GRAIN;
    struct vmdk_image *image = create (size);

    assert_int_equal (vmdk_begin_writing (image, &error), 0);
    assert_int_equal (vmdk_zero (image, size, 0, VMDK_MAY_TRIM, &error), 0);
    assert_int_equal (vmdk_pwrite (image, "abc", 3, offset, 0, &error), 0);
    assert_int_equal (vmdk_pwrite (image, "x", 1, 1, 0, &error), 0);
    assert_int_equal (vmdk_zero (image, offset, 0, 0, &error), 0);
    assert_int_equal (vmdk_end_writing (image, &error), 0);
    vmdk_close (image);
    check_finished (size, offset);
    assert_int_equal (unlink (path ()), 0);
  }
}

/* Entries of tables have 32 bits, and the last of their values is no place. */
static void
test_too_large (void **state)
{
  const int fd = open (path (), O_RDWR | O_CREAT, 0600);
  struct deflater *d = deflater_new (1, 1, STREAM_PACKED_MAX);
  uint8_t *grain = calloc (1, GRAIN);
  struct stream_output output;
  struct vmdk_error error;
  struct io *io;
  uint32_t sector;
  size_t size;

  assert_non_null (d);
  assert_non_null (grain);
  io = io_file_new (fd, true, "new.vmdk", &error);
  assert_non_null (io);
  assert_int_equal (stream_output_init (&output, io, 1 << 20, "", &error),
                    0);
  output.end = UINT32_MAX - 1;
  size = stream_pack (d, 7, grain);
  assert_int_equal (stream_output_grain (&output, 7, d->output, size,
                                         &sector, &error), 0);
  assert_int_equal (sector, UINT32_MAX - 1);
  assert_int_equal (output.end, UINT32_MAX);
  assert_int_equal (stream_output_grain (&output, 8, d->output, size,
                                         &sector, &error), -1);
  assert_error (&error, VMDK_ERROR_UNSUPPORTED, EFBIG, "2 TiB");
  stream_output_destroy (&output);
  io_unref (io);
  deflater_free (d);
  free (grain);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (test_calls, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_fast_zero, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_not_changed, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_close_fails, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_exists, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_large, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_too_large, set_up, tear_down),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
