/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* To zero or trim a large range takes long if zeroes must be written, or if
 * there are many grains, and is given up if nobody waits for it.
 */

#include <config.h>

#include "image.h"
#include "../../vmdkcore/image.h"

#define MIB (UINT64_C (1) << 20)
#define FLAT_BYTES (200 * MIB)

static struct folder folder;
static struct vmdk_error error;
static struct vmdk_image *image;
static bool interrupted;

/* What has been written behind the first MiB, which is the descriptor's file
 * also; it is not really.
 */
static uint64_t written;
static const struct io_ops *file_ops;

static int
drop_pwrite (struct io *io, const void *buf, size_t count, uint64_t offset,
             struct vmdk_error *e)
{
  if (offset < MIB)
    return file_ops->pwrite (io, buf, count, offset, e);
  written += count;
  return 0;
}

static bool
cannot_punch (struct io *io)
{
  (void) io;
  return false;
}

static int
punch_nothing (struct io *io, uint64_t offset, uint64_t count,
               struct vmdk_error *e)
{
  (void) io;
  (void) offset;
  (void) count;
  (void) e;
  return 0;
}

static struct io *
hook_dropping (void *opaque, struct io *io, struct vmdk_error *e)
{
  static struct io_ops ops;

  (void) opaque;
  (void) e;
  file_ops = io->ops;
  ops = *io->ops;
  ops.pwrite = drop_pwrite;
  ops.can_punch = cannot_punch;
  ops.punch = punch_nothing;
  io->ops = &ops;
  return io;
}

static const struct io_hook hook = { hook_dropping, NULL };

static bool
value_of (void *opaque)
{
  (void) opaque;
  return interrupted;
}

/* Open disk.vmdk and make the first change. */
static void
open_image (void)
{
  const struct vmdk_options options = {
    .writable = true, .interrupted = value_of,
  };
  const uint8_t byte = 0x55;

  image = image_open (folder_path (&folder, "disk.vmdk"), &options, &hook,
                      &error);
  if (!image || vmdk_begin_writing (image, &error) == -1 ||
      vmdk_pwrite (image, &byte, 1, 0, 0, &error) == -1)
    fail_msg ("%s", error.message);
  written = 0;
}

static int
setup (void **state)
{
  (void) state;
  folder_new (&folder);
  interrupted = false;
  return 0;
}

static int
teardown (void **state)
{
  (void) state;
  vmdk_close (image);
  image = NULL;
  folder_remove (&folder);
  return 0;
}

static void
test_flat (void **state)
{
  (void) state;
  folder_write_text (&folder, "disk.vmdk", "# Disk DescriptorFile\nversion=1\n"
                     "CID=1\nparentCID=ffffffff\nRW 409600 FLAT \"flat\" 0\n");
  folder_write_text (&folder, "flat", "");
  assert_int_equal (truncate (folder_path (&folder, "flat"), FLAT_BYTES), 0);
  open_image ();
  if (vmdk_zero (image, FLAT_BYTES - 1, 1, 0, &error) == -1)
    fail_msg ("%s", error.message);
  assert_true (written > 190 * MIB);

  written = 0;
  interrupted = true;
  assert_int_equal (vmdk_zero (image, FLAT_BYTES - 1, 1, 0, &error), -1);
  assert_error (&error, VMDK_ERROR_INTERRUPTED, EINTR,
                "disk.vmdk: zeroing: was interrupted");
  assert_true (written <= 64 * MIB);
}

/* 65536 grains of a sector, each other one with data. */
static void
test_grains (void **state)
{
  enum { SECTORS = 65536, TABLE = 140 };
  const size_t size = 2048 * 512;
  uint8_t *file = calloc (1, size);
  uint64_t i;

  (void) state;
  assert_non_null (file);
  memcpy (file, "KDMV", 4);
  store_le32 (file + 4, 1);
  store_le32 (file + 8, 1);
  store_le64 (file + 12, SECTORS);
  store_le64 (file + 20, 1);
  store_le64 (file + 28, 1);
  store_le64 (file + 36, 20);
  strcpy ((char *) file + 512, "# Disk DescriptorFile\nversion=1\nCID=1\n"
          "parentCID=ffffffff\nRW 65536 SPARSE \"disk.vmdk\"\n");
  store_le32 (file + 44, 512);
  store_le64 (file + 56, 21);
  memcpy (file + 73, "\n \r\n", 4);
  for (i = 0; i < SECTORS / 512; ++i)
    store_le32 (file + 21 * 512 + i * 4, (uint32_t) (TABLE + 4 * i));
  for (i = 0; i < SECTORS; i += 2)
    store_le32 (file + TABLE * 512 + i * 4, (uint32_t) (2048 + i));
  folder_write (&folder, "disk.vmdk", file, size);
  free (file);
  assert_int_equal (truncate (folder_path (&folder, "disk.vmdk"),
                              (2048 + SECTORS) * 512), 0);

  open_image ();
  interrupted = true;
  assert_int_equal (vmdk_zero (image, SECTORS * 512, 0,
                               VMDK_FAST | VMDK_MAY_TRIM, &error), -1);
  assert_error (&error, VMDK_ERROR_INTERRUPTED, EINTR,
                "disk.vmdk: zeroing: was interrupted");
  assert_int_equal (vmdk_trim (image, SECTORS * 512, 0, 0, &error), -1);
  assert_error (&error, VMDK_ERROR_INTERRUPTED, EINTR,
                "disk.vmdk: trimming: was interrupted");
  interrupted = false;
  if (vmdk_trim (image, SECTORS * 512, 0, 0, &error) == -1 ||
      vmdk_end_writing (image, &error) == -1)
    fail_msg ("%s", error.message);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (test_flat, setup, teardown),
    cmocka_unit_test_setup_teardown (test_grains, setup, teardown),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
