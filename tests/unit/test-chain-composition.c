/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* What a chain of links reads as. */

#include <config.h>

#include "links.h"

static struct folder folder;
static struct captured log_lines;
static struct vmdk_image *image;

static int
setup (void **state)
{
  folder_new (&folder);
  image = NULL;
  return 0;
}

static int
teardown (void **state)
{
  vmdk_close (image);
  folder_remove (&folder);
  return 0;
}

static void
open_chain (const char *name)
{
  struct vmdk_options options = { 0 };
  struct vmdk_error error;

  image = links_try (&folder, name, &options, &log_lines, &error);
  if (!image)
    fail_msg ("%s", error.message);
  assert_logged (&log_lines, 0, "");
}

/* Each of hole, zero and data over each. */
static void
test_two_links (void **state)
{
  link_write (&folder, "base.vmdk", 1, UINT32_MAX, NULL, ".0b.0b.0b", 1);
  link_write (&folder, "child.vmdk", 2, 1, "base.vmdk", "...000ccc", 1);
  open_chain ("child.vmdk");
  assert_image (image, ".0b000ccc");
  assert_allocated (image, "..d...ddd");
}

static void
test_three_links (void **state)
{
  link_write (&folder, "a.vmdk", 1, UINT32_MAX, NULL,
              "aaaaaaaaa.........00", 1);
  link_write (&folder, "b.vmdk", 2, 1, "a.vmdk",
              "...000bbb...000bbb..", 1);
  link_write (&folder, "c.vmdk", 3, 2, "b.vmdk",
              ".0c.0c.0c.0c.0c.0c.c", 1);
  open_chain ("c.vmdk");
  assert_image (image, "a0c00cb0c.0c00cb0c0c");
  assert_allocated (image, "d.d..dd.d..d..dd.d.d");
}

/* Grains of 4, 1 and 8 sectors, from the base up. */
static void
test_grain_sizes (void **state)
{
  link_write (&folder, "a.vmdk", 1, UINT32_MAX, NULL, "a.a.aa", 4);
  link_write (&folder, "b.vmdk", 2, 1, "a.vmdk",
              "..b.0......b............", 1);
  link_write (&folder, "c.vmdk", 3, 2, "b.vmdk", ".0.", 8);
  open_chain ("c.vmdk");
  assert_image (image, "aaba0..000000000aaaaaaaa");
  assert_allocated (image, "dddd............dddddddd");

  vmdk_close (image);
  link_write (&folder, "c.vmdk", 3, 2, "b.vmdk", "..c", 8);
  open_chain ("c.vmdk");
  assert_image (image, "aaba0...aaab....cccccccc");
  assert_allocated (image, "dddd....dddd....dddddddd");
}

/* Behind the end of its parent a child has zeroes, whatever a link
 * further down has there.
 */
static void
test_child_larger (void **state)
{
  link_write (&folder, "a.vmdk", 1, UINT32_MAX, NULL, "aaaaaaaaaaaa", 1);
  link_write (&folder, "b.vmdk", 2, 1, "a.vmdk", ".b..", 1);
  link_write (&folder, "c.vmdk", 3, 2, "b.vmdk", "....c...", 2);
  open_chain ("c.vmdk");
  assert_image (image, "abaa....cc......");
  assert_allocated (image, "dddd....dd......");
}

/* Of a larger parent the rest is not seen; the parent ends inside a
 * grain of a child.
 */
static void
test_child_smaller (void **state)
{
  link_write (&folder, "a.vmdk", 1, UINT32_MAX, NULL, "aaaaaaaaaaaa", 1);
  link_write (&folder, "b.vmdk", 2, 1, "a.vmdk", ".b.", 2);
  open_chain ("b.vmdk");
  assert_image (image, "aabbaa");
  assert_allocated (image, "dddddd");

  vmdk_close (image);
  link_write (&folder, "c.vmdk", 3, 2, "b.vmdk", "..", 4);
  open_chain ("c.vmdk");
  assert_image (image, "aabbaa..");
  assert_allocated (image, "dddddd..");
}

/* A parent of extents of all kinds, whose ends are not those of the
 * child's grains.
 */
static void
test_parent_extents (void **state)
{
  uint8_t flat[5 * 512];
  unsigned i;

  for (i = 0; i < 5; ++i)
    link_fill_sector (flat + i * 512, 'f', 4 + i);
  folder_write (&folder, "flat", flat, sizeof flat);
  link_write_sparse (&folder, "s1", NULL, ".s0.", 1, 0);
  link_write_sparse (&folder, "s2", NULL, "t.t", 2, 12);
  folder_write_text (&folder, "base.vmdk",
                     "# Disk DescriptorFile\nversion=1\nCID=1\n"
                     "parentCID=ffffffff\ncreateType=\"custom\"\n"
                     "RW 4 SPARSE \"s1\"\n"
                     "RW 5 FLAT \"flat\" 0\n"
                     "RW 3 ZERO\n"
                     "RW 6 SPARSE \"s2\"\n");
  link_write (&folder, "child.vmdk", 2, 1, "base.vmdk", "..0.c....", 2);
  open_chain ("child.vmdk");
  assert_image (image, ".s0.00ffcc00tt..tt");
  assert_allocated (image, ".d....dddd..dd..dd");
}

/* A child of extents, too: allocated runs go on over the ends of extents
 * and from one link to the other.
 */
static void
test_child_extents (void **state)
{
  link_write_sparse (&folder, "s1", NULL, "xx.", 1, 0);
  link_write_sparse (&folder, "s2", NULL, "y..y", 1, 3);
  folder_write_text (&folder, "child.vmdk",
                     "# Disk DescriptorFile\nversion=1\nCID=2\n"
                     "parentCID=1\ncreateType=\"twoGbMaxExtentSparse\"\n"
                     "parentFileNameHint=\"base.vmdk\"\n"
                     "RW 3 SPARSE \"s1\"\n"
                     "RW 4 SPARSE \"s2\"\n"
                     "RW 2 ZERO\n");
  link_write (&folder, "base.vmdk", 1, UINT32_MAX, NULL, "bbbbb.bbb", 1);
  open_chain ("child.vmdk");
  assert_image (image, "xxbyb.y00");
  assert_allocated (image, "ddddd.d..");
}

/* Holes of many links, zeroes and what lies behind the end of a parent
 * are one hole.
 */
static void
test_holes_merge (void **state)
{
  enum vmdk_allocation allocation;
  struct vmdk_error error;
  uint64_t length;

  link_write (&folder, "a.vmdk", 1, UINT32_MAX, NULL, "..0a", 2);
  link_write (&folder, "b.vmdk", 2, 1, "a.vmdk", "0.00", 2);
  link_write (&folder, "c.vmdk", 3, 2, "b.vmdk", ".0...0..", 2);
  open_chain ("c.vmdk");
  assert_image (image, "................");
  assert_int_equal (vmdk_is_allocated (image, 100, 7000, &allocation,
                                       &length, &error), 0);
  assert_int_equal (allocation, VMDK_HOLE);
  assert_int_equal (length, 7000);
  assert_allocated (image, "................");
}

/* Alone, a link does not know what its holes are; it knows of its
 * zeroes.
 */
static void
test_single_link (void **state)
{
  struct vmdk_options options = { .single_link = true };
  struct vmdk_description d;
  struct vmdk_error error;

  link_write (&folder, "base.vmdk", 1, UINT32_MAX, NULL, "bbbbbb", 1);
  link_write (&folder, "child.vmdk", 2, 1, "base.vmdk", "..00cc.", 1);
  image = links_try (&folder, "child.vmdk", &options, &log_lines, &error);
  assert_non_null (image);
  assert_image (image, "..00cc.");
  assert_allocated (image, "??..dd?");
  vmdk_describe (image, &d);
  assert_int_equal (d.nr_links, 1);
  assert_true (d.has_unopened_parent);

  /* One without a parent is whole. */
  vmdk_close (image);
  image = links_try (&folder, "base.vmdk", &options, &log_lines, &error);
  assert_non_null (image);
  assert_allocated (image, "dddddd");
  vmdk_describe (image, &d);
  assert_false (d.has_unopened_parent);
}

/* Random links, against their composition. */
static void
test_random (void **state)
{
  uint64_t seed = 5;
  unsigned round, i;

  for (round = 0; round < 40; ++round) {
    char expected[LINKS_MAX_SECTORS + 1], allocation[sizeof expected];
    const unsigned nr = 2 + (unsigned) random_below (&seed, 5);
    uint64_t size = 0, j;
    char name[16] = "", hint[16];

    for (i = 0; i < nr; ++i) {
      const uint64_t grain_size = UINT64_C (1) << random_below (&seed, 4);
      const uint64_t grains = 10 + random_below (&seed, 20);
      char drawing[64];

      for (j = 0; j < grains; ++j) {
        const uint64_t kind = random_below (&seed, 4);

        drawing[j] = kind < 2 ? '.' : kind == 2 ? '0' : (char) ('a' + i);
      }
      drawing[grains] = '\0';
      for (j = 0; j < grains * grain_size; ++j) {
        const char letter = drawing[j / grain_size];

        if (letter != '.' || j >= size)
          expected[j] = letter;
      }
      size = grains * grain_size;
      strcpy (hint, name);
      snprintf (name, sizeof name, "%u.vmdk", i);
      link_write (&folder, name, i, i == 0 ? UINT32_MAX : i - 1,
                  i == 0 ? NULL : hint, drawing, grain_size);
    }
    expected[size] = '\0';
    for (j = 0; j <= size; ++j)
      allocation[j] = expected[j] == '\0' ? '\0' :
        expected[j] == '.' || expected[j] == '0' ? '.' : 'd';
    open_chain (name);
    assert_image (image, expected);
    assert_allocated (image, allocation);
    vmdk_close (image);
    image = NULL;
  }
}

/* The line of the child gives it more than its header has, by less than a
 * grain: that is not allocated in the child.
 */
static void
test_child_line_longer (void **state)
{
  link_write (&folder, "base.vmdk", 1, UINT32_MAX, NULL, "bbbbbbb", 1);
  link_write_sparse (&folder, "child.vmdk",
                     "# Disk DescriptorFile\nversion=1\nCID=2\n"
                     "parentCID=1\nparentFileNameHint=\"base.vmdk\"\n"
                     "RW 7 SPARSE \"child.vmdk\"\n", "c", 4, 0);
  image = links_try (&folder, "child.vmdk", &(struct vmdk_options) { 0 },
                     &log_lines, NULL);
  assert_non_null (image);
  assert_logged (&log_lines, 1, "its header has 4");
  assert_image (image, "ccccbbb");
  assert_allocated (image, "ddddddd");
  vmdk_close (image);
  image = links_try (&folder, "child.vmdk",
                     &(struct vmdk_options) { .single_link = true },
                     &log_lines, NULL);
  assert_non_null (image);
  assert_allocated (image, "dddd???");
}

static bool
value_of (void *opaque)
{
  const bool *interrupted = opaque;

  return *interrupted;
}

/* A disk without a grain, each in a table of its own, and its parents: to
 * read it takes long, and is given up if nobody waits for it.
 */
static void
test_interrupted (void **state)
{
  const uint64_t sectors = 65536, directory = 3;
  bool interrupted = false;
  const struct vmdk_options options = {
    .interrupted = value_of, .opaque = &interrupted,
  };
  const size_t size = (directory + sectors * 4 / 512) * 512;
  uint8_t *file = calloc (1, size), *buf = malloc (sectors * 512);
  struct vmdk_error error;
  unsigned i;

  assert_non_null (file);
  assert_non_null (buf);
  memcpy (file, "KDMV", 4);
  store_le32 (file + 4, 1);
  store_le64 (file + 12, sectors);
  store_le64 (file + 20, 1);
  store_le32 (file + 44, 1);
  store_le64 (file + 56, directory);
  for (i = 0; i < sectors; ++i)
    store_le32 (file + directory * 512 + i * 4, 2);
  folder_write (&folder, "grains", file, size);
  for (i = 0; i < 4; ++i) {
    char name[16], text[200];

    snprintf (name, sizeof name, "%u.vmdk", i);
    snprintf (text, sizeof text,
              "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=%s\n"
              "parentFileNameHint=\"%u.vmdk\"\nRW 65536 SPARSE \"grains\"\n",
              i < 3 ? "1" : "ffffffff", i + 1);
    folder_write_text (&folder, name, text);
  }
  image = vmdk_open (folder_path (&folder, "0.vmdk"), &options, &error);
  assert_non_null (image);
  interrupted = true;
  assert_int_equal (vmdk_pread (image, buf, 512, 0, &error), 0);
  assert_int_equal (vmdk_pread (image, buf, sectors * 512, 0, &error), -1);
  assert_error (&error, VMDK_ERROR_INTERRUPTED, EINTR,
                "0.vmdk: reading: was interrupted");
  free (buf);
  free (file);
}

/* The lines of a descriptor may name many files. */
static void
test_interrupted_opening (void **state)
{
  bool interrupted = false;
  const struct vmdk_options options = {
    .interrupted = value_of, .opaque = &interrupted,
  };
  struct vmdk_error error;

  folder_write_text (&folder, "disk.vmdk",
                     "# Disk DescriptorFile\nversion=1\nCID=1\n"
                     "parentCID=ffffffff\nRW 8 ZERO\nRW 8 ZERO\n");
  image = vmdk_open (folder_path (&folder, "disk.vmdk"), &options, &error);
  assert_non_null (image);
  vmdk_close (image);
  interrupted = true;
  image = vmdk_open (folder_path (&folder, "disk.vmdk"), &options, &error);
  assert_null (image);
  assert_error (&error, VMDK_ERROR_INTERRUPTED, EINTR,
                "disk.vmdk: opening its extents: was interrupted");
}

#define TEST(t) cmocka_unit_test_setup_teardown (t, setup, teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    TEST (test_two_links),
    TEST (test_three_links),
    TEST (test_grain_sizes),
    TEST (test_child_larger),
    TEST (test_child_smaller),
    TEST (test_parent_extents),
    TEST (test_child_extents),
    TEST (test_holes_merge),
    TEST (test_single_link),
    TEST (test_child_line_longer),
    TEST (test_random),
    TEST (test_interrupted),
    TEST (test_interrupted_opening),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
