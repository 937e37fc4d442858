/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* What a file of a folder is, and which others it names. */

#include <config.h>

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "chain.h"
#include "descriptor-text.h"
#include "survey-look.h"

/* A descriptor has one, or two in different encodings.  Of one that is wrong,
 * so many are looked at.
 */
#define MAX_HINTS 4

/* So much of a file tells whether it is a descriptor. */
#define PROBE_SIZE 16384

/* A file in another folder.  Which one counts too: it may have hard links,
 * and names others from where it is.
 */
struct place {
  struct identity file, folder;
};

/* A file cannot be looked at, and is passed over; but not if the server is
 * short of something now: the file may name one that would be taken for a
 * disk without it, and be changed.
 */
static int
pass_over (const struct survey *s, const struct vmdk_error *why)
{
  if (why->err != EMFILE && why->err != ENFILE && why->err != ENOMEM) {
    logger_note (s->options->logger, "not looked at: %s", why->message);
    return 0;
  }
  *s->error = *why;
  return -1;
}

/* Is there no file that has the name? */
static bool
is_missing (const struct vmdk_error *why)
{
  return why->err == ENOENT || why->err == ENOTDIR || why->err == ELOOP ||
    why->err == ENAMETOOLONG;
}

/* A file of the folder, or a parent elsewhere, cannot be read.  It may name any
 * other as its parent, so that none can be written.
 */
static int
cannot_read (struct survey *s, const struct vmdk_error *why)
{
  if (why->kind != VMDK_ERROR_IO || is_missing (why))
    return pass_over (s, why);
  s->is_incomplete = true;
  if (!s->options->for_writing)
    return pass_over (s, why);
  return error_set (s->error, VMDK_ERROR_IO, why->err,
                    "nothing in %s can be written, because a file there, or "
                    "one behind it, may have any parent and cannot be read: "
                    "%s", s->name, why->message);
}

static void
too_many (struct survey *s, const char *name)
{
  if (!s->said_too_many)
    logger_warn (s->options->logger, "%s: %s: names too many files by paths; "
                 "not all are looked at to tell them from disks", s->name,
                 name);
  s->said_too_many = true;
}

/* A parent elsewhere is one too many to be looked at.  It may have any file of
 * the folder as its parent, so that none can be written.
 */
static int
too_many_parents (struct survey *s, const char *name)
{
  s->is_incomplete = true;
  if (s->options->for_writing)
    return error_set (s->error, VMDK_ERROR_UNSUPPORTED, E2BIG,
                      "nothing in %s can be written, because there are too "
                      "many parents in other folders to look at all: %s",
                      s->name, name);
  too_many (s, name);
  return 0;
}

static struct look
look_begin (struct survey *s, struct io *io, int folder)
{
  struct stat statbuf;

  return (struct look) {
    .s = s, .io = io, .folder = folder,
    .is_here = fstat (folder, &statbuf) == 0 &&
      statbuf.st_dev == s->id.dev && statbuf.st_ino == s->id.ino,
  };
}

static void
look_end (const struct look *l)
{
  close (l->folder);
  io_unref (l->io);
}

static int
compare_places (const void *a, const void *b)
{
  const struct place *x = a, *y = b;
  const int r = compare_ids (&x->file, &y->file);

  return r != 0 ? r : compare_ids (&x->folder, &y->folder);
}

/* The disk 'child' may have this parent in another folder: have it looked at,
 * once.  Returns 1 if it will be, else 0 or -1.
 */
static int
look_later (struct survey *s, const struct look *l, const char *child)
{
  struct place place = { .file = { l->io->dev, l->io->ino } }, *seen;
  struct stat statbuf;

  /* All of this folder have their turn. */
  if (l->is_here || fstat (l->folder, &statbuf) == -1)
    return 0;
  place.folder = (struct identity) { statbuf.st_dev, statbuf.st_ino };
  if (tfind (&place, &s->seen, compare_places))
    return 0;
  if (s->nr_seen == SURVEY_MAX_PARENTS || s->nr_waiting == MAX_WAITING)
    return too_many_parents (s, child);
  seen = malloc (sizeof *seen);
  if (!seen)
    return error_nomem (s->error);
  *seen = place;
  if (!tsearch (seen, &s->seen, compare_places)) {
    free (seen);
    return error_nomem (s->error);
  }
  s->nr_seen++;
  s->waiting[s->nr_waiting] = *l;
  s->waiting[s->nr_waiting++].is_parent = true;
  return 1;
}

/* Can what a name in a descriptor means be told without opening it?  Then
 * *found is that file of the folder, or NULL if there is none.
 */
static bool
find_here (const struct look *l, const char *name,
           const struct file **found)
{
  *found = NULL;
  if (!l->is_here || strchr (name, '/'))
    return false;
  *found = survey_find_name (l->s, name);
  return *found || !strchr (name, '\\');
}

/* Find out which file an extent's name means, if there is one.  Returns 1 if
 * so, 0 if not, or -1.
 */
static int
identify_extent (const struct look *l, const char *name, struct identity *id)
{
  struct survey *s = l->s;
  const struct file *found;
  struct vmdk_error why;
  struct io *io;

  if (find_here (l, name, &found)) {
    if (found)
      *id = found->id;
    return found != NULL;
  }
  if (s->elsewhere == SURVEY_MAX_ELSEWHERE ||
      s->of_file == SURVEY_MAX_OF_FILE) {
    too_many (s, l->io->name);
    return 0;
  }
  s->elsewhere++;
  s->of_file++;
  io = path_open_named (s->options->policy, l->folder, name, NULL, &why);
  if (!io)
    return pass_over (s, &why);
  *id = (struct identity) { io->dev, io->ino };
  io_unref (io);
  return 1;
}

/* The same for a parent, which is looked for whatever else a file names; and if
 * it is not in this folder, it is looked at as what is there is.
 */
static int
identify_parent (const struct look *l, const char *name, struct identity *id)
{
  struct survey *s = l->s;
  const struct file *found;
  struct vmdk_error why;
  struct look parent;
  struct io *io;
  int folder, r;

  if (find_here (l, name, &found)) {
    if (found)
      *id = found->id;
    return found != NULL;
  }
  io = path_open_named (s->options->policy, l->folder, name, &folder, &why);
  if (!io)
    return cannot_read (s, &why);
  *id = (struct identity) { io->dev, io->ino };
  parent = look_begin (s, io, folder);
  r = look_later (s, &parent, l->io->name);
  if (r != 1)
    look_end (&parent);
  return r == -1 ? -1 : 1;
}

static int
mark_extent (const struct look *l, const struct extent_line *line)
{
  const struct identity self = { l->io->dev, l->io->ino };
  struct identity id = { 0 };
  int r = 0;

  if (line->utf8_name)
    r = identify_extent (l, line->utf8_name, &id);
  if (r == 0 && line->name)
    r = identify_extent (l, line->name, &id);
  if (r == 1 && compare_ids (&id, &self) != 0)
    survey_mark (l->s, &id);
  return r == -1 ? -1 : 0;
}

/* Note one file that the parent can be. */
static int
add_parent (const struct look *l, const char *name, const struct parent *p)
{
  const struct identity self = { l->io->dev, l->io->ino };
  struct parent parent = *p;
  const int r = identify_parent (l, name, &parent.id);

  if (r != 1 || compare_ids (&parent.id, &self) == 0)
    return r == -1 ? -1 : 0;
  return survey_add_parent (l->s, &parent);
}

/* The parent is looked for beside the child, where the hint says, and where it
 * may have gone; which of these is the first does not matter here.
 */
static int
add_hint (const struct look *l, const char *hint, const struct parent *p)
{
  char moved[PATH_MAX];
  const char *base;

  if (!hint || l->s->options->with_parents)
    return 0;
  base = chain_base_name (hint);
  if ((*base && add_parent (l, base, p) == -1) ||
      (base != hint && add_parent (l, hint, p) == -1))
    return -1;
  return chain_moved_name (hint, moved) ? add_parent (l, moved, p) : 0;
}

/* Take what is named by the text of a descriptor that is wrong somewhere.  The
 * disk is one that does not open, but may be mended some day: what it consists
 * of are no disks, and its parent is not to be changed.
 */
static int
take_words (const struct look *l, const char *text, size_t len,
            bool has_lines)
{
  const struct parent any = { .any_cid = true };
  struct span rest = text_body (text, len), line, key, value;
  enum extent_access access;
  unsigned nr_hints = 0;
  bool is_closed;
  int r = 0;

  while (r == 0 && text_next_line (&rest, &line)) {
    const bool is_extent = text_split_extent (line, &access, &value);
    char *name;

    if (is_extent ? !has_lines : !text_split_pair (line, &key, &value) ||
        !span_starts (key, "parentFileNameHint"))
      continue;
    if (!is_extent && ++nr_hints > MAX_HINTS)
      continue;
    if (progress_at (&l->s->progress, 0, l->s->error) == -1)
      return -1;
    while (is_extent && value.len > 0 && value.p[0] != '"')
      value.p++, value.len--;
    value = text_cut_value (value, &is_closed);
    name = strndup (value.p, value.len);
    if (!name)
      return error_nomem (l->s->error);
    if (is_extent)
      r = mark_extent (l, &(struct extent_line) { .name = name });
    else
      r = add_hint (l, name, &any);
    free (name);
  }
  return r;
}

/* Take what the text of a descriptor names. */
static int
take_text (const struct look *l, const char *text, size_t len,
           bool has_lines)
{
  const struct logger silent = { 0 };
  struct vmdk_error why;
  struct parent p = { .any_cid = l->s->options->ignore_cid };
  struct descriptor d;
  size_t i;
  int r = 0;

  if (descriptor_parse (text, len, l->io->name, &silent, &d, &why) == -1)
    return pass_over (l->s, &why) == -1 ? -1 :
      take_words (l, text, len, has_lines);
  if (d.create_type && type_can_be_told (d.create_type)) {
    l->entry->type = d.create_type;
    d.create_type = NULL;
  }
  l->entry->has_cid = d.has_cid;
  l->entry->cid = p.cid = d.cid;
  for (i = 0; has_lines && i < d.nr_extents && r == 0; ++i) {
    r = progress_at (&l->s->progress, 0, l->s->error);
    if (r == 0)
      r = mark_extent (l, &d.extents[i]);
  }
  if (r == 0 && d.parent_cid != DESCRIPTOR_NO_PARENT) {
    p.cid = d.parent_cid;
    r = add_hint (l, d.parent_hint_utf8, &p);
    if (r == 0)
      r = add_hint (l, d.parent_hint, &p);
  }
  descriptor_free (&d);
  return r;
}

/* Read the text at 'offset', and take what it names. */
static int
read_text (const struct look *l, uint64_t offset, size_t len, bool has_lines)
{
  struct survey *s = l->s;
  uint64_t *sum = l->is_parent ? &s->text_elsewhere : &s->text;
  struct vmdk_error why;
  char *text;
  int r;

  *sum += len;
  if (*sum > SURVEY_MAX_TEXT && l->is_parent)
    return too_many_parents (s, l->io->name);
  if (*sum > SURVEY_MAX_TEXT)
    return error_set (s->error, VMDK_ERROR_UNSUPPORTED, E2BIG,
                      "%s: its descriptors have more than %d MiB, too much "
                      "to read", s->name, (int) (SURVEY_MAX_TEXT >> 20));
  text = malloc (len + 1);
  if (!text)
    return error_nomem (s->error);
  r = io_pread (l->io, text, len, offset, &why) == 0 ?
    take_text (l, text, len, has_lines) : cannot_read (s, &why);
  free (text);
  return r;
}

static int
look_at_hosted (const struct look *l)
{
  const uint64_t sectors = l->io->size / SECTOR_SIZE;
  uint8_t buf[HOSTED_HEADER_SIZE];
  struct hosted_header h;
  struct vmdk_error why;

  if (l->io->size < sizeof buf)
    return 0;
  if (io_pread (l->io, buf, sizeof buf, 0, &why) == -1)
    return cannot_read (l->s, &why);
  /* Whatever else is in the header: also what belongs to a disk that is
   * refused is not to be changed.
   */
  hosted_decode (buf, &h);
  if (h.descriptor_offset == 0 || h.descriptor_offset >= sectors)
    return 0;
  h.descriptor_size = min_u64 (h.descriptor_size,
                               min_u64 (sectors - h.descriptor_offset,
                                        DESCRIPTOR_MAX_SIZE / SECTOR_SIZE));
  /* What the one line of a disk of one file names is an old name of it. */
  return read_text (l, h.descriptor_offset * SECTOR_SIZE,
                    (size_t) (h.descriptor_size * SECTOR_SIZE),
                    hosted_is_wrapper (&h));
}

static int
look_at_cowd (const struct look *l)
{
  const struct parent any = { .any_cid = true };
  uint8_t buf[COWD_HEADER_SIZE];
  struct cowd_header h;
  struct vmdk_error why;

  if (l->io->size < sizeof buf)
    return 0;
  if (io_pread (l->io, buf, sizeof buf, 0, &why) == -1)
    return cannot_read (l->s, &why);
  (void) cowd_decode (buf, l->io->size, l->io->name, &h, &why);
  return h.has_parent ? add_hint (l, h.parent_name, &any) : 0;
}

static int
look_at_text (const struct look *l)
{
  const size_t len = (size_t) min_u64 (l->io->size, PROBE_SIZE);
  char start[PROBE_SIZE];
  struct vmdk_error why;

  if (io_pread (l->io, start, len, 0, &why) == -1)
    return cannot_read (l->s, &why);
  if (!descriptor_is_text (start, len))
    return 0;
  l->entry->is_disk = true;
  /* One that is longer does not open, but names what it names. */
  return read_text (l, 0, (size_t) min_u64 (l->io->size, DESCRIPTOR_MAX_SIZE),
                    true);
}

static int
look_at_file (const struct look *l)
{
  struct vmdk_error why;
  uint8_t magic[8];
  const size_t len = (size_t) min_u64 (sizeof magic, l->io->size);

  if (io_pread (l->io, magic, len, 0, &why) == -1)
    return cannot_read (l->s, &why);
  l->s->of_file = 0;
  switch (header_probe (magic, len)) {
  case FILE_HOSTED:
    l->entry->is_disk = true;
    return look_at_hosted (l);
  case FILE_COWD:
    l->entry->is_disk = true;
    return look_at_cowd (l);
  case FILE_SESPARSE:
    l->entry->is_disk = true;
    return 0;
  case FILE_UNKNOWN:
    return look_at_text (l);
  default:
    return 0;
  }
}

int
survey_look_at (struct survey *s, struct file *entry)
{
  struct vmdk_error why;
  struct look l;
  struct io *io;
  int folder, r;

  io = path_open_entry (s->options->policy, s->dir, entry->name, &folder,
                        &why);
  if (!io)
    return cannot_read (s, &why);
  l = look_begin (s, io, folder);
  l.entry = entry;
  r = look_at_file (&l);
  look_end (&l);
  /* How deep that goes does not matter, since each is looked at once. */
  while (s->nr_waiting > 0) {
    struct file parent = { 0 };

    l = s->waiting[--s->nr_waiting];
    l.entry = &parent;
    if (r == 0)
      r = progress_at (&s->progress, 0, s->error);
    if (r == 0)
      r = look_at_file (&l);
    free (parent.type);
    look_end (&l);
  }
  return r;
}
