/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* A link: one descriptor, or one file without, and its extents. */

#ifndef VMDK_LINK_H
#define VMDK_LINK_H

#include "descriptor.h"
#include "extent.h"
#include "path.h"

struct link {
  struct extent **extents;      /* in order, without a gap */
  size_t nr_extents;
  struct budget *counted_in;    /* the environment's, for all of them */
  size_t nr_counted;
  uint64_t size;                /* bytes, a multiple of 512 */
  char *create_type;            /* never NULL */
  char *name;                   /* of the file, for messages */
  uint64_t dev, ino;            /* of the file that has the descriptor */
  int dir;                      /* its folder, an O_PATH descriptor; -1
                                   once that is released */

  /* All its files, with references: first the one of dev and ino, then
   * those that its lines name, each once.
   */
  struct io **files;
  size_t nr_files;

  /* Where the first file has the descriptor, in bytes.  No room if there
   * is none, UINT64_MAX if the file is nothing else.
   */
  uint64_t descriptor_offset, descriptor_room;

  uint32_t sector_size;         /* of the guest, bytes; 0: not said */
  unsigned read_only_line;      /* of the descriptor; 0: there is none */

  bool has_cid;
  uint32_t cid;
  bool is_bare;                 /* an extent that may be a snapshot's */
  bool has_parent;
  bool has_parent_cid;
  uint32_t parent_cid;
  char *parent_hint;            /* where the parent was; may be NULL */
  char *parent_hint_raw;        /* the same before conversion, or NULL */
};

/* The most extents that lines of descriptors may have for one image, with
 * those of parents that could not be opened: each may open a file.
 */
#define LINK_MAX_LINES (4 * DESCRIPTOR_MAX_EXTENTS)

/* The most bytes that their descriptors may have, with those of files that were
 * found not to be a parent.
 */
#define LINK_MAX_TEXT (64 * DESCRIPTOR_MAX_SIZE)

/* What the links of an image share; outlives them. */
struct link_context {
  const struct path_policy *policy;
  const struct extent_env *env;

  /* Of LINK_MAX_LINES and LINK_MAX_TEXT; while opening only. */
  struct budget *lines, *text;
};

/* Who opens a link may want only a certain one.  accept is called once, when
 * the link's name, dev, ino, content IDs and parent are known and nothing else,
 * before any other file of it is opened: another disk that has its name may be
 * large.  It returns 0, or -1 with the reason in 'error'.
 */
struct link_check {
  int (*accept) (void *opaque, const struct link *link,
                 struct vmdk_error *error);
  void *opaque;
};

/* Open the link whose file the user named.  'check' may be NULL. */
extern struct link *link_open_user (const struct link_context *context,
                                    const char *path,
                                    const struct link_check *check,
                                    struct vmdk_error *error);

/* Open the link whose file another one names, relative to the folder
 * 'dir'.  *missing tells whether that very file is not there.  'check' may be
 * NULL.
 */
extern struct link *link_open_named (const struct link_context *context,
                                     int dir, const char *name,
                                     const struct link_check *check,
                                     bool *missing,
                                     struct vmdk_error *error);

/* Open the link whose file is in the folder 'dir' under just this name, whatever
 * that would mean elsewhere.
 */
extern struct link *link_open_entry (const struct link_context *context,
                                     int dir, const char *name,
                                     struct vmdk_error *error);

/* Close the folder, when all files named relative to it are open. */
extern void link_release_folder (struct link *link);

/* NULL is accepted. */
extern void link_close (struct link *link);

#endif /* VMDK_LINK_H */
