/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* New files, which appear under their name whole or not at all. */

#ifndef VMDK_NEW_FILE_H
#define VMDK_NEW_FILE_H

#include <limits.h>

#include "io.h"

/* The name that a file is to have, in an open folder. */
struct new_name {
  int folder;                   /* for reading; -1: nothing to close */
  char *base;
  bool avoid_nameless;          /* as on a file system without: for tests */
};

/* A file that does not have its name yet, to be used through 'io'. */
struct new_file {
  struct io *io;                /* NULL: there is no file */
  int fd;                       /* another descriptor of the file */
  char temporary[NAME_MAX + 1]; /* its name until then; "" if none */
};

/* Find the folder of a path, and make sure that the name is free in it.
 * On failure nothing is left to free.
 */
extern int new_name_init (struct new_name *name, const char *path,
                          struct vmdk_error *error);
extern void new_name_destroy (struct new_name *name);

/* Make an empty file, with the mode that any new file gets.  It has no name
 * where the file system can do that.  Its backend is called 'called', and was
 * given to 'hook' unless that is NULL.
 */
extern int new_file_create (struct new_file *file,
                            const struct new_name *name,
                            const char *called,
                            const struct io_hook *hook,
                            struct vmdk_error *error);

/* Take its temporary name, if any, away for ever: the file cannot be
 * published any more, and does not outlive this process.
 */
extern int new_file_hide (struct new_file *file, const struct new_name *name,
                          struct vmdk_error *error);

/* May the file get its name?  Not if the process runs as another user by now,
 * who may not write to the folder, or make a link to what is not his.
 */
extern int new_file_check (const struct new_file *file,
                           const struct new_name *name,
                           struct vmdk_error *error);

/* Make the file and what is in it durable under its name.  Never replaces
 * anything: fails with EEXIST if something has got the name meanwhile.
 * On failure nothing has the name.  On file systems that can neither rename
 * so nor link, an empty file has the name for a moment, and is left if the
 * process is killed then.
 */
extern int new_file_publish (struct new_file *file,
                             const struct new_name *name,
                             struct vmdk_error *error);

/* Close the file, and remove it unless it has been published. */
extern void new_file_destroy (struct new_file *file,
                              const struct new_name *name);

#endif /* VMDK_NEW_FILE_H */
