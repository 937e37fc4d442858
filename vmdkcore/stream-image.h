/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* What the calls of vmdkcore.h do with an image that is a stream being
 * written, where they do not just call stream-write.h.
 */

#ifndef VMDK_STREAM_IMAGE_H
#define VMDK_STREAM_IMAGE_H

#include "image.h"
#include "stream-output.h"
#include "stream-write.h"

/* Finish it, unless that was done or cannot be, and free it. */
extern void stream_image_close (struct vmdk_image *image);

extern void stream_image_describe (struct vmdk_description *description);
extern int stream_image_map (struct vmdk_image *image, uint64_t offset,
                             uint64_t count, vmdk_map_callback *callback,
                             void *opaque);
extern int stream_image_begin_writing (struct vmdk_image *image,
                                       struct vmdk_error *error);

/* Finish it, if it has changed. */
extern int stream_image_end_writing (struct vmdk_image *image,
                                     struct vmdk_error *error);

#endif /* VMDK_STREAM_IMAGE_H */
