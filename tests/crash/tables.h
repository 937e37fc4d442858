/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* A second opinion on the tables of a sparse file, which shares no code
 * with the core.
 */

#ifndef CRASH_TABLES_H
#define CRASH_TABLES_H

#include <stdbool.h>

#include "disk.h"

/* Is what the file says of its grains consistent: do both copies agree,
 * lie all tables and grains inside the file, does nothing overlap, are
 * there no entries that the file must not have, and is it marked as clean
 * if 'closed' is set?  Files of other kinds are good.  Returns NULL, or a
 * sentence to be freed.
 */
extern char *tables_check (const struct disk_file *f, bool closed);

/* For each sector of the file 1 if it holds metadata, to be freed. */
extern uint8_t *tables_find (const struct disk_file *f);

#endif /* CRASH_TABLES_H */
