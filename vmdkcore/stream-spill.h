/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Slots of a grain each, in a temporary file beside the image that is gone
 * with this process.  Slots that are freed are used again, so that the file
 * is never larger than all that was in it at one time.
 *
 * Threads: spill_take and spill_give must not overlap with themselves or each
 * other.  The content of a slot belongs to who has taken it.
 */

#ifndef VMDK_STREAM_SPILL_H
#define VMDK_STREAM_SPILL_H

#include "new-file.h"
#include "stream-output.h"

struct spill {
  const struct new_name *name;  /* borrowed */
  const struct io_hook *hook;   /* borrowed, or NULL */
  struct new_file file;         /* made when it is needed first */
  uint32_t nr;                  /* slots that the file has */
  uint32_t *idle;               /* a stack; room for all */
  uint32_t nr_idle, max_idle;
};

#define SPILL_NO_SLOT UINT32_MAX

/* Whole pages. */
#define SPILL_SLOT_SIZE \
  (div_up (STREAM_PACKED_MAX, UINT64_C (4096)) * UINT64_C (4096))

extern void spill_init (struct spill *spill, const struct new_name *name,
                        const struct io_hook *hook);
extern void spill_destroy (struct spill *spill);

/* Take a slot, with any content.  SPILL_NO_SLOT and *error on failure. */
extern uint32_t spill_take (struct spill *spill, struct vmdk_error *error);
extern void spill_give (struct spill *spill, uint32_t slot);

/* Read and write inside a slot.  Where the file would become too large the
 * error is ENOSPC, never EFBIG.
 */
static inline int
spill_pread (const struct spill *spill, uint32_t slot, void *buf,
             size_t count, uint64_t offset, struct vmdk_error *error)
{
  return io_pread (spill->file.io, buf, count,
                   slot * SPILL_SLOT_SIZE + offset, error);
}

extern int spill_pwrite (const struct spill *spill, uint32_t slot,
                         const void *buf, size_t count, uint64_t offset,
                         struct vmdk_error *error);

/* Fail if anything that was ever written may have been read as something
 * else: see stream-finish.c.
 */
static inline int
spill_check (const struct spill *spill, struct vmdk_error *error)
{
  return spill->file.io ? io_sync_now (spill->file.io, error) : 0;
}

#endif /* VMDK_STREAM_SPILL_H */
