/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Disks of several extents of all kinds: reads and allocation at and
 * across their ends, against a model.
 */

#include <config.h>

#include "image.h"

static struct model m;

/* Ranges that begin and end around the ends of extents. */
static void
check_ends (struct vmdk_image *image)
{
  static const int64_t near[] = { -513, -512, -511, -1, 0, 1, 511, 512 };
  static const uint64_t counts[] = {
    0, 1, 511, 512, 513, 1024, 4096, 70000, UINT64_MAX,
  };
  const uint64_t size = m.sectors * SECTOR_SIZE;
  size_t i, j, k;

  for (i = 0; i <= m.nr_extents; ++i)
    for (j = 0; j < ARRAY_LENGTH (near); ++j)
      for (k = 0; k < ARRAY_LENGTH (counts); ++k) {
        const uint64_t start = (i < m.nr_extents ? m.starts[i] :
                                m.sectors) * SECTOR_SIZE;
        const uint64_t offset = start + (uint64_t) near[j];

        if (offset <= size)
          model_check (&m, image, offset, min_u64 (counts[k],
                                                   size - offset));
      }
}

static void
check_random (struct vmdk_image *image)
{
  const uint64_t size = m.sectors * SECTOR_SIZE;
  unsigned i;

  for (i = 0; i < 1500; ++i) {
    const uint64_t offset = random_below (&m.seed, size);
    const uint64_t most = i % 3 == 0 ? size : 3000;

    model_check (&m, image, offset,
                 random_below (&m.seed, min_u64 (most, size - offset) + 1));
  }
}

/* Each kind at the start, in the middle and at the end. */
static void
test_layouts (void **state)
{
  static const char *const layouts[] = {
    "F", "V", "S", "s", "Z", "N", "n",
    "NFSZVs", "FSNZVs", "FSZVsN", "nSn", "ZSZFZ", "SSFsSs", "FNZNS",
    "FVFV", "ZZZ", "NnN", "SZsZSZ", "sSNsZn",
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (layouts); ++i) {
    struct vmdk_image *image;
    struct captured log;

    model_init (&m, i + 1);
    model_add_letters (&m, layouts[i]);
    image = model_open (&m, &log);
    assert_true (vmdk_size (image) == m.sectors * SECTOR_SIZE);
    check_ends (image);
    check_random (image);
    assert_string_equal (log.text, "");
    vmdk_close (image);
    model_free (&m);
  }
}

/* The whole disk in answers about its allocation, each of which must
 * differ from the one before.
 */
static void
test_allocation_of_all (void **state)
{
  struct vmdk_image *image;
  struct captured log;
  enum vmdk_allocation before = VMDK_HOLE;
  uint64_t offset, length, size;

  model_init (&m, 77);
  model_add_letters (&m, "FVZsZSSNnF");
  image = model_open (&m, &log);
  size = vmdk_size (image);
  for (offset = 0; offset < size; offset += length) {
    enum vmdk_allocation allocation;
    struct vmdk_error error;

    assert_int_equal (vmdk_is_allocated (image, offset, size - offset,
                                         &allocation, &length, &error), 0);
    assert_in_range (length, 1, size - offset);
    assert_true (offset == 0 || allocation != before);
    before = allocation;
    assert_true (model_allocation_is_right (&m, image, offset,
                                            size - offset));
  }
  vmdk_close (image);
  model_free (&m);
}

/* Several lines of one flat file. */
static void
test_one_file_twice (void **state)
{
  struct vmdk_image *image;
  struct captured log;
  char text[512];
  size_t len;

  model_init (&m, 5);
  model_add_flat (&m, 20, "FLAT", 0);
  len = strlen (m.descriptor);
  snprintf (text, sizeof text, "RW 5 FLAT \"flat0\" 10\n"
            "RW 2 FLAT \"./flat0\" 1\n");
  strcpy (m.descriptor + len, text);
  memcpy (m.bytes + 20 * 512, m.bytes + 10 * 512, 5 * 512);
  memcpy (m.bytes + 25 * 512, m.bytes + 1 * 512, 2 * 512);
  m.sectors = 27;
  image = model_open (&m, &log);
  assert_true (vmdk_size (image) == 27 * 512);
  check_random (image);
  vmdk_close (image);
  model_free (&m);
}

static void
test_describe (void **state)
{
  struct vmdk_description d;
  struct vmdk_image *image;
  struct captured log;

  model_init (&m, 6);
  model_add_letters (&m, "FZsS");
  image = model_open (&m, &log);
  vmdk_describe (image, &d);
  assert_string_equal (d.create_type, "custom");
  assert_int_equal (d.nr_extents, 4);
  assert_int_equal (d.grain_size, 512);         /* of the first one */
  vmdk_close (image);
  model_free (&m);

  model_init (&m, 6);
  model_add_letters (&m, "FZ");
  image = model_open (&m, &log);
  vmdk_describe (image, &d);
  assert_int_equal (d.grain_size, 0);
  vmdk_close (image);
  model_free (&m);
}

/* Arguments that are not in the disk. */
static void
test_out_of_range (void **state)
{
  static uint8_t buf[4096];
  struct vmdk_image *image;
  struct captured log;
  uint64_t size;
  size_t i;

  model_init (&m, 7);
  model_add_letters (&m, "FSZ");
  image = model_open (&m, &log);
  size = vmdk_size (image);
  {
    const struct { uint64_t offset, count; bool good; } cases[] = {
      { 0, 0, true }, { size, 0, true }, { size - 1, 1, true },
      { size - 4096, 4096, true },
      { size, 1, false }, { size - 1, 2, false }, { size + 1, 0, false },
      { size - 4095, 4096, false }, { UINT64_MAX, 1, false },
      { UINT64_MAX, 0, false }, { UINT64_MAX - 511, 512, false },
      { UINT64_MAX - 4095, 4096, false }, { UINT64_C (1) << 63, 1, false },
    };

    for (i = 0; i < ARRAY_LENGTH (cases); ++i) {
      const int r = cases[i].good ? 0 : -1;
      enum vmdk_allocation allocation;
      struct vmdk_error error;
      uint64_t length;

      assert_int_equal (vmdk_pread (image, buf, cases[i].count,
                                    cases[i].offset, &error), r);
      if (r == -1)
        assert_error (&error, VMDK_ERROR_INVALID, EINVAL, "not in the disk");
      assert_int_equal (vmdk_prefetch (image, cases[i].count,
                                       cases[i].offset, &error), r);
      if (r == -1)
        assert_error (&error, VMDK_ERROR_INVALID, EINVAL, "not in the disk");
      if (cases[i].count == 0)
        continue;
      assert_int_equal (vmdk_is_allocated (image, cases[i].offset,
                                           cases[i].count, &allocation,
                                           &length, &error), r);
      if (r == -1)
        assert_error (&error, VMDK_ERROR_INVALID, EINVAL, "not in the disk");
    }
    {
      enum vmdk_allocation allocation;
      struct vmdk_error error;
      uint64_t length;

      assert_int_equal (vmdk_is_allocated (image, 1, UINT64_MAX,
                                           &allocation, &length, &error),
                        -1);
      assert_int_equal (vmdk_prefetch (image, UINT64_MAX, 1, &error), -1);
    }
  }
  vmdk_close (image);
  model_free (&m);
}

/* A hint works for every kind of extent, also one that cannot be read,
 * and changes nothing.
 */
static void
test_prefetch (void **state)
{
  struct vmdk_image *image;
  struct vmdk_error error;
  struct captured log;

  model_init (&m, 8);
  model_add_letters (&m, "FSZNV");
  image = model_open (&m, &log);
  assert_int_equal (vmdk_prefetch (image, vmdk_size (image), 0, &error), 0);
  assert_int_equal (vmdk_prefetch (image, 700, 300, &error), 0);
  check_random (image);
  vmdk_close (image);
  model_free (&m);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_layouts),
    cmocka_unit_test (test_allocation_of_all),
    cmocka_unit_test (test_one_file_twice),
    cmocka_unit_test (test_describe),
    cmocka_unit_test (test_out_of_range),
    cmocka_unit_test (test_prefetch),
  };

  vmdk_close (NULL);
  return cmocka_run_group_tests (tests, NULL, NULL);
}
