/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Many requests at the same time are the first that change an image. */

#include <config.h>

#include "asleep.h"
#include "image.h"
#include "../../vmdkcore/writing.h"

/* The descriptor, and the extent. */
#define NR_FILES 2

static struct model m;
static struct captured said;
static struct vmdk_error error;
static struct vmdk_image *image;

static int
setup (void **state)
{
  (void) state;
  model_init (&m, 1);
  /* With a CID that is changed in place. */
  strcpy (m.descriptor, "# Disk DescriptorFile\nversion=1\nCID=12345678\n"
          "parentCID=ffffffff\ncreateType=\"custom\"\n");
  model_add_sparse (&m, 1000, 8, 128, true);
  folder_write_text (&m.folder, "disk.vmdk", m.descriptor);
  return 0;
}

static int
teardown (void **state)
{
  (void) state;
  vmdk_close (image);
  model_free (&m);
  return 0;
}

static void
open_image (const struct io_hook *hook)
{
  struct logger logger;
  struct vmdk_options options = { .writable = true };

  captured_init (&said, &logger);
  options.log = logger.log;
  options.opaque = logger.opaque;
  image = image_open (folder_path (&m.folder, "disk.vmdk"), &options, hook,
                      &error);
  if (!image || vmdk_begin_writing (image, &error) == -1)
    fail_msg ("%s", error.message);
}

/* A write to grain 100 by another client. */
static struct {
  pthread_t thread;
  atomic_int tid;
  int r;
  struct vmdk_error error;
} other;

static void *
write_too (void *opaque)
{
  const uint8_t byte = 0x55;

  atomic_store (&other.tid, gettid ());
  other.r = vmdk_pwrite (image, &byte, 1, 100 * 4096, 0, &other.error);
  return opaque;
}

/* The first sync fails, while another client waits for what it is for. */
static unsigned nr_syncs, fail_at;
static const struct io_ops *file_ops;

static int
fail_first (struct io *io, struct vmdk_error *e)
{
  if (nr_syncs++ > 0)
    return file_ops->sync (io, e);
  assert_int_equal (pthread_create (&other.thread, NULL, write_too, NULL), 0);
  wait_until_asleep (&other.tid);
  return error_set (e, VMDK_ERROR_IO, EIO, "the disk is dying");
}

static struct io *
hook_failing (void *opaque, struct io *io, struct vmdk_error *e)
{
  static struct io_ops ops;

  (void) opaque;
  (void) e;
  file_ops = io->ops;
  ops = *io->ops;
  ops.sync = fail_first;
  io->ops = &ops;
  return io;
}

/* What waited does not try it again: the system tells of data that it has lost
 * once, and then all would seem to be in order.
 */
static void
test_failed (void **state)
{
  const struct io_hook hook = { hook_failing, NULL };
  const uint8_t byte = 0xaa;

  (void) state;
  open_image (&hook);
  assert_int_equal (vmdk_pwrite (image, &byte, 1, 0, 0, &error), -1);
  assert_error (&error, VMDK_ERROR_IO, EIO, "the disk is dying");
  assert_int_equal (pthread_join (other.thread, NULL), 0);
  assert_int_equal (other.r, -1);
  assert_error (&other.error, VMDK_ERROR_IO, EIO, "data may have been lost");
  assert_int_equal (nr_syncs, 1);
  assert_int_equal (vmdk_pwrite (image, &byte, 1, 0, 0, &error), -1);
  assert_true (model_read_is_right (&m, image, 0, m.sectors * SECTOR_SIZE));
}

/* While one client gets ready another flushes, at each read, write and sync of
 * a file for that.
 */
static unsigned nr_flushes;
static bool is_starting;

static void
flush_meanwhile (void)
{
  struct vmdk_error e;

  if (!is_starting)
    return;
  is_starting = false;
  if (vmdk_flush (image, &e) == -1)
    fail_msg ("%s", e.message);
  is_starting = true;
  nr_flushes++;
}

static int
flushing_pread (struct io *io, void *buf, size_t count, uint64_t offset,
                struct vmdk_error *e)
{
  flush_meanwhile ();
  return file_ops->pread (io, buf, count, offset, e);
}

static int
flushing_pwrite (struct io *io, const void *buf, size_t count,
                 uint64_t offset, struct vmdk_error *e)
{
  flush_meanwhile ();
  return file_ops->pwrite (io, buf, count, offset, e);
}

/* The sync must be of who gets ready: it might fail, and tell only one.  The
 * first, of what others have written, are waited for.
 */
static int
flushing_sync (struct io *io, struct vmdk_error *e)
{
  const unsigned before = nr_syncs;

  if (before >= NR_FILES)
    flush_meanwhile ();
  assert_int_equal (nr_syncs++, before);
  return file_ops->sync (io, e);
}

static struct io *
hook_flushing (void *opaque, struct io *io, struct vmdk_error *e)
{
  static struct io_ops ops;

  (void) opaque;
  (void) e;
  file_ops = io->ops;
  ops = *io->ops;
  ops.pread = flushing_pread;
  ops.pwrite = flushing_pwrite;
  ops.sync = flushing_sync;
  io->ops = &ops;
  return io;
}

/* Clients that have nothing to flush do not wait for one that gets ready, nor
 * get in its way.
 */
static void
test_flushed (void **state)
{
  const struct io_hook hook = { hook_flushing, NULL };
  const uint8_t byte = 0xaa;

  (void) state;
  nr_syncs = 0;
  open_image (&hook);
  is_starting = true;
  if (writing_start (image, &error) == -1)
    fail_msg ("%s", error.message);
  is_starting = false;
  assert_true (nr_flushes > 3);
  assert_true (nr_syncs > NR_FILES);
  if (vmdk_pwrite (image, &byte, 1, 0, 0, &error) == -1 ||
      vmdk_end_writing (image, &error) == -1)
    fail_msg ("%s", error.message);
  m.bytes[0] = byte;
  assert_true (model_read_is_right (&m, image, 0, m.sectors * SECTOR_SIZE));
}

static int
count_sync (struct io *io, struct vmdk_error *e)
{
  nr_syncs++;
  return nr_syncs == fail_at ?
    error_set (e, VMDK_ERROR_IO, EIO, "the disk is dying") :
    file_ops->sync (io, e);
}

static struct io *
hook_counting (void *opaque, struct io *io, struct vmdk_error *e)
{
  static struct io_ops ops;

  (void) opaque;
  (void) e;
  file_ops = io->ops;
  ops = *io->ops;
  ops.sync = count_sync;
  io->ops = &ops;
  return io;
}

static const struct io_hook counting = { hook_counting, NULL };

/* Another server that wrote the files may have been killed: what its clients
 * flush when they have come back is on the disk then, though they change
 * nothing any more.
 */
static void
test_inherited (void **state)
{
  const uint8_t byte = 0xaa;

  (void) state;
  nr_syncs = fail_at = 0;
  open_image (&counting);
  assert_int_equal (vmdk_flush (image, &error), 0);
  assert_int_equal (nr_syncs, NR_FILES);
  assert_int_equal (vmdk_flush (image, &error), 0);
  assert_int_equal (nr_syncs, NR_FILES);
  if (vmdk_pwrite (image, &byte, 1, 0, 0, &error) == -1 ||
      vmdk_flush (image, &error) == -1)
    fail_msg ("%s", error.message);
  m.bytes[0] = byte;
  assert_true (model_read_is_right (&m, image, 0, m.sectors * SECTOR_SIZE));
}

/* And if they are not, everybody hears of it. */
static void
test_inherited_failed (void **state)
{
  const uint8_t byte = 0xaa;

  (void) state;
  nr_syncs = 0;
  fail_at = NR_FILES;
  open_image (&counting);
  assert_int_equal (vmdk_flush (image, &error), -1);
  assert_error (&error, VMDK_ERROR_IO, EIO, "the disk is dying");
  assert_int_equal (vmdk_flush (image, &error), -1);
  assert_error (&error, VMDK_ERROR_IO, EIO, "data may have been lost");
  assert_int_equal (vmdk_pwrite (image, &byte, 1, 0, 0, &error), -1);
  assert_error (&error, VMDK_ERROR_IO, EIO, "data may have been lost");
  assert_int_equal (nr_syncs, NR_FILES);
  /* The disk would not tell once more. */
  assert_int_equal (io_sync_now (image_top_link (image)->files[1], &error), -1);
  assert_error (&error, VMDK_ERROR_IO, EIO, "a sync has failed before");
  assert_int_equal (io_sync (image_top_link (image)->files[0], &error), 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (test_failed, setup, teardown),
    cmocka_unit_test_setup_teardown (test_flushed, setup, teardown),
    cmocka_unit_test_setup_teardown (test_inherited, setup, teardown),
    cmocka_unit_test_setup_teardown (test_inherited_failed, setup, teardown),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
