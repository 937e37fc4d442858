/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <stdlib.h>

#include "mutate.h"

size_t
LLVMFuzzerCustomMutator (uint8_t *data, size_t size, size_t max_size,
                         unsigned seed)
{
  const struct hints none = { 0 };

  srand (seed);
  if (size < 2 || random_below (2) == 0)
    return LLVMFuzzerMutate (data, size, max_size);
  return 1 + change_text (data + 1, size - 1, max_size - 1, &none);
}
