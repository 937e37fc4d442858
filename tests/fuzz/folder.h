/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The folder of the files of the input that is tried; in memory, if there is
 * a place for that.
 */

#ifndef VMDK_FUZZ_FOLDER_H
#define VMDK_FUZZ_FOLDER_H

#include <stdint.h>

#include "blob.h"

#define FOLDER_MAX_PATH 128

/* The folder, which is made once. */
extern int folder_open (void);

/* The path of a file in it.  The name is at most BLOB_MAX_NAME bytes long. */
extern void folder_path (char path[FOLDER_MAX_PATH], const char *name);

/* A sum of all that is there. */
extern uint64_t folder_sum (void);

/* Remove all.  Only 'files' may be there, and files whose names begin like
 * 'other' up to its suffix.
 */
extern void folder_empty (const struct blob_files *files, const char *other);

#endif /* VMDK_FUZZ_FOLDER_H */
