/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Sixteen threads that read one image and ask for its allocation, with
 * as little memory for tables as can be; and flushes by one who does not write,
 * while the last writer goes.
 */

#include <config.h>

#include <stdatomic.h>

#include "image.h"

#define NR_THREADS 16

static struct model m;
static struct vmdk_image *image;
static atomic_uint wrong, right;

static void *
work (void *arg)
{
  uint64_t seed = (uintptr_t) arg + 1;
  const uint64_t size = vmdk_size (image);
  unsigned i;

  for (i = 0; i < 1500; ++i) {
    const uint64_t offset = random_below (&seed, size);
    const uint64_t most = i % 20 == 0 ? 300000 : 5000;
    const uint64_t count =
      1 + random_below (&seed, min_u64 (most, size - offset));

    if (model_read_is_right (&m, image, offset, count) &&
        model_allocation_is_right (&m, image, offset, count))
      atomic_fetch_add (&right, 1);
    else
      atomic_fetch_add (&wrong, 1);
  }
  return NULL;
}

static void
test_threads (void **state)
{
  pthread_t threads[NR_THREADS];
  struct captured log;
  uintptr_t i;

  model_init (&m, 1);
  model_add_letters (&m, "SFsSNSZVSn");
  /* Many tables, each a page. */
  model_add_sparse (&m, 4000, 1, 1, true);
  image = model_open (&m, &log);
  for (i = 0; i < NR_THREADS; ++i)
    assert_int_equal (pthread_create (&threads[i], NULL, work, (void *) i),
                      0);
  for (i = 0; i < NR_THREADS; ++i)
    pthread_join (threads[i], NULL);
  assert_int_equal (atomic_load (&wrong), 0);
  assert_int_equal (atomic_load (&right), NR_THREADS * 1500);
  vmdk_close (image);
  model_free (&m);
}

static atomic_bool ended;

static void *
flush (void *arg)
{
  unsigned *nr_failed = arg;
  struct vmdk_error error;

  while (!atomic_load (&ended))
    *nr_failed += vmdk_flush (image, &error) == -1;
  return NULL;
}

static void
test_flush_at_end (void **state)
{
  const uint64_t grain = 8 * SECTOR_SIZE;
  struct vmdk_options options = { .writable = true };
  unsigned nr_failed = 0, i;
  struct vmdk_error error;
  uint8_t buf[SECTOR_SIZE];
  pthread_t thread;

  (void) state;
  model_init (&m, 1);
  model_add_sparse (&m, 1000, 8, 128, true);
  folder_write_text (&m.folder, "disk.vmdk", m.descriptor);
  image = vmdk_open (folder_path (&m.folder, "disk.vmdk"), &options, &error);
  assert_non_null (image);
  assert_int_equal (pthread_create (&thread, NULL, flush, &nr_failed), 0);
  for (i = 0; i < 100; ++i) {
    const uint64_t offset = i * grain;

    /* A grain that is freed: there is something to be given back. */
    memset (buf, (int) i + 1, sizeof buf);
    assert_int_equal (vmdk_begin_writing (image, &error), 0);
    assert_int_equal (vmdk_pwrite (image, buf, sizeof buf, offset, 0, &error),
                      0);
    assert_int_equal (vmdk_zero (image, grain, offset, VMDK_MAY_TRIM, &error),
                      0);
    assert_int_equal (vmdk_end_writing (image, &error), 0);
  }
  atomic_store (&ended, true);
  pthread_join (thread, NULL);
  assert_int_equal (nr_failed, 0);
  vmdk_close (image);
  model_free (&m);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_threads),
    cmocka_unit_test (test_flush_at_end),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
