/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Changes that know the format.  All chance is rand's, which the mutators of
 * the targets seed.
 */

#ifndef VMDK_FUZZ_MUTATE_H
#define VMDK_FUZZ_MUTATE_H

#include <stddef.h>
#include <stdint.h>

/* Numbers that mean something in an input: places, sizes. */
#define MAX_HINTS 256

struct hints {
  unsigned nr;
  uint64_t values[MAX_HINTS];
};

/* Does nothing if there is no room. */
extern void add_hint (struct hints *hints, uint64_t value);

/* A number from 0 to n - 1.  'n' must not be 0. */
extern size_t random_below (size_t n);

/* Change a little-endian number of 'size' bytes. */
extern void change_number (uint8_t *p, size_t size,
                           const struct hints *hints);

/* Change a field of the header at 'p', whatever kind it is.  Does nothing if
 * it is none.
 */
extern void change_header (uint8_t *p, size_t count,
                           const struct hints *hints);

/* Change a field of a marker, or the first bytes, of a sector. */
extern void change_marker (uint8_t *p, size_t count,
                           const struct hints *hints);

/* Change a line of a descriptor.  Returns the new size. */
extern size_t change_text (uint8_t *p, size_t size, size_t max_size,
                           const struct hints *hints);

/* What libFuzzer calls, and what it has. */
extern size_t LLVMFuzzerMutate (uint8_t *data, size_t size, size_t max_size);
extern size_t LLVMFuzzerCustomMutator (uint8_t *data, size_t size,
                                       size_t max_size, unsigned seed);

#endif /* VMDK_FUZZ_MUTATE_H */
