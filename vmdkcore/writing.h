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

/* Before each change, of this range (bytes): make sure that the image may be
 * changed, and do what the first change needs.  Any thread.
 */
extern int writing_start (struct vmdk_image *image, uint64_t count,
                          uint64_t offset, struct vmdk_error *error);

/* Make durable all changes that have returned.  Any thread, not inside an
 * epoch.
 */
extern int writing_flush (struct vmdk_image *image, struct vmdk_error *error);

#endif /* VMDK_WRITING_H */
