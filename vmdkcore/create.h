/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#ifndef VMDK_CREATE_H
#define VMDK_CREATE_H

#include "image.h"

/* vmdk_create, with a hook that outlives the image, or NULL. */
extern struct vmdk_image *
image_create (const char *path, const struct vmdk_create_options *create,
              const struct vmdk_options *options, const struct io_hook *hook,
              struct vmdk_error *error);

#endif /* VMDK_CREATE_H */
