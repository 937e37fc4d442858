/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Small images with random content, made in memory, since a test needs many
 * of them.  The files of the link to be written are called top*.
 */

#ifndef CRASH_MAKE_H
#define CRASH_MAKE_H

#include <stdbool.h>

#include "disk.h"

struct kind {
  const char *name;
  enum { MAKE_HOSTED, MAKE_COWD, MAKE_FLAT } type;
  unsigned version;             /* of a hosted sparse file */
  bool zeroed;                  /* it has zeroed grains */
  bool split;
  bool child;
  bool small_grains;            /* of one sector */
};

extern const struct kind make_kinds[];
extern const size_t nr_make_kinds;

struct made {
  struct disk disk;
  uint8_t *content;
  uint64_t size;                /* bytes */
  uint64_t grain_size;          /* bytes */
};

extern void make_image (const struct kind *kind, uint64_t seed,
                        struct made *made);
extern void make_free (struct made *made);

/* The content ID of the link top.vmdk. */
extern uint32_t find_cid (const struct disk *disk);

#endif /* CRASH_MAKE_H */
