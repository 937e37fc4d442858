/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The text descriptor; pure functions over (bytes, length). */

#ifndef VMDK_DESCRIPTOR_H
#define VMDK_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

/* The most text that is read, and the most extent lines. */
#define DESCRIPTOR_MAX_SIZE (1024 * 1024)
#define DESCRIPTOR_MAX_EXTENTS 65536

#define DESCRIPTOR_NO_PARENT UINT32_MAX

enum extent_access {
  ACCESS_RW,
  ACCESS_RDONLY,
  ACCESS_NOACCESS
};

enum extent_type {
  EXTENT_FLAT,
  EXTENT_SPARSE,
  EXTENT_ZERO,
  EXTENT_VMFS,
  EXTENT_VMFSSPARSE,
  EXTENT_SESPARSE,
  EXTENT_VMFSRDM,
  EXTENT_VMFSRAW
};

struct extent_line {
  enum extent_access access;
  enum extent_type type;
  uint64_t sectors;             /* 1 to MAX_SECTORS */
  uint64_t offset;              /* sectors inside the file; 0 if absent */
  char *name;                   /* as the bytes are; NULL for ZERO */
  char *utf8_name;              /* converted to UTF-8, if they were not */
  unsigned line;                /* counted from 1 */
};

struct descriptor {
  unsigned version;
  bool has_cid;
  uint32_t cid;
  uint32_t parent_cid;          /* DESCRIPTOR_NO_PARENT if absent */
  char *parent_hint;            /* NULL if absent */
  char *parent_hint_utf8;       /* converted to UTF-8, if it was not */
  char *create_type;            /* NULL if absent */
  char *encoding;               /* NULL if absent */
  uint32_t sector_size;         /* of the guest, in bytes; 0 if absent */
  char *transformed_by;         /* key that says that data are not plain */
  struct extent_line *extents;
  size_t nr_extents;
};

/* Does the beginning of a file look like a descriptor?  'len' may be
 * cut at 10 KiB or more.
 */
extern bool descriptor_is_text (const char *text, size_t len);

/* Parse a descriptor.  The text ends at 'len' or at the first NUL.
 * 'name' is the file's, for messages.  Oddities that change nothing
 * are told to 'logger'.  On failure nothing is left to free.
 */
extern int descriptor_parse (const char *text, size_t len,
                             const char *name, const struct logger *logger,
                             struct descriptor *descriptor,
                             struct vmdk_error *error);

/* Free what descriptor_parse filled in. */
extern void descriptor_free (struct descriptor *descriptor);

#endif /* VMDK_DESCRIPTOR_H */
