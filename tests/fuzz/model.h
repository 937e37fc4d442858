/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* What a part of a disk must hold. */

#ifndef VMDK_FUZZ_MODEL_H
#define VMDK_FUZZ_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmdkcore.h"

#define MODEL_SIZE 131072
#define MODEL_SECTORS (MODEL_SIZE / 512)

/* 'offset' and 'count' are in bytes, whole sectors.  Nothing is expected of
 * sectors that are not known: those that could not be read.
 */
struct model {
  uint64_t offset;
  size_t count;
  bool known[MODEL_SECTORS];
  bool changed[MODEL_SECTORS];  /* or was tried to be, since it was read */
  uint8_t bytes[MODEL_SIZE];
};

/* Read what there is. */
extern void model_read (struct model *m, struct vmdk_image *image);

/* Is it still as it must be?  'when' tells what would be wrong. */
extern void model_check (const struct model *m, struct vmdk_image *image,
                         const char *when);

/* Expect nothing any more of sectors that were to be changed. */
extern void model_forget_changed (struct model *m);

enum model_change { MODEL_WRITE, MODEL_ZERO, MODEL_TRIM };

/* A change of the disk has returned, with success or without; 'data' are what
 * was written.
 */
extern void model_change (struct model *m, struct vmdk_image *image,
                          enum model_change kind, bool success,
                          const uint8_t *data, uint64_t offset,
                          uint64_t count);

#endif /* VMDK_FUZZ_MODEL_H */
