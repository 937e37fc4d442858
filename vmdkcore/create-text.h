/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The descriptor of a new disk; pure. */

#ifndef VMDK_CREATE_TEXT_H
#define VMDK_CREATE_TEXT_H

#include "create-kind.h"

/* The extents of split disks, in bytes, as VMware's tools make them. */
#define CREATE_SPLIT_SIZE (UINT64_C (2047) << 20)

struct create_text {
  const struct create_kind *kind;
  const char *file;             /* the name of the disk's file */
  uint64_t size;                /* bytes */
  const char *adapter;          /* NULL: nothing is said of it */
  unsigned hwversion;           /* 0: likewise */
  uint8_t id[16];               /* ddb.longContentID; the last four are the
                                   CID, most significant first */
  uint8_t uuid[16];
  bool has_parent;
  uint32_t parent_cid;
  const char *parent_hint;
};

/* Make 'id' and 'uuid' of random bytes into such as may be used. */
extern void create_fit_ids (struct create_text *t);

/* Can a descriptor have this name of a file?  'what' is for the message. */
extern int create_check_name (const char *name, const char *what,
                              struct vmdk_error *error);

/* How many extents the disk has, and the size of one, by its number from 0 on,
 * in bytes.
 */
extern unsigned create_nr_extents (const struct create_text *t);
extern uint64_t create_extent_size (const struct create_text *t,
                                    unsigned number);

/* The name of an extent's file, to be freed; NULL if memory is short.
 * Numbers begin with 0.
 */
extern char *create_extent_name (const struct create_text *t,
                                 unsigned number);

/* The whole text, to be freed; NULL if memory is short. */
extern char *create_descriptor (const struct create_text *t);

#endif /* VMDK_CREATE_TEXT_H */
