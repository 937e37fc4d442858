/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* A fast zero over a backend that makes holes of whole blocks only, as devices
 * do: it is refused before anything of it has been done, however large it is.
 */

#include <config.h>

#include <unistd.h>

#include "image.h"
#include "../../vmdkcore/image.h"

#define BLOCK UINT64_C (4096)
#define MIB (UINT64_C (1) << 20)
#define FLAT_BYTES (160 * MIB)

static struct folder folder;
static struct vmdk_error error;
static uint64_t punched;

static int
punch_blocks (struct io *io, uint64_t offset, uint64_t count,
              struct vmdk_error *e)
{
  (void) io;
  (void) e;
  if (offset % BLOCK != 0 || count % BLOCK != 0)
    return 0;
  punched += count;
  return 1;
}

static bool
can_punch (struct io *io)
{
  (void) io;
  return true;
}

static struct io *
hook_blocks (void *opaque, struct io *io, struct vmdk_error *e)
{
  static struct io_ops ops;

  (void) opaque;
  (void) e;
  ops = *io->ops;
  ops.punch = punch_blocks;
  ops.can_punch = can_punch;
  io->ops = &ops;
  return io;
}

static void
test_fast_zero (void **state)
{
  const struct io_hook hook = { hook_blocks, NULL };
  const struct vmdk_options options = { .writable = true };
  const unsigned flags = VMDK_FAST | VMDK_MAY_TRIM;
  struct vmdk_image *image;

  (void) state;
  folder_new (&folder);
  folder_write_text (&folder, "disk.vmdk", "# Disk DescriptorFile\nversion=1\n"
                     "CID=1\nparentCID=ffffffff\nRW 327680 FLAT \"flat\" 0\n");
  folder_write_text (&folder, "flat", "");
  assert_int_equal (truncate (folder_path (&folder, "flat"), FLAT_BYTES), 0);
  image = image_open (folder_path (&folder, "disk.vmdk"), &options, &hook,
                      &error);
  if (!image || vmdk_begin_writing (image, &error) == -1)
    fail_msg ("%s", error.message);

  assert_int_equal (vmdk_zero (image, 64 * MIB + 512, 0, flags, &error), -1);
  assert_error (&error, VMDK_ERROR_UNSUPPORTED, ENOTSUP, "holes");
  assert_int_equal (punched, 0);
  assert_int_equal (vmdk_zero (image, FLAT_BYTES - 512, 512, flags, &error),
                    -1);
  assert_error (&error, VMDK_ERROR_UNSUPPORTED, ENOTSUP, "holes");
  assert_int_equal (punched, 0);

  if (vmdk_zero (image, FLAT_BYTES, 0, flags, &error) == -1 ||
      vmdk_end_writing (image, &error) == -1)
    fail_msg ("%s", error.message);
  assert_int_equal (punched, FLAT_BYTES);
  vmdk_close (image);
  folder_remove (&folder);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_fast_zero),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
