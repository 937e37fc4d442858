/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Names and types of disks that clients get to see. */

#ifndef VMDK_NAMES_H
#define VMDK_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/* The longest name that NBD can carry, in bytes. */
#define NAME_MAX_LENGTH 4096

struct listed {
  char *name;
  char *type;                   /* NULL if it is not known */
};

struct name_list {
  struct listed *disks;
  size_t nr, max;
};

/* Can a client be told this name, and send it back?  It must be UTF-8, not
 * empty, not too long, and without what charset_is_control tells of.
 */
extern bool name_can_be_told (const char *name);

/* Can a client be told this createType?  It must be a word or a few. */
extern bool type_can_be_told (const char *type);

/* Put a disk at the end; its strings are taken over.  Returns -1 if memory is
 * short, and then they are still the caller's.
 */
extern int name_list_add (struct name_list *list, char *name, char *type);

extern bool name_list_has (const struct name_list *list, const char *name);

/* Frees and empties the list, which may be all zeroes. */
extern void name_list_free (struct name_list *list);

#endif /* VMDK_NAMES_H */
