/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* create.c: files as VMware's tools make them, and none if anything fails. */

#include <config.h>

#include "folder.h"
#include "../../vmdkcore/create.h"
#include "header.h"

#define MIB (UINT64_C (1) << 20)

static struct folder folder;
static struct vmdk_error error;

static int
setup (void **state)
{
  (void) state;
  folder_new (&folder);
  return 0;
}

static int
teardown (void **state)
{
  (void) state;
  folder_remove (&folder);
  return 0;
}

static void
create (const char *name, const char *type, uint64_t size)
{
  const struct vmdk_create_options c = { .type = type, .size = size };
  const struct vmdk_options options = { .writable = true };
  struct vmdk_image *image;

  image = vmdk_create (folder_path (&folder, name), &c, &options, &error);
  if (!image)
    fail_msg ("%s", error.message);
  assert_int_equal (vmdk_size (image), size);
  vmdk_close (image);
}

/* The beginning of a file; returns its length. */
static uint64_t
load (const char *name, uint8_t *buf, size_t count)
{
  const int fd = open (folder_path (&folder, name), O_RDONLY);
  struct stat st;
  ssize_t n;

  assert_true (fd != -1);
  assert_int_equal (fstat (fd, &st), 0);
  memset (buf, 0, count);
  n = read (fd, buf, count);
  assert_true (n == (ssize_t) count || n == st.st_size);
  close (fd);
  return (uint64_t) st.st_size;
}

/* The header of a 64 MiB disk, as every producer writes it. */
static void
test_header_bytes (void **state)
{
  static const uint8_t wanted[80] = {
    0x4b, 0x44, 0x4d, 0x56, 0x01, 0x00, 0x00, 0x00,
    0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x80, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00,
    0x15, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x1e, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x0a, 0x20, 0x0d, 0x0a, 0x00, 0x00, 0x00,
  };
  uint8_t file[65536];
  unsigned i;

  create ("a.vmdk", NULL, 64 * MIB);
  assert_int_equal (load ("a.vmdk", file, sizeof file), 65536);
  assert_memory_equal (file, wanted, sizeof wanted);
  for (i = sizeof wanted; i < 512; ++i)
    assert_int_equal (file[i], 0);

  /* Directory and tables, one behind the other. */
  assert_int_equal (load_le32 (file + 21 * 512), 22);
  assert_int_equal (load_le32 (file + 21 * 512 + 4), 26);
  assert_int_equal (load_le32 (file + 30 * 512), 31);
  assert_int_equal (load_le32 (file + 30 * 512 + 4), 35);
  for (i = 30 * 512 + 8; i < sizeof file; ++i)
    assert_int_equal (file[i], 0);
}

static void
test_layouts (void **state)
{
  static const struct {
    const char *type, *file;
    uint64_t sectors, rgd, rgt, gd, gt, overhead;
  } cases[] = {
    { "monolithic-sparse", "a.vmdk", 20480, 21, 22, 26, 27, 128 },
    { "split-sparse", "a-s001.vmdk", 20480, 1, 2, 6, 7, 128 },
    { "monolithic-sparse", "a.vmdk", 131072, 21, 22, 30, 31, 128 },
    { "split-sparse", "a-s001.vmdk", 4192256, 1, 2, 258, 259, 640 },
    { "monolithic-sparse", "a.vmdk", 83886080, 21, 31, 5151, 5161, 10368 },
  };
  static uint8_t file[5162 * 512];
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i) {
    struct hosted_header h;

    folder_remove (&folder);
    setup (state);
    create ("a.vmdk", cases[i].type, cases[i].sectors * 512);
    assert_int_equal (load (cases[i].file, file, sizeof file),
                      cases[i].overhead * 512);
    hosted_decode (file, &h);
    assert_int_equal (h.capacity, cases[i].sectors);
    assert_int_equal (h.rgd_offset, cases[i].rgd);
    assert_int_equal (h.gd_offset, cases[i].gd);
    assert_int_equal (h.overhead, cases[i].overhead);
    assert_int_equal (h.version, 1);
    assert_int_equal (load_le32 (file + cases[i].rgd * 512), cases[i].rgt);
    assert_int_equal (load_le32 (file + cases[i].gd * 512), cases[i].gt);
  }
}

static void
test_cowd (void **state)
{
  uint8_t file[2560];
  unsigned i;

  create ("a.vmdk", "vmfs-sparse", 64 * MIB);
  assert_int_equal (load ("a-delta.vmdk", file, sizeof file), 2560);

  assert_memory_equal (file, "COWD", 4);
  assert_int_equal (load_le32 (file + 4), 1);
  assert_int_equal (load_le32 (file + 8), 3);
  assert_int_equal (load_le32 (file + 12), 131072);
  assert_int_equal (load_le32 (file + 16), 1);
  assert_int_equal (load_le32 (file + 20), 4);
  assert_int_equal (load_le32 (file + 24), 32);
  assert_int_equal (load_le32 (file + 28), 5);
  for (i = 32; i < sizeof file; ++i)
    assert_int_equal (file[i], 0);
}

static void
test_flat (void **state)
{
  uint8_t file[512];

  create ("a.vmdk", "vmfs-thin", 3 * MIB + 512);
  assert_int_equal (load ("a-flat.vmdk", file, sizeof file), 3 * MIB + 512);
}

/* A backend of which one call fails: number 'left' from now. */
struct failing {
  struct io io;
  struct io *inner;
};

static unsigned left;

static bool
fails (struct vmdk_error *e)
{
  if (left == 0 || --left > 0)
    return false;
  error_sys (e, ENOSPC, "a fault");
  return true;
}

static int
failing_pread (struct io *io, void *buf, size_t count, uint64_t offset,
               struct vmdk_error *e)
{
  return fails (e) ? -1 :
    io_pread (((struct failing *) io)->inner, buf, count, offset, e);
}

static int
failing_pwrite (struct io *io, const void *buf, size_t count,
                uint64_t offset, struct vmdk_error *e)
{
  struct failing *f = (struct failing *) io;
  const int r = fails (e) ? -1 : io_pwrite (f->inner, buf, count, offset, e);

  atomic_store (&io->size, atomic_load (&f->inner->size));
  return r;
}

static int
failing_truncate (struct io *io, uint64_t size, struct vmdk_error *e)
{
  struct failing *f = (struct failing *) io;
  const int r = fails (e) ? -1 : io_truncate (f->inner, size, e);

  atomic_store (&io->size, atomic_load (&f->inner->size));
  return r;
}

static int
failing_sync (struct io *io, struct vmdk_error *e)
{
  (void) io;
  return fails (e) ? -1 : 0;
}

static void
failing_close (struct io *io)
{
  struct failing *f = (struct failing *) io;

  io_unref (f->inner);
  free (f);
}

static const struct io_ops failing_ops = {
  .pread = failing_pread, .pwrite = failing_pwrite,
  .truncate = failing_truncate, .sync = failing_sync,
  .close = failing_close,
};

static struct io *
wrap (void *opaque, struct io *inner, struct vmdk_error *e)
{
  struct failing *f;

  (void) opaque;
  if (fails (e)) {
    io_unref (inner);
    return NULL;
  }
  f = calloc (1, sizeof *f);
  assert_non_null (f);
  f->inner = inner;
  f->io = (struct io) {
    .ops = &failing_ops, .name = inner->name, .writable = inner->writable,
    .dev = inner->dev, .ino = inner->ino, .refs = 1,
  };
  atomic_store (&f->io.size, atomic_load (&inner->size));
  return &f->io;
}

/* Fails unless the folder is empty, which can be removed then. */
static void
assert_empty (void)
{
  assert_int_equal (rmdir (folder.path), 0);
  assert_int_equal (mkdir (folder.path, 0777), 0);
}

static void
test_failing_calls (void **state)
{
  static const char *const types[] = {
    "monolithic-sparse", "split-sparse", "split-flat", "vmfs-sparse",
    "vmfs-flat",
  };
  const struct io_hook hook = { .wrap = wrap };
  const struct vmdk_options options = { .writable = true };
  unsigned i, n;

  for (i = 0; i < ARRAY_LENGTH (types); ++i) {
    const struct vmdk_create_options c = {
      .type = types[i], .size = 5000 * MIB,
    };
    struct vmdk_image *image = NULL;

    for (n = 1; !image; ++n) {
      assert_true (n < 200);
      left = n;
      image = image_create (folder_path (&folder, "a.vmdk"), &c, &options,
                            &hook, &error);
      if (!image) {
        assert_error (&error, VMDK_ERROR_IO, ENOSPC, "a fault");
        assert_empty ();
      }
    }
    assert_true (n > 5);
    left = 0;
    vmdk_close (image);
    folder_remove (&folder);
    setup (state);
  }
}

/* What is there stays, and nothing else is left. */
static void
test_existing (void **state)
{
  static const char *const names[] = {
    "a.vmdk", "a-s001.vmdk", "a-s002.vmdk", "a-s003.vmdk",
  };
  const struct vmdk_create_options c = {
    .type = "split-sparse", .size = 5000 * MIB,
  };
  const struct vmdk_options options = { .writable = true };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (names); ++i) {
    uint8_t buf[100];

    folder_write_text (&folder, names[i], "precious");
    assert_null (vmdk_create (folder_path (&folder, "a.vmdk"), &c, &options,
                              &error));
    assert_error (&error, VMDK_ERROR_INVALID, EEXIST, names[i]);
    assert_int_equal (load (names[i], buf, sizeof buf), 8);
    assert_memory_equal (buf, "precious", 8);
    assert_int_equal (unlink (folder_path (&folder, names[i])), 0);
    assert_empty ();
  }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (test_header_bytes, setup, teardown),
    cmocka_unit_test_setup_teardown (test_layouts, setup, teardown),
    cmocka_unit_test_setup_teardown (test_cowd, setup, teardown),
    cmocka_unit_test_setup_teardown (test_flat, setup, teardown),
    cmocka_unit_test_setup_teardown (test_failing_calls, setup, teardown),
    cmocka_unit_test_setup_teardown (test_existing, setup, teardown),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
