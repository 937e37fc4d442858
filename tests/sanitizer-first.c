/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Makes a sanitizer's runtime, which initialises itself at the first call of
 * malloc, do so before the initialiser of any other library runs (the linker
 * is told so).  Otherwise that call can be the one in the newlocale of
 * p11-kit's initialiser, and the runtime's call of dlerror unlocks the lock
 * that newlocale holds: nbdkit, which uses GnuTLS and so p11-kit, then hangs
 * at exit if any thread has used that lock for reading.
 */

#include <config.h>

#include <stdlib.h>

static void __attribute__ ((constructor))
first (void)
{
  void *volatile p = malloc (1);

  free (p);
}
