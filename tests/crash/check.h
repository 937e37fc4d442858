/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Is a state of the disk what a power cut may leave? */

#ifndef CRASH_CHECK_H
#define CRASH_CHECK_H

#include "make.h"
#include "model.h"

struct check {
  const char *folder;           /* has the parents; the state goes there */
  const struct kind *kind;
  uint64_t seed;
  uint64_t grain_size;
  bool qemu;                    /* ask qemu-img, too */
  bool nested;                  /* cut the power again while it recovers */
  uint32_t number;              /* of the first operation on the state */

  /* What it may hold. */
  struct model *m;
  uint64_t cut;

  /* Before the test; a disk that has changed has another content ID. */
  uint32_t cid;
  const uint8_t *content;
};

/* Open the state, see what it holds, recover it, change it and look at it
 * once more.  Returns NULL, or what is wrong, to be freed.
 */
extern char *check_state (const struct check *c, const struct disk *state);

#endif /* CRASH_CHECK_H */
