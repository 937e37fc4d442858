/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* What can be said of all backends. */

#include <config.h>

#include <errno.h>

#include "bytes.h"
#include "io.h"

int
io_write_zeroes (struct io *io, uint64_t offset, uint64_t count,
                 struct vmdk_error *error)
{
  /* Where a server is killed the system may have taken what is before a page
   * of memory, and nothing of that page: its beginning must be that of a
   * sector.
   */
  static const uint8_t zeroes[65536] __attribute__ ((aligned (4096)));

  while (count > 0) {
    /* The pieces meet between sectors, so that a power cut finds each
     * sector as it was or as it shall be.
     */
    const size_t skip = (size_t) (offset % SECTOR_SIZE);
    const size_t n = (size_t) min_u64 (count, sizeof zeroes - skip);

    if (io_pwrite (io, zeroes + skip, n, offset, error) == -1)
      return -1;
    offset += n;
    count -= n;
  }
  return 0;
}

static int
check_lost (struct io *io, struct vmdk_error *error)
{
  return !atomic_load (&io->sync_failed) ? 0 :
    error_set (error, VMDK_ERROR_IO, EIO,
               "%s: a sync has failed before", io->name);
}

int
io_sync_now (struct io *io, struct vmdk_error *error)
{
  if (check_lost (io, error) == -1)
    return -1;
  if (io->ops->sync (io, error) == 0)
    return 0;
  atomic_store (&io->sync_failed, true);
  return -1;
}

int
io_sync (struct io *io, struct vmdk_error *error)
{
  const bool inherited = atomic_exchange (&io->inherited, false);

  return atomic_exchange (&io->unsynced, false) || inherited ?
    io_sync_now (io, error) : check_lost (io, error);
}

int
io_sync_inherited (struct io *io, struct vmdk_error *error)
{
  return atomic_exchange (&io->inherited, false) ? io_sync_now (io, error) :
    check_lost (io, error);
}
