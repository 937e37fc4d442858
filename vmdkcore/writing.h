/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The inside of writing. */

#ifndef VMDK_WRITING_H
#define VMDK_WRITING_H

#include "image.h"

/* Find a reason not to change the image that does not depend on others, nor
 * on its tables.
 */
extern int writing_check_image (const struct vmdk_image *image,
                                struct vmdk_error *error);

/* Should the tables be checked before anybody wants to change the image?
 * Yes, if the last writer was killed, or if there are few.
 */
extern bool writing_tables_are_urgent (const struct vmdk_image *image);

/* Look whether the tables of all extents are in order or can be put right,
 * and tell the log what will be.  Nothing is written.
 */
extern int writing_check_tables (const struct vmdk_image *image,
                                 struct vmdk_error *error);

/* Do the changes that have not been published take much memory?  Any thread. */
extern bool writing_has_much_pending (struct vmdk_image *image);

/* May this range (bytes) be changed now?  Any thread, not inside an epoch. */
extern int writing_check_change (struct vmdk_image *image, uint64_t count,
                                 uint64_t offset, struct vmdk_error *error);

/* Before each change that may be made: do what the first one needs.  Any
 * thread.
 */
extern int writing_start (struct vmdk_image *image, struct vmdk_error *error);

/* Make durable all changes that have returned.  Any thread, not inside an
 * epoch.
 */
extern int writing_flush (struct vmdk_image *image, struct vmdk_error *error);

#endif /* VMDK_WRITING_H */
