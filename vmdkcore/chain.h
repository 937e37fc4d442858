/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* A link and its parents, down to the base. */

#ifndef VMDK_CHAIN_H
#define VMDK_CHAIN_H

#include <limits.h>

#include "link.h"

#define CHAIN_MAX_LINKS 255

/* Of all links together: each takes memory, also if it is a line of ten
 * bytes.
 */
#define CHAIN_MAX_EXTENTS (2 * DESCRIPTOR_MAX_EXTENTS)

struct chain {
  struct link *links[CHAIN_MAX_LINKS]; /* the one that was named first */
  size_t nr;
  uint64_t nr_extents;          /* of all links */
  bool cut;                     /* the last one has a parent */
};

/* The part of a name behind its last separator, of either kind. */
extern const char *chain_base_name (const char *name);

/* Where the parent that a hint names is if its folder has moved along with the
 * child's: a name to be opened from there.  False if the hint names no folder.
 */
extern bool chain_moved_name (const char *hint, char moved[PATH_MAX]);

/* Where the first link is: the user's path if 'dir' is -1; else, under the
 * confinement rule, what a file of the folder 'dir' calls so, or the entry of
 * that folder that has just this name.
 */
struct chain_top {
  int dir;
  const char *name;
  bool is_entry;
};

/* Open that link; and, each in the context 'parents', its parents unless
 * 'options' has single_link set.  On failure nothing is left to close.
 */
extern int chain_open (const struct link_context *context,
                       const struct link_context *parents,
                       const struct chain_top *top,
                       const struct vmdk_options *options,
                       struct chain *chain, struct vmdk_error *error);

/* Make durable what others wrote into the links from 'first' on before they were
 * opened, unless that has been done.  Any thread.
 */
extern int chain_sync_inherited (const struct chain *chain, size_t first,
                                 struct vmdk_error *error);

extern void chain_close (struct chain *chain);

#endif /* VMDK_CHAIN_H */
