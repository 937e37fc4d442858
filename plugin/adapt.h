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

/* The interrupted callback: the server is to end, or the client whose request
 * it is has gone.
 */
extern bool adapt_interrupted (void *opaque);

/* From now on there can be clients.  Before, signals end the server at once. */
extern void adapt_has_clients (void);

/* What -D vmdk.X=1 asks for, as struct vmdk_options has it. */
extern unsigned adapt_trace (void);

/* Answer an extents request, in whole blocks of 'block' bytes, a power of two:
 * one that is allocated in part is allocated.  Never adds anything behind the
 * end of the request, which some versions of nbdkit do not survive.
 */
extern int adapt_extents (struct vmdk_image *image, uint64_t count,
                          uint64_t offset, uint32_t block, bool one,
                          struct nbdkit_extents *extents);

#endif /* VMDK_ADAPT_H */
