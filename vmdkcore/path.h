/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* From a name to an open backend; the only place that opens files.
 *
 * The confinement rule: a file that is named by an image must lie, once
 * every symbolic link is resolved, in the folder of the file that names
 * it or below, or in an allowed folder or below.  It must be a regular
 * file, or a block device in an allowed folder.
 */

#ifndef VMDK_PATH_H
#define VMDK_PATH_H

#include <limits.h>

#include "io.h"

/* The folders that a user allows beside the image's own. */
struct path_policy {
  int *fds;                     /* O_PATH descriptors of the folders */
  size_t nr;
  const struct io_hook *hook;   /* NULL if there is none */
  bool write;                   /* open for writing too, if permitted */
  bool unbuffered;              /* past the page cache */
  bool unlocked;                /* only to have a look: lock nothing, and
                                   use descriptors kept for clients */
  bool avoid_openat2;           /* as on a kernel without it: for tests */
};

/* Open the folders.  On failure nothing is left to free. */
extern int path_policy_init (struct path_policy *policy,
                             const char *const *dirs, size_t nr,
                             struct vmdk_error *error);
extern void path_policy_destroy (struct path_policy *policy);

/* A folder that names in a descriptor are relative to: an O_PATH file
 * descriptor, to be closed by its owner.
 */

/* Both of the following lock the file for reading, before they look at its
 * size, and fail with EBUSY if another program writes it; unless the policy
 * is not to.
 */

/* Open the file that the user named: anything readable that has a
 * size.  *dir gets the folder that 'path' names it in, symbolic links
 * not resolved, as a new descriptor.  The backend is named by the last
 * component of 'path'.
 */
extern struct io *path_open_user (const struct path_policy *policy,
                                  const char *path, int *dir,
                                  struct vmdk_error *error);

/* Open a file named by an image in the folder 'dir', under the
 * confinement rule.  If there is no such file path_is_no_file tells it.
 * If one that was made on Windows does not exist as it is written, what it
 * says of folders is followed from 'dir', unless it is absolute, and if
 * nothing is there its last part is looked for in 'dir'.  Unless 'folder' is
 * NULL, *folder gets the folder that the file really lies in, as a new
 * descriptor.
 */
extern struct io *path_open_named (const struct path_policy *policy,
                                   int dir, const char *name, int *folder,
                                   struct vmdk_error *error);

/* Is what path_open_named has failed with that there is no such file, or none
 * of a name that is so long?
 */
extern bool path_is_no_file (const struct vmdk_error *error);

/* Was the name made on Windows?  So it was if it has backslashes, or a drive
 * letter before a folder.
 */
extern bool path_is_windows (const char *name);

/* Open a file that was found in the folder 'dir' under this name, which is
 * taken as it is, whatever characters it has.  All else is as with
 * path_open_named.
 */
extern struct io *path_open_entry (const struct path_policy *policy,
                                   int dir, const char *name, int *folder,
                                   struct vmdk_error *error);

/* Get the absolute path, free of links, of an open file or folder; with
 * a text behind it if that has been removed.  Returns -1 and errno: on
 * EXDEV it has none, because it is in no folder.
 */
extern int path_of_fd (int fd, char path[PATH_MAX]);

#endif /* VMDK_PATH_H */
