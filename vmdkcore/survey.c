/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "survey-look.h"

static int
compare_names (const void *a, const void *b)
{
  return strcmp (((const struct file *) a)->name,
                 ((const struct file *) b)->name);
}

static int
compare_entry_ids (const void *a, const void *b)
{
  return compare_ids (&(*(struct file *const *) a)->id,
                      &(*(struct file *const *) b)->id);
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

/* It must be a regular file that has something in it.  It is not opened: who
 * opens a FIFO might wait for ever.
 */
bool
survey_has_file (int dir, const char *name, struct stat *statbuf)
{
  return !strchr (name, '/') && fstatat (dir, name, statbuf, 0) == 0 &&
    S_ISREG (statbuf->st_mode) && statbuf->st_size > 0;
}

static int
add_entry (struct survey *s, const char *name)
{
  struct file *entries;
  struct stat statbuf;

  if (!survey_has_file (s->dir, name, &statbuf))
    return 0;
  entries = grow (s->entries, s->nr_entries, &s->max_entries,
                  sizeof *entries);
  if (!entries)
    return error_nomem (s->error);
  s->entries = entries;
  entries[s->nr_entries] = (struct file) {
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
    if (progress_at (&s->progress, 0, s->error) == -1 ||
        add_entry (s, d->d_name) == -1)
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

const struct file *
survey_find_name (const struct survey *s, const char *name)
{
  const struct file key = { .name = (char *) name };

  return s->nr_entries == 0 ? NULL :
    bsearch (&key, s->entries, s->nr_entries, sizeof key, compare_names);
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

/* Once: both the names and the disks may be many. */
void
survey_mark (struct survey *s, const struct identity *id)
{
  size_t i;

  for (i = find_id (s, id);
       i < s->nr_entries && compare_ids (&s->by_id[i]->id, id) == 0 &&
         !s->by_id[i]->is_behind; ++i)
    s->by_id[i]->is_behind = true;
}

int
survey_add_parent (struct survey *s, const struct parent *p)
{
  struct parent *parents = grow (s->parents, s->nr_parents, &s->max_parents,
                                 sizeof *parents);

  if (!parents)
    return error_nomem (s->error);
  s->parents = parents;
  parents[s->nr_parents++] = *p;
  return 0;
}

/* Not each name of a file can be followed to what is in it: let the first one
 * of each file have its content ID.
 */
static void
collect_cids (struct survey *s)
{
  struct file *first = NULL;
  size_t i;

  for (i = 0; i < s->nr_entries; ++i) {
    const struct file *f = s->by_id[i];

    if (!first || compare_ids (&first->id, &f->id) != 0)
      first = s->by_id[i];
    else if (!first->has_cid && f->has_cid) {
      first->has_cid = true;
      first->cid = f->cid;
    }
  }
}

/* All disks are known by now, and so are their content IDs. */
static int
mark_parents (struct survey *s)
{
  size_t i;

  collect_cids (s);
  for (i = 0; i < s->nr_parents; ++i) {
    const struct parent *p = &s->parents[i];
    const size_t at = find_id (s, &p->id);
    const struct file *f = at < s->nr_entries ? s->by_id[at] : NULL;

    if (progress_at (&s->progress, 0, s->error) == -1)
      return -1;
    if (f && (p->any_cid || (f->has_cid && f->cid == p->cid)))
      survey_mark (s, &p->id);
  }
  return 0;
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
               bool *complete, struct vmdk_error *error)
{
  struct survey s = {
    .options = options, .name = name, .dir = dir, .error = error,
  };
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
  progress_begin (&s.progress, options->logger, name, "looking for disks", 0);
  r = read_entries (&s, stream);
  for (i = 0; i < s.nr_entries && r == 0; ++i) {
    r = progress_at (&s.progress, 0, error);
    if (r == 0)
      r = survey_look_at (&s, &s.entries[i]);
  }
  if (r == 0)
    r = mark_parents (&s);
  if (r == 0) {
    *complete = !s.is_incomplete;
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
  tdestroy (s.seen, free);
  return r;
}
