/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The inside of survey.h: what is known of a folder while its files are looked
 * at, one after the other.
 */

#ifndef VMDK_SURVEY_LOOK_H
#define VMDK_SURVEY_LOOK_H

#include "progress.h"
#include "survey.h"

/* The most parents in other folders that wait to be looked at, open; of a link
 * of a chain there is one, unless somebody has made it up.
 */
#define MAX_WAITING 16

/* A file, whatever its names. */
struct identity {
  uint64_t dev, ino;
};

struct file {
  char *name;
  struct identity id;
  bool is_told;                 /* to clients, if it is a disk */
  bool is_disk;
  char *type;                   /* createType, if it can be told */
  bool is_behind;               /* another disk */
  bool has_cid;
  uint32_t cid;
};

/* A file that a disk may have as its parent. */
struct parent {
  struct identity id;
  bool any_cid;
  uint32_t cid;                 /* that it must have */
};

/* A file that is being looked at, or waits for that. */
struct look {
  struct survey *s;
  struct file *entry;
  struct io *io;
  int folder;                   /* it lies in */
  bool is_here;                 /* in the folder that is surveyed */
  bool is_parent;               /* it is not, but a parent may be */
};

struct survey {
  const struct survey_options *options;
  const char *name;             /* of the folder */
  int dir;
  struct identity id;           /* the folder's */
  struct file *entries;         /* sorted by name */
  size_t nr_entries, max_entries;
  struct file **by_id;          /* sorted by identity */
  struct parent *parents;
  size_t nr_parents, max_parents;
  struct look waiting[MAX_WAITING];
  size_t nr_waiting;
  void *seen;                   /* tree of parents in other folders */
  size_t nr_seen;
  size_t elsewhere;             /* files of other folders opened for lines, */
  size_t of_file;               /* and of these for the file looked at */
  bool said_too_many;
  bool is_incomplete;           /* some cannot be read, or are too many */
  uint64_t text;                /* bytes read of files of the folder, */
  uint64_t text_elsewhere;      /* and of others */
  struct progress progress;
  struct vmdk_error *error;
};

static inline int
compare_ids (const struct identity *a, const struct identity *b)
{
  if (a->dev != b->dev)
    return a->dev < b->dev ? -1 : 1;
  return a->ino < b->ino ? -1 : a->ino > b->ino;
}

/* Open one of the files, find out whether it is a disk, and take what it
 * names, and what its parents in other folders name.  One that cannot be looked
 * at is passed over, as survey.h says.
 */
extern int survey_look_at (struct survey *s, struct file *entry);

/* The entry of that name, or NULL. */
extern const struct file *survey_find_name (const struct survey *s,
                                             const char *name);

/* Note, with all its names, a file that belongs to a disk. */
extern void survey_mark (struct survey *s, const struct identity *id);

/* Note one file that the parent of a disk can be. */
extern int survey_add_parent (struct survey *s, const struct parent *p);

#endif /* VMDK_SURVEY_LOOK_H */
