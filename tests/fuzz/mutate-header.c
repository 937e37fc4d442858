/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <stdlib.h>

#include "bytes.h"
#include "mutate.h"

/* In front is the size of the file, doubled. */
size_t
LLVMFuzzerCustomMutator (uint8_t *data, size_t size, size_t max_size,
                         unsigned seed)
{
  struct hints hints = { 0 };

  srand (seed);
  if (size < 16 || random_below (2) == 0)
    return LLVMFuzzerMutate (data, size, max_size);
  add_hint (&hints, load_le64 (data) / 2);
  add_hint (&hints, load_le64 (data) / 2 / SECTOR_SIZE);
  if (random_below (8) == 0)
    change_number (data, 8, &hints);
  else
    change_header (data + 8, size - 8, &hints);
  return size;
}
