/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* A look at the tables of sparse files that shares nothing with the core. */

#ifndef VMDK_TESTS_STRUCTURE_H
#define VMDK_TESTS_STRUCTURE_H

#include <stdint.h>

/* Check each hosted sparse and COWD file in the folder whose name begins
 * with "top": both copies of the tables are equal, everything lies in the
 * file, nothing overlaps, and the file is marked as closed cleanly.  Ends
 * the program if not.
 */
extern void structure_check (const char *dir, uint64_t seed,
                             const char *what);

#endif /* VMDK_TESTS_STRUCTURE_H */
