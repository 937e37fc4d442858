/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* A temporary folder, and what tests put into it. */

#ifndef VMDK_TESTS_FOLDER_H
#define VMDK_TESTS_FOLDER_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

struct folder {
  char path[PATH_MAX];          /* absolute, free of links */
};

static inline void
folder_new (struct folder *f)
{
  const char *tmp = getenv ("TMPDIR");
  char template[PATH_MAX];

  snprintf (template, sizeof template, "%s/vmdk-unit-XXXXXX",
            tmp ? tmp : "/tmp");
  assert_non_null (mkdtemp (template));
  assert_non_null (realpath (template, f->path));
}

static inline int
folder_remove_one (const char *path, const struct stat *statbuf, int type,
                   struct FTW *ftw)
{
  (void) statbuf;
  (void) type;
  (void) ftw;
  return remove (path);
}

static inline void
folder_remove (struct folder *f)
{
  assert_int_equal (nftw (f->path, folder_remove_one, 16,
                          FTW_DEPTH | FTW_PHYS), 0);
}

/* The path of a name in the folder; valid until the fourth call from
 * here.
 */
static inline const char *
folder_path (const struct folder *f, const char *name)
{
  static char paths[4][2 * PATH_MAX];
  static unsigned next;

  next = (next + 1) % 4;
  snprintf (paths[next], sizeof paths[next], "%s/%s", f->path, name);
  return paths[next];
}

static inline void
folder_write (const struct folder *f, const char *name, const void *data,
              size_t len)
{
  FILE *fp = fopen (folder_path (f, name), "w");

  assert_non_null (fp);
  assert_int_equal (fwrite (data, 1, len, fp), len);
  assert_int_equal (fclose (fp), 0);
}

static inline void
folder_write_text (const struct folder *f, const char *name,
                   const char *text)
{
  folder_write (f, name, text, strlen (text));
}

static inline void
folder_make_dir (const struct folder *f, const char *name)
{
  assert_int_equal (mkdir (folder_path (f, name), 0700), 0);
}

static inline void
folder_link (const struct folder *f, const char *target, const char *name)
{
  assert_int_equal (symlink (target, folder_path (f, name)), 0);
}

static inline void
folder_hard_link (const struct folder *f, const char *old, const char *name)
{
  assert_int_equal (link (folder_path (f, old), folder_path (f, name)), 0);
}

#endif /* VMDK_TESTS_FOLDER_H */
