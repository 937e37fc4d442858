/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Sixteen threads that read one image and ask for its allocation, with
 * as little memory for tables as can be.
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

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_threads),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
