/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "mutate.h"

/* Put some sectors where others were. */
static void
move_sectors (uint8_t *data, size_t nr_sectors)
{
  const size_t from = random_below (nr_sectors);
  const size_t to = random_below (nr_sectors);
  const size_t n = 1 + random_below (nr_sectors - (from > to ? from : to));

  memmove (data + to * SECTOR_SIZE, data + from * SECTOR_SIZE,
           n * SECTOR_SIZE);
}

size_t
LLVMFuzzerCustomMutator (uint8_t *data, size_t size, size_t max_size,
                         unsigned seed)
{
  const size_t nr_sectors = size / SECTOR_SIZE;
  struct hints hints = { 0 };

  srand (seed);
  if (nr_sectors < 2 || random_below (3) == 0)
    return LLVMFuzzerMutate (data, size, max_size);
  add_hint (&hints, nr_sectors);
  add_hint (&hints, random_below (nr_sectors));
  switch (random_below (8)) {
  case 0:
    move_sectors (data, nr_sectors);
    break;
  case 1:
  case 2:
    change_header (data, size, &hints);
    break;
  default:
    change_marker (data + random_below (nr_sectors) * SECTOR_SIZE,
                   SECTOR_SIZE, &hints);
  }
  return size;
}
