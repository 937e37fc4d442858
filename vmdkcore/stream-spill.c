/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "stream-spill.h"

void
spill_init (struct spill *spill, const struct new_name *name,
            const struct io_hook *hook)
{
  *spill = (struct spill) {
    .name = name, .hook = hook, .file = { .fd = -1 },
  };
}

void
spill_destroy (struct spill *spill)
{
  new_file_destroy (&spill->file, spill->name);
  free (spill->idle);
  spill->idle = NULL;
}

static int
make_file (struct spill *spill, struct vmdk_error *error)
{
  char *called;
  int r;

  if (asprintf (&called, "temporary file of %s", spill->name->base) == -1)
    return error_nomem (error);
  r = new_file_create (&spill->file, spill->name, called, spill->hook, error);
  free (called);
  if (r == -1)
    return -1;
  if (new_file_hide (&spill->file, spill->name, error) == 0)
    return 0;
  new_file_destroy (&spill->file, spill->name);
  return -1;
}

/* Room for all slots to be idle, so that giving one back cannot fail. */
static int
make_room (struct spill *spill, struct vmdk_error *error)
{
  const uint32_t max = spill->max_idle * 2 + 64;
  uint32_t *p;

  if (spill->nr < spill->max_idle)
    return 0;
  p = reallocarray (spill->idle, max, sizeof *p);
  if (!p)
    return error_nomem (error);
  spill->idle = p;
  spill->max_idle = max;
  return 0;
}

uint32_t
spill_take (struct spill *spill, struct vmdk_error *error)
{
  if (spill->nr_idle > 0)
    return spill->idle[--spill->nr_idle];
  if (spill->nr >= UINT32_MAX / 4) {
    error_set (error, VMDK_ERROR_UNSUPPORTED, ENOSPC,
               "%s: too many grains are waiting for others",
               spill->name->base);
    return SPILL_NO_SLOT;
  }
  if ((!spill->file.io && make_file (spill, error) == -1) ||
      make_room (spill, error) == -1)
    return SPILL_NO_SLOT;
  return spill->nr++;
}

int
spill_pwrite (const struct spill *spill, uint32_t slot, const void *buf,
              size_t count, uint64_t offset, struct vmdk_error *error)
{
  const int r = io_pwrite (spill->file.io, buf, count,
                           slot * SPILL_SLOT_SIZE + offset, error);

  /* There may be room again, while a stream that is too large stays so. */
  if (r == -1 && error->err == EFBIG)
    error->err = ENOSPC;
  return r;
}

void
spill_give (struct spill *spill, uint32_t slot)
{
  spill->idle[spill->nr_idle++] = slot;
}
