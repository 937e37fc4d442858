/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Finding the grains of a stream without its directory.  Input: a stream. */

#include <config.h>

#include <stdbool.h>
#include <stdlib.h>

#include "bytes.h"
#include "fuzz.h"
#include "header.h"
#include "io.h"
#include "stream-index.h"

#define BUDGET (1024 * 1024)

static void
check (const struct stream_index *index, const struct hosted_header *h,
       size_t size)
{
  const uint64_t behind = stream_index_behind (index);
  const uint64_t n = hosted_nr_grains (h);
  uint64_t grain, steps = 0;

  if (behind > n)
    abort ();
  for (grain = 0; grain < n && steps < 100000; ++steps) {
    const uint64_t run = stream_index_run (index, grain, n - grain);
    const uint64_t sector = stream_index_find (index, grain);

    if (run == 0 || run > n - grain || sector * SECTOR_SIZE >= size ||
        (sector != 0 && grain >= behind))
      abort ();
    grain += run;
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const struct logger logger = { 0 };
  struct hosted_header h;
  struct budget budget;
  struct stream_index *index;
  struct vmdk_error error;
  struct io *io;

  if (size < HOSTED_HEADER_SIZE)
    return 0;
  hosted_decode (data, &h);
  if (hosted_validate (&h, size, "disk.vmdk", &logger, &error) == -1 ||
      hosted_is_wrapper (&h))
    return 0;
  io = io_mem_new (data, size, "disk.vmdk", &error);
  if (!io)
    return 0;
  budget_init (&budget, BUDGET);
  index = stream_index_new (io, &h, &budget, &logger, &error);
  if (index)
    check (index, &h, size);
  else if (error.message[0] == '\0')
    abort ();
  stream_index_free (index);
  if (budget_left (&budget) != BUDGET)
    abort ();
  io_unref (io);
  return 0;
}
