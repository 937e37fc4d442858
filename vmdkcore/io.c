/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* What can be said of all backends. */

#include <config.h>

#include "bytes.h"
#include "io.h"

int
io_write_zeroes (struct io *io, uint64_t offset, uint64_t count,
                 struct vmdk_error *error)
{
  static const uint8_t zeroes[65536];

  while (count > 0) {
    /* The pieces meet between sectors, so that a power cut finds each
     * sector as it was or as it shall be.
     */
    const size_t n = (size_t) min_u64 (count, sizeof zeroes -
                                       offset % SECTOR_SIZE);

    if (io_pwrite (io, zeroes, n, offset, error) == -1)
      return -1;
    offset += n;
    count -= n;
  }
  return 0;
}
