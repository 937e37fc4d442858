/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Who waits for the flush of another thread, which finds no room for the
 * tables, has not been served by it.
 */

#include <config.h>

#include <errno.h>

#include "asleep.h"
#include "image.h"
#include "../../vmdkcore/image.h"

#define NR_THREADS 4

static struct model m;
static struct vmdk_image *image;
static struct vmdk_error error;
static const struct io_ops *file_ops;
static atomic_bool is_full, hold, is_held;

static struct client {
  pthread_t thread;
  atomic_int tid;
  int r;
  struct vmdk_error error;
} clients[NR_THREADS];

static int
write_if_room (struct io *io, const void *buf, size_t count, uint64_t offset,
               struct vmdk_error *e)
{
  return atomic_load (&is_full) ?
    error_sys (e, ENOSPC, "pwrite: %s", io->name) :
    file_ops->pwrite (io, buf, count, offset, e);
}

static int
sync_slowly (struct io *io, struct vmdk_error *e)
{
  const struct timespec pause = { .tv_nsec = 1000 * 1000 };

  while (atomic_load (&hold)) {
    atomic_store (&is_held, true);
    nanosleep (&pause, NULL);
  }
  return file_ops->sync (io, e);
}

static struct io *
wrap (void *opaque, struct io *io, struct vmdk_error *e)
{
  static struct io_ops ops;

  (void) opaque;
  (void) e;
  file_ops = io->ops;
  ops = *io->ops;
  ops.pwrite = write_if_room;
  ops.sync = sync_slowly;
  io->ops = &ops;
  return io;
}

static void *
flush (void *opaque)
{
  struct client *c = opaque;

  atomic_store (&c->tid, gettid ());
  c->r = vmdk_flush (image, &c->error);
  return NULL;
}

static void
begin_flush (struct client *c)
{
  assert_int_equal (pthread_create (&c->thread, NULL, flush, c), 0);
}

static void
write_byte (uint64_t grain, uint8_t byte)
{
  const uint64_t offset = grain * 8 * SECTOR_SIZE;

  if (vmdk_pwrite (image, &byte, 1, offset, 0, &error) == -1)
    fail_msg ("%s", error.message);
  m.bytes[offset] = byte;
}

static void
test_waiting (void **state)
{
  const struct timespec pause = { .tv_nsec = 1000 * 1000 };
  const struct io_hook hook = { .wrap = wrap };
  const struct vmdk_options options = { .writable = true };
  unsigned i;

  (void) state;
  model_init (&m, 1);
  model_add_sparse (&m, 1000, 8, 128, true);
  folder_write_text (&m.folder, "disk.vmdk", m.descriptor);
  image = image_open (folder_path (&m.folder, "disk.vmdk"), &options, &hook,
                      &error);
  if (!image || vmdk_begin_writing (image, &error) == -1)
    fail_msg ("%s", error.message);

  write_byte (1, 0x11);
  atomic_store (&hold, true);
  begin_flush (&clients[0]);
  while (!atomic_load (&is_held))
    nanosleep (&pause, NULL);
  /* The others want this to be durable too. */
  write_byte (2, 0x22);
  for (i = 1; i < NR_THREADS; ++i) {
    begin_flush (&clients[i]);
    wait_until_asleep (&clients[i].tid);
  }
  atomic_store (&is_full, true);
  atomic_store (&hold, false);
  for (i = 0; i < NR_THREADS; ++i) {
    assert_int_equal (pthread_join (clients[i].thread, NULL), 0);
    assert_int_equal (clients[i].r, -1);
    assert_error (&clients[i].error, VMDK_ERROR_IO, ENOSPC, "pwrite: ");
  }

  atomic_store (&is_full, false);
  assert_int_equal (vmdk_flush (image, &error), 0);
  assert_true (model_read_is_right (&m, image, 0, m.sectors * SECTOR_SIZE));
  assert_int_equal (vmdk_end_writing (image, &error), 0);
  vmdk_close (image);
  model_free (&m);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_waiting),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
