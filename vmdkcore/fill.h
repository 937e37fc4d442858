/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Writing data into fresh grains, with what belongs around them. */

#ifndef VMDK_FILL_H
#define VMDK_FILL_H

#include "alloc.h"

/* Offsets and counts are in bytes, inside the extent. */
struct filling {
  const struct below *below;    /* NULL if zeroes are around the data */
  const uint8_t *buf;           /* NULL: zeroes */
  uint64_t offset, count;       /* of the data */
  uint64_t start, end;          /* of the grains */
  uint64_t place;               /* bytes in the file */
  bool clean;                   /* the place reads as zeroes */
};

/* Fill all grains.  Any thread.  Nothing is synced. */
extern int fill_grains (const struct grains *g, const struct filling *f,
                        struct vmdk_error *error);

#endif /* VMDK_FILL_H */
