/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* What a fuzz target is made of: with libFuzzer (make fuzz), or with replay.c,
 * which runs the inputs that are kept in corpus/ in every build.
 */

#ifndef VMDK_FUZZ_H
#define VMDK_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Try one input.  What must not be is told by abort(). */
extern int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* Say what must not be.  'why' may be NULL. */
static inline void __attribute__ ((noreturn))
wrong (const char *what, const char *why)
{
  fprintf (stderr, "%s: %s\n", what, why ? why : "");
  abort ();
}

#endif /* VMDK_FUZZ_H */
