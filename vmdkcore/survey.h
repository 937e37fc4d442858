/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Which of the files in a folder are disks that a user would name. */

#ifndef VMDK_SURVEY_H
#define VMDK_SURVEY_H

#include <sys/stat.h>

#include "names.h"
#include "path.h"

/* The most files of a folder that are looked at; the most that are opened for
 * what the lines of all descriptors, and of one, have elsewhere; the most
 * parents in other folders that are looked at; and the most bytes of
 * descriptors that are read, of the folder and of these parents each.
 */
#define SURVEY_MAX_FILES 65536
#define SURVEY_MAX_ELSEWHERE 65536
#define SURVEY_MAX_OF_FILE 4096
#define SURVEY_MAX_PARENTS 16384
#define SURVEY_MAX_TEXT (UINT64_C (256) << 20)

struct survey_options {
  const struct path_policy *policy;
  bool with_parents;            /* parents are disks too */
  bool ignore_cid;              /* a parent may have any content ID */
  bool for_writing;             /* fail unless all is known */
  const struct logger *logger;
};

/* Look at the files in the folder 'dir', an O_PATH descriptor; 'name' is for
 * messages.  A policy that locks nothing does not disturb those who use them.
 * *list gets the disks, sorted by name, and is to be freed with name_list_free;
 * *complete tells whether all files were read that may be disks, or name
 * others.
 * Files that cannot be opened are passed over, unless the server is short of
 * memory or descriptors, which is an error.  So are parents in other folders,
 * which are looked at to find what is behind them here.  If for_writing, one of
 * either kind that is there and cannot be read, and too many parents, are an
 * error.  Can be interrupted
 * (VMDK_ERROR_INTERRUPTED).
 */
extern int survey_folder (int dir, const char *name,
                          const struct survey_options *options,
                          struct name_list *list, bool *complete,
                          struct vmdk_error *error);

/* Has the folder 'dir' a file of this name, which may be any text, that can be
 * a disk?  Then *statbuf is about that, links followed.  Opens nothing.
 */
extern bool survey_has_file (int dir, const char *name, struct stat *statbuf);

#endif /* VMDK_SURVEY_H */
