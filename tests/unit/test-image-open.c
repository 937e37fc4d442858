/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* What is opened and what is refused, whole images at a time. */

#include <config.h>

#include "image.h"

static struct model m;
static struct captured logged;

static int
setup (void **state)
{
  model_init (&m, 9);
  return 0;
}

static int
teardown (void **state)
{
  model_free (&m);
  return 0;
}

static void
assert_open_fails (const char *name, enum vmdk_error_kind kind,
                   const char *piece)
{
  struct vmdk_error error;

  assert_null (open_path (folder_path (&m.folder, name), 0, &logged,
                          &error));
  assert_error (&error, kind, 0, piece);
}

static void
assert_text_fails (const char *lines, enum vmdk_error_kind kind,
                   const char *piece)
{
  char text[1024];

  snprintf (text, sizeof text, "# Disk DescriptorFile\n%s", lines);
  folder_write_text (&m.folder, "text.vmdk", text);
  assert_open_fails ("text.vmdk", kind, piece);
}

static void
test_not_an_image (void **state)
{
  static const struct {
    const char *bytes;
    size_t len;
    const char *piece;
  } cases[] = {
    { "", 0, "empty" },
    { "x", 1, "not a VMDK" },
    { "hello\n", 6, "not a VMDK" },
    { "KDMV", 4, "truncated" },
    { "kdmv", 4, "unfinished" },
    { "\xa2\x72\x19\xf6", 4, "block tracking" },
    { "\x1f\x8b\x08", 3, "gzip" },
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i) {
    struct vmdk_error error;

    folder_write (&m.folder, "bad.vmdk", cases[i].bytes, cases[i].len);
    assert_null (open_path (folder_path (&m.folder, "bad.vmdk"), 0, &logged,
                            &error));
    assert_error (&error, error.kind, 0, "bad.vmdk: ");
    assert_error (&error, error.kind, 0, cases[i].piece);
    assert_true (error.kind == VMDK_ERROR_CORRUPT ||
                 error.kind == VMDK_ERROR_UNSUPPORTED);
  }
}

static void
test_refused_lines (void **state)
{
  folder_write (&m.folder, "flat", m.bytes, 10 * 512);
  assert_text_fails ("", VMDK_ERROR_CORRUPT, "names no extents");
  assert_text_fails ("RW 11 FLAT \"flat\" 0\n", VMDK_ERROR_CORRUPT,
                     "flat: too short");
  assert_text_fails ("RW 10 FLAT \"flat\" 1\n", VMDK_ERROR_CORRUPT,
                     "flat: too short");
  assert_text_fails ("RW 1 FLAT \"flat\" 18014398509481983\n",
                     VMDK_ERROR_CORRUPT, "flat: too short");
  assert_text_fails ("RW 10 SPARSE \"flat\"\n", VMDK_ERROR_CORRUPT,
                     "flat: not a sparse extent");
  assert_text_fails ("RW 10 SPARSE \"flat\" 1\n", VMDK_ERROR_CORRUPT,
                     "offset");
  assert_text_fails ("RW 10 FLAT \"none\" 0\n", VMDK_ERROR_IO, "none");
  assert_text_fails ("RW 10 FLAT \"../none\" 0\n", VMDK_ERROR_DENIED,
                     "allow-dir");
  assert_text_fails ("RW 10 FLAT \"/etc/passwd\" 0\n", VMDK_ERROR_DENIED,
                     "allow-dir");
  assert_text_fails ("RW 9 VMFSRDM \"flat\"\n", VMDK_ERROR_UNSUPPORTED,
                     "LUN");
  assert_text_fails ("version=4\nRW 10 FLAT \"flat\" 0\n",
                     VMDK_ERROR_UNSUPPORTED, "version");
  assert_text_fails ("ddb.iofilters = \"x\"\nRW 10 FLAT \"flat\" 0\n",
                     VMDK_ERROR_UNSUPPORTED, "ddb.iofilters");
  assert_text_fails ("RW 18014398509481983 ZERO\nRW 1 ZERO\n",
                     VMDK_ERROR_CORRUPT, "larger than any disk");
}

static void
test_largest_disk (void **state)
{
  struct vmdk_image *image;
  struct vmdk_error error;
  enum vmdk_allocation allocation;
  uint64_t length, size;
  uint8_t buf[512];

  folder_write_text (&m.folder, "large.vmdk",
                     "# Disk DescriptorFile\nRW 18014398509481982 ZERO\n"
                     "RW 1 ZERO\n");
  image = open_path (folder_path (&m.folder, "large.vmdk"), 0, &logged,
                     &error);
  assert_non_null (image);
  size = vmdk_size (image);
  assert_true (size == MAX_SECTORS * SECTOR_SIZE && size <= INT64_MAX);
  assert_int_equal (vmdk_is_allocated (image, 0, size, &allocation, &length,
                                       &error), 0);
  assert_true (allocation == VMDK_HOLE && length == size);
  memset (buf, 1, sizeof buf);
  assert_int_equal (vmdk_pread (image, buf, 512, size - 512, &error), 0);
  assert_int_equal (buf[0] | buf[511], 0);
  vmdk_close (image);
}

/* What is in a flat file is never looked at. */
static void
test_flat_is_not_probed (void **state)
{
  struct vmdk_image *image;
  struct vmdk_error error;
  uint8_t buf[1024];

  memset (buf, 0, sizeof buf);
  memcpy (buf, "KDMV", 4);
  folder_write (&m.folder, "flat", buf, sizeof buf);
  folder_write_text (&m.folder, "disk.vmdk",
                     "# Disk DescriptorFile\nRW 2 FLAT \"flat\" 0\n");
  image = open_path (folder_path (&m.folder, "disk.vmdk"), 0, &logged,
                     &error);
  assert_non_null (image);
  memset (buf, 1, sizeof buf);
  assert_int_equal (vmdk_pread (image, buf, 1024, 0, &error), 0);
  assert_memory_equal (buf, "KDMV\0\0", 6);
  vmdk_close (image);
}

/* A file with its descriptor in it, and one without any. */
static void
test_monolithic (void **state)
{
  static const char *const descriptors[] = {
    "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\n"
    "createType=\"monolithicSparse\"\nRW 1003 SPARSE \"renamed.vmdk\"\n",
    NULL,
    "",                         /* an area of zeroes is none either */
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (descriptors); ++i) {
    const struct sparse_spec spec = {
      .capacity = i == 0 ? 1008 : 1003, .grain_size = 8, .entries = 32,
      .redundant = true, .descriptor = descriptors[i],
    };
    struct vmdk_description d;
    struct vmdk_image *image;
    struct vmdk_error error;
    uint64_t offset;

    sparse_write (&m, "disk.vmdk", &spec, false, m.bytes, m.kinds);
    image = open_path (folder_path (&m.folder, "disk.vmdk"), 0, &logged,
                       &error);
    assert_non_null (image);
    assert_true (vmdk_size (image) == 1003 * 512);
    for (offset = 0; offset < 1003 * 512; offset += 777)
      model_check (&m, image, offset, min_u64 (10000,
                                               1003 * 512 - offset));
    vmdk_describe (image, &d);
    assert_int_equal (d.nr_extents, 1);
    assert_int_equal (d.grain_size, 4096);
    assert_non_null (d.create_type);
    if (i == 0)
      assert_string_equal (d.create_type, "monolithicSparse");
    vmdk_close (image);
  }
}

/* A sparse file holds one extent and no more. */
static void
test_sparse_twice (void **state)
{
  const struct sparse_spec spec = {
    .capacity = 80, .grain_size = 8, .entries = 32,
  };

  sparse_write (&m, "sparse", &spec, false, m.bytes, m.kinds);
  assert_text_fails ("RW 80 SPARSE \"sparse\"\nRW 80 SPARSE \"sparse\"\n",
                     VMDK_ERROR_CORRUPT, "sparse: named by two");
}

/* A name that is not UTF-8 is tried as it was converted, and as it is. */
static void
test_converted_name (void **state)
{
  static const char text[] =
    "# Disk DescriptorFile\nencoding=\"windows-1252\"\n"
    "RW 1 FLAT \"caf\xe9\" 0\n";
  uint8_t sector[512] = { 1 };
  unsigned i;

  folder_write_text (&m.folder, "disk.vmdk", text);
  for (i = 0; i < 2; ++i) {
    const char *const name = i == 0 ? "caf\xc3\xa9" : "caf\xe9";
    struct vmdk_image *image;
    struct vmdk_error error;

    folder_write (&m.folder, name, sector, sizeof sector);
    image = open_path (folder_path (&m.folder, "disk.vmdk"), 0, &logged,
                       &error);
    assert_non_null (image);
    vmdk_close (image);
    assert_int_equal (unlink (folder_path (&m.folder, name)), 0);
  }
  assert_open_fails ("disk.vmdk", VMDK_ERROR_IO, "caf");
}

static void
test_allowed_folder (void **state)
{
  const char *dir = "/etc";
  const struct vmdk_options allowed = {
    .allow_dirs = &dir, .nr_allow_dirs = 1,
  };
  const char *none = "/none/such";
  const struct vmdk_options bad = {
    .allow_dirs = &none, .nr_allow_dirs = 1,
  };
  struct vmdk_image *image;
  struct vmdk_error error;
  char path[PATH_MAX];

  folder_write_text (&m.folder, "disk.vmdk",
                     "# Disk DescriptorFile\nRW 1 FLAT \"/etc/passwd\" 0\n");
  strcpy (path, folder_path (&m.folder, "disk.vmdk"));
  assert_open_fails ("disk.vmdk", VMDK_ERROR_DENIED, "/etc/passwd");
  image = vmdk_open (path, &allowed, &error);
  assert_non_null (image);
  vmdk_close (image);
  assert_null (vmdk_open (path, &bad, &error));
  assert_error (&error, VMDK_ERROR_IO, ENOENT, "/none/such");
}

/* Holes of the file below are holes of the disk. */
static void
test_holes_of_flat (void **state)
{
  const uint64_t size = 1 << 20, start = 1 << 19, length = 1 << 16;
  struct vmdk_image *image;
  struct vmdk_error error;
  enum vmdk_allocation allocation;
  uint64_t got;
  int fd;

  fd = open (folder_path (&m.folder, "flat"), O_RDWR | O_CREAT, 0600);
  assert_true (fd >= 0);
  model_random_bytes (&m, m.bytes, length);
  assert_int_equal (ftruncate (fd, (off_t) size), 0);
  assert_int_equal (pwrite (fd, m.bytes, length, (off_t) start), length);
  if (lseek (fd, 0, SEEK_DATA) != (off_t) start ||
      lseek (fd, (off_t) start, SEEK_HOLE) != (off_t) (start + length)) {
    close (fd);
    skip ();                    /* a file system without holes */
  }
  close (fd);
  folder_write_text (&m.folder, "disk.vmdk",
                     "# Disk DescriptorFile\nRW 8 ZERO\n"
                     "RW 2047 FLAT \"flat\" 1\nRW 8 ZERO\n");
  image = open_path (folder_path (&m.folder, "disk.vmdk"), 0, &logged,
                     &error);
  assert_non_null (image);

  /* The disk is the file moved by 7 sectors. */
  assert_int_equal (vmdk_is_allocated (image, 0, vmdk_size (image),
                                       &allocation, &got, &error), 0);
  assert_int_equal (allocation, VMDK_HOLE);
  assert_int_equal (got, start + 7 * 512);
  assert_int_equal (vmdk_is_allocated (image, got, vmdk_size (image) - got,
                                       &allocation, &got, &error), 0);
  assert_int_equal (allocation, VMDK_ALLOCATED);
  assert_int_equal (got, length);
  got = start + length + 7 * 512;
  assert_int_equal (vmdk_is_allocated (image, got, vmdk_size (image) - got,
                                       &allocation, &got, &error), 0);
  assert_int_equal (allocation, VMDK_HOLE);
  assert_int_equal (got, size - start - length + 8 * 512);
  vmdk_close (image);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (test_not_an_image, setup, teardown),
    cmocka_unit_test_setup_teardown (test_refused_lines, setup, teardown),
    cmocka_unit_test_setup_teardown (test_largest_disk, setup, teardown),
    cmocka_unit_test_setup_teardown (test_flat_is_not_probed, setup,
                                     teardown),
    cmocka_unit_test_setup_teardown (test_monolithic, setup, teardown),
    cmocka_unit_test_setup_teardown (test_sparse_twice, setup, teardown),
    cmocka_unit_test_setup_teardown (test_converted_name, setup, teardown),
    cmocka_unit_test_setup_teardown (test_allowed_folder, setup, teardown),
    cmocka_unit_test_setup_teardown (test_holes_of_flat, setup, teardown),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
