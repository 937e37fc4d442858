/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Loaded into a program, to see whether leaks are seen: 77 bytes are lost, and
 * 78 are not, as a variable knows of them.
 */

#include <config.h>

#include <stdlib.h>

void *volatile leaking_kept;

static void __attribute__ ((constructor))
leak (void)
{
  leaking_kept = malloc (77);
  leaking_kept = malloc (78);
}
