/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Between the core's types and nbdkit's. */

#ifndef VMDK_ADAPT_H
#define VMDK_ADAPT_H

#include <nbdkit-plugin.h>

#include "vmdkcore.h"

/* Report a failure of the core with nbdkit_error and set errno to what
 * the client shall see.  Returns -1.
 */
extern int adapt_error (const struct vmdk_error *error);

/* The log callback of struct vmdk_options. */
extern void adapt_log (void *opaque, enum vmdk_log_level level,
                       const char *message);

/* Answer an extents request.  Never adds anything behind the end of the
 * request, which some versions of nbdkit do not survive.
 */
extern int adapt_extents (struct vmdk_image *image, uint64_t count,
                          uint64_t offset, bool one,
                          struct nbdkit_extents *extents);

#endif /* VMDK_ADAPT_H */
