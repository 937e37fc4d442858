/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The kinds of disk that can be created, and the words for them: those of
 * nbdkit-vddk-plugin, and those of the format.
 */

#ifndef VMDK_CREATE_KIND_H
#define VMDK_CREATE_KIND_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

enum create_layout {
  CREATE_SPARSE,                /* hosted sparse */
  CREATE_FLAT,
  CREATE_COWD,
  CREATE_STREAM
};

struct create_kind {
  const char *name;             /* as nbdkit-vddk-plugin has it */
  const char *create_type;
  enum create_layout layout;
  const char *word;             /* of the extent lines */
  const char *suffix;           /* of the extents' names, before ".vmdk";
                                   NULL: there is one file */
  bool split;                   /* a number follows the suffix */
  bool thin;                    /* ddb.thinProvisioned */
  bool may_have_parent;
  uint64_t max_size;            /* bytes */
};

/* The kind that a user calls 'name'; NULL stands for the default. */
extern const struct create_kind *create_find_kind (const char *name,
                                                   struct vmdk_error *error);

/* The value of ddb.adapterType for what a user calls it.  Valid for ever. */
extern const char *create_find_adapter (const char *name,
                                        struct vmdk_error *error);

/* The value of ddb.virtualHWVersion. */
extern int create_find_hwversion (const char *name, unsigned *version,
                                  struct vmdk_error *error);

/* Is the disk of so many bytes one that this kind can be? */
extern int create_check_size (const struct create_kind *kind, uint64_t size,
                              struct vmdk_error *error);

#endif /* VMDK_CREATE_KIND_H */
