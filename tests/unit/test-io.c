/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The two backends: reads up to the end and not beyond it, and what is
 * stored.
 */

#include <config.h>

#include "folder.h"
#include "io.h"

#define SIZE 10000

static struct folder folder;
static uint8_t data[SIZE];

static int
setup (void **state)
{
  size_t i;

  folder_new (&folder);
  for (i = 0; i < SIZE; ++i)
    data[i] = (uint8_t) (i * 7 + i / 256);
  folder_write (&folder, "file", data, SIZE);
  return 0;
}

static int
teardown (void **state)
{
  folder_remove (&folder);
  return 0;
}

static struct io *
open_file (const char *name)
{
  const int fd = open (folder_path (&folder, name), O_RDONLY);
  struct vmdk_error error;
  struct io *io;

  assert_true (fd >= 0);
  io = io_file_new (fd, false, name, &error);
  assert_non_null (io);
  return io;
}

static struct io *
open_memory (void)
{
  struct vmdk_error error;
  struct io *io = io_mem_new (data, SIZE, "file", &error);

  assert_non_null (io);
  return io;
}

static void
check_reads (struct io *io)
{
  static const struct { uint64_t offset, count; } good[] = {
    { 0, SIZE }, { 1, SIZE - 1 }, { SIZE - 1, 1 }, { SIZE, 0 },
    { 513, 1000 }, { 0, 0 },
  }, bad[] = {
    { 0, SIZE + 1 }, { SIZE, 1 }, { SIZE - 1, 2 }, { SIZE + 1, 1 },
    { UINT64_C (1) << 40, 10 },
  };
  uint8_t buf[SIZE + 1];
  struct vmdk_error error;
  size_t i;

  assert_string_equal (io->name, "file");
  assert_int_equal (io->size, SIZE);
  assert_int_equal (io->refs, 1);
  for (i = 0; i < ARRAY_LENGTH (good); ++i) {
    memset (buf, 0, sizeof buf);
    assert_int_equal (io_pread (io, buf, good[i].count, good[i].offset,
                                &error), 0);
    assert_memory_equal (buf, data + good[i].offset, good[i].count);
    assert_int_equal (buf[good[i].count], 0);
  }
  for (i = 0; i < ARRAY_LENGTH (bad); ++i) {
    char place[64];

    assert_int_equal (io_pread (io, buf, bad[i].count, bad[i].offset,
                                &error), -1);
    assert_error (&error, VMDK_ERROR_IO, EIO, "pread: file: offset=");
    assert_error (&error, VMDK_ERROR_IO, EIO, "unexpected end of file");
    if (bad[i].offset >= SIZE) {
      snprintf (place, sizeof place, "offset=%" PRIu64 ", count=%" PRIu64,
                bad[i].offset, bad[i].count);
      assert_error (&error, VMDK_ERROR_IO, EIO, place);
    }
  }
  io_prefetch (io, 0, SIZE);
}

static void
test_file (void **state)
{
  struct io *io = open_file ("file");
  struct stat statbuf;

  check_reads (io);
  assert_int_equal (stat (folder_path (&folder, "file"), &statbuf), 0);
  assert_true (io->dev == statbuf.st_dev && io->ino == statbuf.st_ino);
  io_unref (io);
}

static void
test_memory (void **state)
{
  struct io *io = open_memory ();
  uint64_t length = 0;

  check_reads (io);
  assert_true (io->dev == 0 && io->ino == 0);
  assert_true (io_is_stored (io, 5, 100, &length));
  assert_int_equal (length, 100);
  io_unref (io);
}

/* The last one closes. */
static void
test_references (void **state)
{
  struct io *io = open_memory ();
  struct vmdk_error error;
  uint8_t byte;

  assert_ptr_equal (io_ref (io), io);
  io_unref (io);
  assert_int_equal (io_pread (io, &byte, 1, 0, &error), 0);
  io_unref (io);
  io_unref (NULL);
}

/* A file of a hole, data, and a hole. */
static void
test_holes (void **state)
{
  const uint64_t size = 1 << 20, start = 1 << 18, end = 1 << 19;
  static uint8_t block[1 << 18];
  const int fd = open (folder_path (&folder, "holes"), O_RDWR | O_CREAT,
                       0600);
  struct io *io;
  size_t i;
  const struct {
    uint64_t offset, count, length;
    bool stored;
  } cases[] = {
    { 0, size, start, false },
    { 100, size - 100, start - 100, false },
    { 100, 50, 50, false },
    { start - 1, 2, 1, false },
    { start, size - start, end - start, true },
    { start + 5, 100, 100, true },
    { end - 1, 2, 1, true },
    { end, size - end, size - end, false },
    { size - 1, 1, 1, false },
  };

  assert_true (fd >= 0);
  memset (block, 1, sizeof block);
  assert_int_equal (ftruncate (fd, (off_t) size), 0);
  assert_int_equal (pwrite (fd, block, sizeof block, (off_t) start),
                    sizeof block);
  if (lseek (fd, 0, SEEK_DATA) != (off_t) start ||
      lseek (fd, (off_t) start, SEEK_HOLE) != (off_t) end) {
    close (fd);
    skip ();                    /* a file system without holes */
  }
  close (fd);
  io = open_file ("holes");
  for (i = 0; i < ARRAY_LENGTH (cases); ++i) {
    uint64_t length = 0;

    assert_int_equal (io_is_stored (io, cases[i].offset, cases[i].count,
                                    &length), cases[i].stored);
    assert_int_equal (length, cases[i].length);
  }
  io_unref (io);
}

/* What has no size is refused, and closed. */
static void
test_not_a_file (void **state)
{
  struct vmdk_error error;
  int fds[2];

  assert_int_equal (pipe (fds), 0);
  assert_null (io_file_new (fds[0], false, "pipe", &error));
  assert_error (&error, VMDK_ERROR_IO, ESPIPE, "lseek: pipe: ");
  assert_int_equal (fcntl (fds[0], F_GETFD), -1);
  close (fds[1]);
  assert_null (io_file_new (-1, false, "nothing", &error));
  assert_error (&error, VMDK_ERROR_IO, EBADF, "nothing: ");
}

/* A file that was opened for writing only cannot be read. */
static void
test_failing_read (void **state)
{
  const int fd = open (folder_path (&folder, "file"), O_WRONLY);
  struct vmdk_error error;
  struct io *io;
  uint8_t byte;

  assert_true (fd >= 0);
  io = io_file_new (fd, false, "file", &error);
  assert_non_null (io);
  assert_int_equal (io_pread (io, &byte, 1, 7, &error), -1);
  assert_error (&error, VMDK_ERROR_IO, EBADF,
                "pread: file: offset=7, count=1: ");
  io_unref (io);
}

/* Bytes on both sides of the beginning of a page of memory must not be of one
 * sector.
 */
static int
check_pages (struct io *io, const void *buf, size_t count, uint64_t offset,
             struct vmdk_error *error)
{
  (void) error;
  assert_true (((uintptr_t) buf - offset) % SECTOR_SIZE == 0);
  assert_true (offset + count <= io->size);
  assert_true (memcmp (buf, (uint8_t[SECTOR_SIZE]) { 0 },
                       min_u64 (count, SECTOR_SIZE)) == 0);
  io->size -= count;
  return 0;
}

static void
test_zeroes (void **state)
{
  static const struct io_ops ops = { .pwrite = check_pages };
  static const uint64_t offsets[] = { 0, 1, 511, 512, 4095, 99999 };
  struct vmdk_error error;
  size_t i;

  (void) state;
  for (i = 0; i < ARRAY_LENGTH (offsets); ++i) {
    struct io io = { .ops = &ops, .size = UINT64_MAX };

    assert_int_equal (io_write_zeroes (&io, offsets[i], 200001, &error), 0);
    assert_int_equal (UINT64_MAX - io.size, 200001);
  }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_file),
    cmocka_unit_test (test_memory),
    cmocka_unit_test (test_references),
    cmocka_unit_test (test_holes),
    cmocka_unit_test (test_not_a_file),
    cmocka_unit_test (test_failing_read),
    cmocka_unit_test (test_zeroes),
  };

  return cmocka_run_group_tests (tests, setup, teardown);
}
