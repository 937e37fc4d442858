/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Who gets a lock on a file, and which bytes are locked: those that QEMU
 * locks.
 */

#include <config.h>

#include "folder.h"
#include "lock.h"

static struct folder folder;

static int
setup (void **state)
{
  folder_new (&folder);
  folder_write (&folder, "file", "x", 1);
  return 0;
}

static int
teardown (void **state)
{
  folder_remove (&folder);
  return 0;
}

/* Each open file has locks of its own, as if it were another program. */
static int
open_file (int flags)
{
  const int fd = open (folder_path (&folder, "file"), flags);

  assert_true (fd >= 0);
  return fd;
}

static int
set_byte (int fd, short type, off_t byte)
{
  struct flock lock = {
    .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1,
  };

  return fcntl (fd, F_OFD_SETLK, &lock);
}

/* Where the file system has no such locks there is nothing to test. */
static void
need_locks (void)
{
  const int fd = open_file (O_RDONLY);
  const int r = set_byte (fd, F_RDLCK, 0);

  close (fd);
  if (r == -1)
    skip ();
}

/* The bytes that are locked by anybody must be these, which end with 0. */
static void
check_bytes (const short *expected, const char *file, int line)
{
  const int fd = open_file (O_RDONLY);
  bool ok = true;
  off_t i;

  for (i = 0; i < 310; ++i) {
    struct flock lock = {
      .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = i, .l_len = 1,
    };
    bool locked;

    assert_int_equal (fcntl (fd, F_OFD_GETLK, &lock), 0);
    locked = *expected != 0 && i == *expected;
    if (locked)
      expected++;
    if ((lock.l_type != F_UNLCK) != locked) {
      print_error ("byte %d is %s\n", (int) i,
                   locked ? "free" : "locked");
      ok = false;
    }
    else if (locked && lock.l_type != F_RDLCK) {
      print_error ("byte %d is locked exclusively\n", (int) i);
      ok = false;
    }
  }
  close (fd);
  if (!ok)
    _fail (file, line);
}

#define assert_bytes(...)                                               \
  check_bytes ((const short[]) { __VA_ARGS__ }, __FILE__, __LINE__)

/* What qemu-io, qemu-nbd and qemu-img hold on the file of a sparse
 * image, and they alone.
 */
#define READER_BYTES 100, 201, 203, 0
#define WRITER_BYTES 100, 101, 103, 201, 203, 0

static void
check_locks (int fd, enum io_lock held, enum io_lock wanted,
             const char *file, int line)
{
  struct vmdk_error error;

  if (lock_fd (fd, "t.vmdk", held, wanted, &error) == 0)
    return;
  print_error ("lock_fd failed: %s\n", error.message);
  _fail (file, line);
}

#define assert_locks(fd, held, wanted)                  \
  check_locks (fd, held, wanted, __FILE__, __LINE__)

#define assert_busy(fd, held, wanted, reason)                           \
  do {                                                                  \
    struct vmdk_error error_;                                           \
    assert_int_equal (lock_fd (fd, "t.vmdk", held, wanted, &error_), -1); \
    assert_error (&error_, VMDK_ERROR_BUSY, EBUSY,                      \
                  "t.vmdk: is in use by another program, " reason);     \
  } while (0)

/* Every change from one lock to another. */
static void
test_bytes (void **state)
{
  static const enum io_lock locks[] = {
    IO_UNLOCKED, IO_LOCK_READ, IO_LOCK_WRITE,
  };
  size_t i, j;

  need_locks ();
  for (i = 0; i < ARRAY_LENGTH (locks); ++i)
    for (j = 0; j < ARRAY_LENGTH (locks); ++j) {
      const int fd = open_file (O_RDWR);

      assert_locks (fd, IO_UNLOCKED, locks[i]);
      assert_locks (fd, locks[i], locks[j]);
      if (locks[j] == IO_UNLOCKED)
        assert_bytes (0);
      else if (locks[j] == IO_LOCK_READ)
        assert_bytes (READER_BYTES);
      else
        assert_bytes (WRITER_BYTES);
      close (fd);
      assert_bytes (0);
    }
}

static void
test_readers (void **state)
{
  int fds[3];
  size_t i;

  need_locks ();
  for (i = 0; i < 3; ++i) {
    fds[i] = open_file (O_RDONLY);
    assert_locks (fds[i], IO_UNLOCKED, IO_LOCK_READ);
  }
  assert_bytes (READER_BYTES);

  /* One of them cannot begin to write, and stays a reader. */
  assert_busy (fds[1], IO_LOCK_READ, IO_LOCK_WRITE, "which reads it");
  close (fds[0]);
  close (fds[2]);
  assert_bytes (READER_BYTES);

  /* When it is alone it can. */
  assert_locks (fds[1], IO_LOCK_READ, IO_LOCK_WRITE);
  assert_bytes (WRITER_BYTES);
  close (fds[1]);
}

static void
test_writer (void **state)
{
  const int writer = open_file (O_RDWR), other = open_file (O_RDWR);

  need_locks ();
  assert_locks (writer, IO_UNLOCKED, IO_LOCK_WRITE);
  assert_busy (other, IO_UNLOCKED, IO_LOCK_READ, "which writes it");
  assert_busy (other, IO_UNLOCKED, IO_LOCK_WRITE, "which writes it");

  /* They were refused, and hold nothing. */
  assert_bytes (WRITER_BYTES);
  close (writer);
  assert_bytes (0);
  assert_locks (other, IO_UNLOCKED, IO_LOCK_WRITE);
  close (other);
}

/* Who becomes a reader lets others read. */
static void
test_weaker (void **state)
{
  const int fd = open_file (O_RDWR), other = open_file (O_RDWR);

  need_locks ();
  assert_locks (fd, IO_UNLOCKED, IO_LOCK_WRITE);
  assert_locks (fd, IO_LOCK_WRITE, IO_LOCK_READ);
  assert_locks (other, IO_UNLOCKED, IO_LOCK_READ);
  assert_locks (fd, IO_LOCK_READ, IO_UNLOCKED);
  assert_locks (other, IO_LOCK_READ, IO_LOCK_WRITE);
  close (fd);
  assert_bytes (WRITER_BYTES);
  close (other);
}

/* What each kind of use by QEMU, as seen in version 7.2, leaves to us.
 * "" means that we get the lock.
 */
static void
test_qemu (void **state)
{
  static const struct {
    const char *what;
    short bytes[8];
    const char *reader, *writer;
  } cases[] = {
    { "reads a sparse image", { READER_BYTES }, "", "which reads it" },
    { "reads a flat file of an image", { 100, 203 }, "", "which reads it" },
    { "reads it as raw", { 100 }, "", "" },
    { "writes a sparse image", { WRITER_BYTES },
      "which writes it", "which writes it" },
    { "writes a flat file of an image", { 100, 101, 103, 203 },
      "which writes it", "which writes it" },
    { "writes it as raw", { 100, 101 },
      "which writes it", "which writes it" },
    { "makes it larger", { 103 }, "which writes it", "which writes it" },
    { "writes the same again", { 102 }, "", "" },
    { "does not let others do that", { 202 }, "", "" },
    { "lets nobody read", { 200 },
      "which lets nobody else read it", "which reads it" },
  };
  size_t i, j;

  need_locks ();
  for (i = 0; i < ARRAY_LENGTH (cases); ++i) {
    const int qemu = open_file (O_RDWR), fd = open_file (O_RDWR);
    const char *reason;
    enum io_lock wanted;

    for (j = 0; cases[i].bytes[j]; ++j)
      assert_int_equal (set_byte (qemu, F_RDLCK, cases[i].bytes[j]), 0);
    for (wanted = IO_LOCK_READ; wanted <= IO_LOCK_WRITE; ++wanted) {
      struct vmdk_error error;
      const int r = lock_fd (fd, "t.vmdk", IO_UNLOCKED, wanted, &error);

      reason = wanted == IO_LOCK_READ ? cases[i].reader : cases[i].writer;
      if ((r == 0) != (*reason == '\0'))
        fail_msg ("%s: lock %d gave %d", cases[i].what, wanted, r);
      if (r == -1)
        assert_error (&error, VMDK_ERROR_BUSY, EBUSY, reason);
      else
        assert_locks (fd, wanted, IO_UNLOCKED);
      check_bytes (cases[i].bytes, __FILE__, __LINE__);
    }
    close (qemu);
    close (fd);
  }
}

/* A program that knows nothing of the protocol, and locks exclusively. */
static void
test_exclusive (void **state)
{
  const int other = open_file (O_RDWR), fd = open_file (O_RDWR);
  static const short bytes[] = { 100, 101, 103, 201, 203 };
  size_t i;

  need_locks ();
  for (i = 0; i < ARRAY_LENGTH (bytes); ++i) {
    assert_int_equal (set_byte (other, F_WRLCK, bytes[i]), 0);
    assert_busy (fd, IO_UNLOCKED, IO_LOCK_WRITE, "which has locked it");
    assert_int_equal (set_byte (other, F_UNLCK, bytes[i]), 0);
    assert_bytes (0);
  }
  close (other);
  close (fd);
}

/* Closing another descriptor of the file, or a copy, drops nothing. */
static void
test_closing (void **state)
{
  const int fd = open_file (O_RDWR);

  need_locks ();
  assert_locks (fd, IO_UNLOCKED, IO_LOCK_WRITE);
  close (open_file (O_RDWR));
  close (dup (fd));
  assert_bytes (WRITER_BYTES);
  close (fd);
}

/* A lock for reading needs a descriptor for reading. */
static void
test_failure (void **state)
{
  const int fd = open_file (O_WRONLY);
  struct vmdk_error error;

  need_locks ();
  assert_int_equal (lock_fd (fd, "t.vmdk", IO_UNLOCKED, IO_LOCK_READ,
                             &error), -1);
  assert_error (&error, VMDK_ERROR_IO, EBADF, "t.vmdk: ");
  assert_bytes (0);
  close (fd);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_bytes),
    cmocka_unit_test (test_readers),
    cmocka_unit_test (test_writer),
    cmocka_unit_test (test_weaker),
    cmocka_unit_test (test_qemu),
    cmocka_unit_test (test_exclusive),
    cmocka_unit_test (test_closing),
    cmocka_unit_test (test_failure),
  };

  return cmocka_run_group_tests (tests, setup, teardown);
}
