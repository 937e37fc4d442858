/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Replacing a file as a whole, by one that takes its name. */

#ifndef VMDK_REPLACE_H
#define VMDK_REPLACE_H

#include "io.h"

/* Find a reason why the open file 'fd' cannot be replaced.  Changes
 * nothing.  'name' is for the message.
 */
extern int replace_check (int fd, const char *name,
                          struct vmdk_error *error);

/* Put a file with 'count' bytes in the place of the open file 'fd', with
 * its owner, mode, and extended attributes, and the lock 'lock'; durably,
 * and so that a power cut leaves the one or the other.  *new_fd gets the
 * new file, open for reading and writing, to be closed by the caller.
 *
 * On failure it is -1, and nothing has changed; but if the last step failed
 * *new_fd is the new file, which has the name, and only which of the two
 * has it after a power cut is not known.
 */
extern int replace_file (int fd, const char *name, const void *data,
                         size_t count, enum io_lock lock, int *new_fd,
                         struct vmdk_error *error);

#endif /* VMDK_REPLACE_H */
