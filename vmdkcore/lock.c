/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* QEMU's protocol.  There are several things that one can do with a file,
 * and each has two bytes, far apart.  Who does it holds a lock on the
 * first, and who cannot bear that others do it, on the second.  All these
 * locks are shared ones, which never refuse each other: one takes one's
 * own first, then looks whether anybody holds an opposite byte, and if so
 * gives back what one took.  So of two who come at once, both may be
 * refused, but never none.
 *
 * The locks belong to the open file, not to the process: closing another
 * descriptor of the same file does not drop them.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

#include "lock.h"

/* What one can do.  QEMU has a bit 2, too, for writing what is there
 * already, which we neither do nor mind.
 */
enum {
  ACT_READ = 1 << 0,            /* and rely on what was read */
  ACT_WRITE = 1 << 1,
  ACT_RESIZE = 1 << 3,
  NR_ACTS = 4
};

/* Where the bytes are in the file. */
#define DONE_BASE 100
#define REFUSED_BASE 200

struct acts {
  unsigned done;                /* what we do */
  unsigned refused;             /* what nobody else may do */
};

static const struct acts acts_of[] = {
  [IO_UNLOCKED] = { 0, 0 },
  [IO_LOCK_READ] = { ACT_READ, ACT_WRITE | ACT_RESIZE },
  [IO_LOCK_WRITE] = { ACT_READ | ACT_WRITE | ACT_RESIZE,
                      ACT_WRITE | ACT_RESIZE },
};

static int
lock_byte (int fd, int command, short type, off_t byte, struct flock *lock)
{
  int r;

  do {
    *lock = (struct flock) {
      .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1,
    };
    r = fcntl (fd, command, lock);
  } while (r == -1 && errno == EINTR);
  return r;
}

/* Take or drop the locks of a set of acts.  Returns 0, or an errno value
 * when the first one failed.
 */
static int
set_locks (int fd, short type, off_t base, unsigned acts)
{
  struct flock lock;
  unsigned i;

  for (i = 0; i < NR_ACTS; ++i)
    if ((acts & 1U << i) != 0 &&
        lock_byte (fd, F_OFD_SETLK, type, base + i, &lock) == -1)
      return errno;
  return 0;
}

/* Put in *held whether somebody else holds a lock for one of these acts.
 * Returns 0 or an errno value.
 */
static int
find_locks (int fd, off_t base, unsigned acts, bool *held)
{
  struct flock lock;
  unsigned i;

  *held = false;
  for (i = 0; i < NR_ACTS && !*held; ++i) {
    if ((acts & 1U << i) == 0)
      continue;
    /* Would an exclusive lock be refused? */
    if (lock_byte (fd, F_OFD_GETLK, F_WRLCK, base + i, &lock) == -1)
      return errno;
    *held = lock.l_type != F_UNLCK;
  }
  return 0;
}

/* The file system, or the kernel, has no such locks. */
static bool
is_without_locks (int err)
{
  return err == ENOLCK || err == EINVAL || err == ENOSYS ||
    err == EOPNOTSUPP;
}

/* A call failed.  That is no failure where there are no locks. */
static int
call_failed (const char *name, int err, struct vmdk_error *error)
{
  if (is_without_locks (err))
    return 1;
  if (err == EAGAIN || err == EACCES)
    return error_set (error, VMDK_ERROR_BUSY, EBUSY,
                      "%s: is in use by another program, which has locked "
                      "it and must be closed first", name);
  return error_sys (error, err, "fcntl: %s: locking", name);
}

/* Is anybody else in the way of these acts?  0, 1 if that cannot be known,
 * or -1.
 */
static int
check (int fd, const char *name, const struct acts *acts,
       struct vmdk_error *error)
{
  bool writer, other;
  int err;

  /* First who writes: such a program may hold the other bytes, too. */
  err = find_locks (fd, DONE_BASE, acts->refused, &writer);
  if (err)
    return call_failed (name, err, error);
  if (writer)
    return error_set (error, VMDK_ERROR_BUSY, EBUSY,
                      "%s: is in use by another program, which writes it "
                      "and must be closed first", name);

  err = find_locks (fd, REFUSED_BASE, acts->done, &other);
  if (err)
    return call_failed (name, err, error);
  if (other && (acts->done & ACT_WRITE) != 0)
    return error_set (error, VMDK_ERROR_BUSY, EBUSY,
                      "%s: is in use by another program, which reads it "
                      "and must be closed before it can be written", name);
  if (other)
    return error_set (error, VMDK_ERROR_BUSY, EBUSY,
                      "%s: is in use by another program, which lets nobody "
                      "else read it and must be closed first", name);
  return 0;
}

int
lock_fd (int fd, const char *name, enum io_lock held, enum io_lock wanted,
         struct vmdk_error *error)
{
  const struct acts old = acts_of[held], new = acts_of[wanted];
  const struct acts added = {
    new.done & ~old.done, new.refused & ~old.refused,
  };
  int err, r;

  if (added.done || added.refused) {
    err = set_locks (fd, F_RDLCK, DONE_BASE, added.done);
    if (!err)
      err = set_locks (fd, F_RDLCK, REFUSED_BASE, added.refused);
    r = err ? call_failed (name, err, error) : check (fd, name, &new, error);
    if (r != 0) {
      set_locks (fd, F_UNLCK, DONE_BASE, added.done);
      set_locks (fd, F_UNLCK, REFUSED_BASE, added.refused);
      return r;
    }
  }

  err = set_locks (fd, F_UNLCK, DONE_BASE, old.done & ~new.done);
  if (!err)
    err = set_locks (fd, F_UNLCK, REFUSED_BASE, old.refused & ~new.refused);
  return err ? call_failed (name, err, error) : 0;
}
