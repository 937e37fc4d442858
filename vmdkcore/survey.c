/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "chain.h"
#include "descriptor-text.h"
#include "progress.h"
#include "survey.h"

/* A descriptor has one, or two in different encodings.  Of one that is wrong, so
 * many are looked at.
 */
#define MAX_HINTS 4

/* So much of a file tells whether it is a descriptor. */
#define PROBE_SIZE 16384

/* A file, whatever its names. */
struct identity {
  uint64_t dev, ino;
};

struct entry {
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

struct survey {
  const struct survey_options *options;
  const char *name;             /* of the folder */
  int dir;
  struct identity id;           /* the folder's */
  struct entry *entries;        /* sorted by name */
  size_t nr_entries, max_entries;
  struct entry **by_id;         /* sorted by identity */
  struct parent *parents;
  size_t nr_parents, max_parents;
  size_t elsewhere;             /* files of other folders opened for lines, */
  size_t of_file;               /* and of these for the file looked at */
  bool said_too_many;
  uint64_t text;                /* bytes read */
  struct vmdk_error *error;
};

/* The file that is being looked at. */
struct look {
  struct survey *s;
  struct entry *entry;
  struct io *io;
  int folder;                   /* it lies in */
  bool is_here;                 /* in the folder that is surveyed */
};

static int
compare_ids (const struct identity *a, const struct identity *b)
{
  if (a->dev != b->dev)
    return a->dev < b->dev ? -1 : 1;
  return a->ino < b->ino ? -1 : a->ino > b->ino;
}

static int
compare_names (const void *a, const void *b)
{
  return strcmp (((const struct entry *) a)->name,
                 ((const struct entry *) b)->name);
}

static int
compare_entry_ids (const void *a, const void *b)
{
  return compare_ids (&(*(struct entry *const *) a)->id,
                      &(*(struct entry *const *) b)->id);
}

/* Make room for one more in an array. */
static void *
grow (void *array, size_t nr, size_t *max, size_t size)
{
  void *r;

  if (nr < *max)
    return array;
  r = reallocarray (array, *max == 0 ? 64 : 2 * *max, size);
  if (r)
    *max = *max == 0 ? 64 : 2 * *max;
  return r;
}

/* Take down a regular file of the folder that has something in it.  It is not
 * opened: who opens a FIFO might wait for ever.
 */
static int
add_entry (struct survey *s, const char *name)
{
  struct entry *entries;
  struct stat statbuf;

  if (fstatat (s->dir, name, &statbuf, 0) == -1 ||
      !S_ISREG (statbuf.st_mode) || statbuf.st_size == 0)
    return 0;
  entries = grow (s->entries, s->nr_entries, &s->max_entries,
                  sizeof *entries);
  if (!entries)
    return error_nomem (s->error);
  s->entries = entries;
  entries[s->nr_entries] = (struct entry) {
    .name = strdup (name),
    .id = { statbuf.st_dev, statbuf.st_ino },
    .is_told = name[0] != '.' && name_can_be_told (name),
  };
  if (!entries[s->nr_entries].name)
    return error_nomem (s->error);
  s->nr_entries++;
  return 0;
}

static int
read_entries (struct survey *s, DIR *dir)
{
  const struct dirent *d;
  size_t n = 0, i;

  while (errno = 0, (d = readdir (dir)) != NULL) {
    if (strcmp (d->d_name, ".") == 0 || strcmp (d->d_name, "..") == 0)
      continue;
    if (++n > SURVEY_MAX_FILES)
      return error_set (s->error, VMDK_ERROR_UNSUPPORTED, E2BIG,
                        "%s: has more than %d files, too many to find the "
                        "disks among them", s->name, SURVEY_MAX_FILES);
    if (add_entry (s, d->d_name) == -1)
      return -1;
  }
  if (errno != 0)
    return error_sys (s->error, errno, "readdir: %s", s->name);
  if (s->nr_entries == 0)
    return 0;

  qsort (s->entries, s->nr_entries, sizeof *s->entries, compare_names);
  s->by_id = calloc (s->nr_entries, sizeof *s->by_id);
  if (!s->by_id)
    return error_nomem (s->error);
  for (i = 0; i < s->nr_entries; ++i)
    s->by_id[i] = &s->entries[i];
  qsort (s->by_id, s->nr_entries, sizeof *s->by_id, compare_entry_ids);
  return 0;
}

/* The first of the entries that are this file, in by_id; nr_entries if there
 * is none.
 */
static size_t
find_id (const struct survey *s, const struct identity *id)
{
  size_t low = 0, high = s->nr_entries;

  while (low < high) {
    const size_t middle = low + (high - low) / 2;

    if (compare_ids (&s->by_id[middle]->id, id) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low < s->nr_entries && compare_ids (&s->by_id[low]->id, id) == 0 ?
    low : s->nr_entries;
}

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

/* A file of the folder cannot be read.  It may name any other as its parent,
 * so that none can be written.
 */
static int
cannot_read (const struct survey *s, const struct vmdk_error *why)
{
  if (!s->options->for_writing || why->kind != VMDK_ERROR_IO ||
      why->err == ENOENT)
    return pass_over (s, why);
  return error_set (s->error, VMDK_ERROR_IO, why->err,
                    "nothing in %s can be written, because a file there may "
                    "have any parent and cannot be read: %s", s->name,
                    why->message);
}

/* Find out which file a name in a descriptor means, if there is one.  Returns
 * 1 if so, 0 if not, or -1.
 */
static int
identify (const struct look *l, const char *name, bool is_line,
          struct identity *id)
{
  struct survey *s = l->s;
  struct vmdk_error why;
  struct io *io;

  if (l->is_here && !strchr (name, '/')) {
    const struct entry key = { .name = (char *) name };
    const struct entry *found =
      s->nr_entries == 0 ? NULL :
      bsearch (&key, s->entries, s->nr_entries, sizeof key, compare_names);

    if (found)
      *id = found->id;
    if (found || !strchr (name, '\\'))
      return found != NULL;
  }
  /* Parents are looked for whatever else a file names. */
  if (is_line) {
    if (s->elsewhere == SURVEY_MAX_ELSEWHERE ||
        s->of_file == SURVEY_MAX_OF_FILE) {
      if (!s->said_too_many)
        logger_warn (s->options->logger, "%s: %s: names too many files by "
                     "paths; not all are looked at to tell them from disks",
                     s->name, l->entry->name);
      s->said_too_many = true;
      return 0;
    }
    s->elsewhere++;
    s->of_file++;
  }
  io = path_open_named (s->options->policy, l->folder, name, NULL, &why);
  if (!io)
    return pass_over (s, &why);
  *id = (struct identity) { io->dev, io->ino };
  io_unref (io);
  return 1;
}

/* All names of a file that belongs to a disk, once: both the names and the
 * disks may be many.
 */
static void
mark (struct survey *s, const struct identity *id)
{
  size_t i;

  for (i = find_id (s, id);
       i < s->nr_entries && compare_ids (&s->by_id[i]->id, id) == 0 &&
         !s->by_id[i]->is_behind; ++i)
    s->by_id[i]->is_behind = true;
}

static int
mark_extent (const struct look *l, const struct extent_line *line)
{
  const struct identity self = { l->io->dev, l->io->ino };
  struct identity id = { 0 };
  int r = 0;

  if (line->utf8_name)
    r = identify (l, line->utf8_name, true, &id);
  if (r == 0 && line->name)
    r = identify (l, line->name, true, &id);
  if (r == 1 && compare_ids (&id, &self) != 0)
    mark (l->s, &id);
  return r == -1 ? -1 : 0;
}

/* Note one file that the parent can be. */
static int
add_parent (const struct look *l, const char *name, const struct parent *p)
{
  const struct identity self = { l->io->dev, l->io->ino };
  struct survey *s = l->s;
  struct parent *parents;
  struct identity id = { 0 };
  const int r = identify (l, name, false, &id);

  if (r != 1 || compare_ids (&id, &self) == 0)
    return r == -1 ? -1 : 0;
  parents = grow (s->parents, s->nr_parents, &s->max_parents,
                  sizeof *parents);
  if (!parents)
    return error_nomem (s->error);
  s->parents = parents;
  parents[s->nr_parents] = *p;
  parents[s->nr_parents++].id = id;
  return 0;
}

/* The parent is looked for beside the child, where the hint says, and where it
 * may have gone.
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
  for (i = 0; has_lines && i < d.nr_extents && r == 0; ++i)
    r = mark_extent (l, &d.extents[i]);
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
  struct vmdk_error why;
  char *text;
  int r;

  s->text += len;
  if (s->text > SURVEY_MAX_TEXT)
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

static int
look_at_entry (struct survey *s, struct entry *entry)
{
  struct look l = { .s = s, .entry = entry };
  struct vmdk_error why;
  struct stat statbuf;
  int r;

  s->of_file = 0;
  l.io = path_open_named (s->options->policy, s->dir, entry->name, &l.folder,
                          &why);
  if (!l.io)
    return cannot_read (s, &why);
  l.is_here = fstat (l.folder, &statbuf) == 0 &&
    statbuf.st_dev == s->id.dev && statbuf.st_ino == s->id.ino;
  r = look_at_file (&l);
  close (l.folder);
  io_unref (l.io);
  return r;
}

/* All disks are known by now, and so are their content IDs. */
static void
mark_parents (struct survey *s)
{
  size_t i, j;

  for (i = 0; i < s->nr_parents; ++i) {
    const struct parent *p = &s->parents[i];

    /* Not each name of a file can be followed to what is in it. */
    for (j = find_id (s, &p->id);
         j < s->nr_entries && compare_ids (&s->by_id[j]->id, &p->id) == 0 &&
           !s->by_id[j]->is_behind; ++j)
      if (p->any_cid || (s->by_id[j]->has_cid && s->by_id[j]->cid == p->cid)) {
        mark (s, &p->id);
        break;
      }
  }
}

static int
list_disks (const struct survey *s, struct name_list *list)
{
  size_t i;

  for (i = 0; i < s->nr_entries; ++i)
    if (s->entries[i].is_told && s->entries[i].is_disk &&
        !s->entries[i].is_behind) {
      if (name_list_add (list, s->entries[i].name, s->entries[i].type) == -1)
        return error_nomem (s->error);
      s->entries[i].name = s->entries[i].type = NULL;
    }
  return 0;
}

int
survey_folder (int dir, const char *name,
               const struct survey_options *options, struct name_list *list,
               struct vmdk_error *error)
{
  struct survey s = {
    .options = options, .name = name, .dir = dir, .error = error,
  };
  struct progress progress;
  struct stat statbuf;
  DIR *stream = NULL;
  size_t i;
  int fd, r = -1;

  *list = (struct name_list) { 0 };
  fd = openat (dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd != -1)
    stream = fdopendir (fd);
  if (!stream || fstat (fd, &statbuf) == -1) {
    error_sys (error, errno, "open: %s", name);
    goto out;
  }
  s.id = (struct identity) { statbuf.st_dev, statbuf.st_ino };
  r = read_entries (&s, stream);
  progress_begin (&progress, options->logger, name, "looking for disks", 0);
  for (i = 0; i < s.nr_entries && r == 0; ++i) {
    r = progress_at (&progress, i, error);
    if (r == 0)
      r = look_at_entry (&s, &s.entries[i]);
  }
  if (r == 0) {
    mark_parents (&s);
    r = list_disks (&s, list);
    if (r == -1)
      name_list_free (list);
  }

 out:
  if (stream)
    closedir (stream);
  else if (fd != -1)
    close (fd);
  for (i = 0; i < s.nr_entries; ++i) {
    free (s.entries[i].name);
    free (s.entries[i].type);
  }
  free (s.entries);
  free (s.by_id);
  free (s.parents);
  return r;
}
