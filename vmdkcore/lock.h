/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Locks on the files of an image that QEMU respects, and sets, too. */

#ifndef VMDK_LOCK_H
#define VMDK_LOCK_H

#include "io.h"

/* Change the lock that this process holds on the open file 'fd' from
 * 'held' to 'wanted'.  Fails with EBUSY, the lock unchanged, if another
 * program is in the way.  Where the file system has no locks nothing
 * happens, and 1 is returned instead of 0.  'name' is for the message.
 */
extern int lock_fd (int fd, const char *name, enum io_lock held,
                    enum io_lock wanted, struct vmdk_error *error);

#endif /* VMDK_LOCK_H */
