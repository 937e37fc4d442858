/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* One client reads a grain, which takes long; others free that grain, flush,
 * and write to grains that have no place.  The flush does not wait for the
 * reader for ever, and the reader does not get what the others have written.
 */

#include <config.h>

#include "image.h"
#include "../../vmdkcore/image.h"

#define GRAIN UINT64_C (4096)
#define NR_GRAINS 125

static struct model m;
static struct vmdk_error error;
static struct vmdk_image *image;
static const struct io_ops *file_ops;
static bool is_slow;

static void
others (void)
{
  static uint8_t buf[(NR_GRAINS - 1) * GRAIN];

  memset (buf, 'o', sizeof buf);
  if (vmdk_trim (image, GRAIN, 0, 0, &error) == -1 ||
      vmdk_flush (image, &error) == -1 ||
      vmdk_pwrite (image, buf, sizeof buf, GRAIN, 0, &error) == -1 ||
      vmdk_flush (image, &error) == -1)
    fail_msg ("%s", error.message);
}

static int
slow_pread (struct io *io, void *buf, size_t count, uint64_t offset,
            struct vmdk_error *e)
{
  if (is_slow) {
    is_slow = false;
    others ();
  }
  return file_ops->pread (io, buf, count, offset, e);
}

static struct io *
hook_slow (void *opaque, struct io *io, struct vmdk_error *e)
{
  static struct io_ops ops;

  (void) opaque;
  (void) e;
  file_ops = io->ops;
  ops = *io->ops;
  ops.pread = slow_pread;
  io->ops = &ops;
  return io;
}

static void
test_slow_reader (void **state)
{
  const struct io_hook hook = { hook_slow, NULL };
  const struct vmdk_options options = { .writable = true };
  static uint8_t before[GRAIN], buf[GRAIN];
  size_t i;

  (void) state;
  model_init (&m, 1);
  model_add_sparse (&m, NR_GRAINS * 8, 8, 128, true);
  folder_write_text (&m.folder, "disk.vmdk", m.descriptor);
  image = image_open (folder_path (&m.folder, "disk.vmdk"), &options, &hook,
                      &error);
  memset (before, 'b', sizeof before);
  if (!image || vmdk_begin_writing (image, &error) == -1 ||
      vmdk_trim (image, NR_GRAINS * GRAIN, 0, 0, &error) == -1 ||
      vmdk_pwrite (image, before, GRAIN, 0, 0, &error) == -1 ||
      vmdk_flush (image, &error) == -1)
    fail_msg ("%s", error.message);

  is_slow = true;
  if (vmdk_pread (image, buf, GRAIN, 0, &error) == -1)
    fail_msg ("%s", error.message);
  assert_false (is_slow);
  for (i = 0; i < GRAIN; ++i)
    assert_true (buf[i] == 'b' || buf[i] == 0);

  if (vmdk_pread (image, buf, GRAIN, 0, &error) == -1)
    fail_msg ("%s", error.message);
  assert_int_equal (buf[0], 0);
  if (vmdk_end_writing (image, &error) == -1)
    fail_msg ("%s", error.message);
  vmdk_close (image);
  model_free (&m);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_slow_reader),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
