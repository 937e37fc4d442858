/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Damage to the files as such: missing, too short, or something that is
 * no regular file of the right kind.
 */

#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gen.h"

#define SEED_GARBAGE 0x67617262u

static struct extent *
last_extent (struct link *l)
{
  return &l->extent[l->nr_extents - 1];
}

static void
remove_file (const char *path)
{
  if (unlink (path) == -1)
    die ("unlink: %s: %s", path, strerror (errno));
}

static void
make_link (const char *target, const char *path)
{
  if (symlink (target, path) == -1)
    die ("symlink: %s: %s", path, strerror (errno));
}

static void
extent_missing (struct link *l)
{
  remove_file (last_extent (l)->path);
}

static void
extent_is_directory (struct link *l)
{
  const char *path = last_extent (l)->path;

  remove_file (path);
  if (mkdir (path, 0777) == -1)
    die ("mkdir: %s: %s", path, strerror (errno));
}

static void
extent_is_fifo (struct link *l)
{
  const char *path = last_extent (l)->path;

  remove_file (path);
  if (mkfifo (path, 0666) == -1)
    die ("mkfifo: %s: %s", path, strerror (errno));
}

static void
extent_is_device (struct link *l)
{
  const char *path = last_extent (l)->path;

  remove_file (path);
  make_link ("/dev/zero", path);
}

/* Move the file to the directory above.  Returns its name there. */
static char *
move_out (struct link *l)
{
  struct extent *e = last_extent (l);
  char *name = xasprintf ("../%s", e->name);
  char *path = xasprintf ("%s/%s", l->dir, name);

  if (rename (e->path, path) == -1)
    die ("rename: %s: %s", path, strerror (errno));
  free (path);
  return name;
}

static void
symlink_out (struct link *l)
{
  char *name = move_out (l);

  make_link (name, last_extent (l)->path);
  free (name);
}

static void
dot_dot_text (struct link *l, struct buf *t)
{
  struct extent *e = last_extent (l);
  char *quoted = xasprintf ("\"%s\"", e->name), *at;

  at = strstr (t->data, quoted);
  if (at == NULL)
    die ("this damage needs the name of the extent in the descriptor");
  buf_splice (t, (size_t) (at + 1 - t->data), 0, "../");
  free (quoted);
}

static void
dot_dot (struct link *l)
{
  free (move_out (l));
}

static void
resize_last (struct link *l, int64_t change)
{
  struct extent *e = last_extent (l);
  struct file f;

  file_open (&f, e->path);
  file_truncate (&f, (uint64_t) ((int64_t) file_size (&f) + change));
  file_close (&f);
}

static void
flat_short (struct link *l)
{
  resize_last (l, -SECTOR);
}

static void
flat_short_by_a_byte (struct link *l)
{
  resize_last (l, -1);
}

static void
flat_longer (struct link *l)
{
  struct extent *e = last_extent (l);

  damage_fill (e->path, e->offset + e->sectors, 3, 0x5a);
}

static void
descriptor_empty (struct link *l)
{
  damage_cut (l->path, 0);
}

static void
descriptor_random (struct link *l)
{
  uint64_t state = prng_hash (l->opt->seed, SEED_GARBAGE);
  uint64_t offset;

  for (offset = 0; offset < 1024; offset += 8)
    damage_patch (l->path, offset, prng (&state), 8);
}

/* An extent that is the descriptor again. */
static void
sparse_is_text (struct link *l)
{
  struct extent *e = last_extent (l);
  const char *slash = strrchr (l->path, '/');

  remove_file (e->path);
  if (link (l->path, e->path) == -1)
    die ("link: %s to %s: %s", slash ? slash + 1 : l->path, e->path,
         strerror (errno));
}

#define FILES(name, verdict, kinds, fn, what)                   \
  { name, verdict, kinds, what, NULL, NULL, fn, 0, 0, 0 }

#define KT KINDS_TEXT
#define KF KINDS_FLAT

const struct damage damage_files[] = {
  FILES ("extent-missing", REFUSE, KT, extent_missing,
         "the last extent's file does not exist"),
  FILES ("extent-is-directory", REFUSE, KT, extent_is_directory,
         "the last extent is a directory"),
  FILES ("extent-is-fifo", REFUSE, KT, extent_is_fifo,
         "the last extent is a FIFO"),
  FILES ("extent-is-device", REFUSE, KT, extent_is_device,
         "the last extent is a symbolic link to /dev/zero"),
  FILES ("symlink-out", REFUSE, KT, symlink_out,
         "the last extent is a symbolic link to the directory above"),
  { "dot-dot", REFUSE, KT, "the last extent is in the directory above",
    NULL, dot_dot_text, dot_dot, 0, 0, 0 },
  FILES ("flat-short", REFUSE, KF, flat_short,
         "the last flat file is a sector too short"),
  FILES ("flat-short-by-a-byte", REFUSE, KF, flat_short_by_a_byte,
         "the last flat file is a byte too short"),
  FILES ("flat-longer", OPEN, KF, flat_longer,
         "the last flat file is longer than its line says"),
  FILES ("descriptor-empty", REFUSE, KT, descriptor_empty,
         "the descriptor has no bytes"),
  FILES ("descriptor-random", REFUSE, KT, descriptor_random,
         "the descriptor is random bytes"),
  FILES ("sparse-is-text", REFUSE, K (TWO_GB_SPARSE), sparse_is_text,
         "the last extent is the descriptor itself"),
  { .name = NULL }
};
