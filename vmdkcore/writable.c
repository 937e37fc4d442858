/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Why an image cannot be written. */

#include <config.h>

#include <errno.h>
#include <stdlib.h>

#include "alloc.h"
#include "content-id.h"
#include "progress.h"
#include "recover.h"
#include "writing.h"

/* To read so many bytes of tables takes no time that a client would see. */
#define MAX_SMALL (4 * 1024 * 1024)

/* A file of an image. */
struct image_file {
  const struct io *io;
  bool top;                     /* of the link that is to be written */
};

static int
compare_files (const void *a, const void *b)
{
  const struct io *x = ((const struct image_file *) a)->io;
  const struct io *y = ((const struct image_file *) b)->io;

  if (x->dev != y->dev)
    return x->dev < y->dev ? -1 : 1;
  return x->ino < y->ino ? -1 : x->ino > y->ino;
}

/* No file of the link may be the same as another one of it, or of a parent. */
static int
check_files (const struct vmdk_image *image, struct vmdk_error *error)
{
  const struct chain *chain = &image->chain;
  struct image_file *files;
  size_t i, j, nr = 0;
  int r = 0;

  for (i = 0; i < chain->nr; ++i)
    nr += chain->links[i]->nr_files;
  files = malloc ((nr + 1) * sizeof *files);
  if (!files)
    return error_nomem (error);
  nr = 0;
  for (i = 0; i < chain->nr; ++i)
    for (j = 0; j < chain->links[i]->nr_files; ++j)
      files[nr++] = (struct image_file) {
        .io = chain->links[i]->files[j], .top = i == 0,
      };
  qsort (files, nr, sizeof *files, compare_files);
  for (i = 1; i < nr && r == 0; ++i)
    if ((files[i - 1].top || files[i].top) && files[i].io->ino != 0 &&
        compare_files (&files[i - 1], &files[i]) == 0)
      r = error_set (error, VMDK_ERROR_CORRUPT, EROFS,
                     "%s: is read-only because %s has more than one part in "
                     "it", image_top_link (image)->name, files[i].io->name);
  free (files);
  return r;
}

/* What a line has of a file. */
struct share {
  const struct io *io;
  uint64_t start, end;          /* bytes */
};

static int
compare_shares (const void *a, const void *b)
{
  const struct share *x = a, *y = b;

  if (x->io != y->io)
    return x->io < y->io ? -1 : 1;
  return x->start < y->start ? -1 : x->start > y->start;
}

/* Flat extents may share a file, but no byte of it; a link opens each file
 * once, whatever its names.
 */
static int
check_shares (const struct link *link, struct vmdk_error *error)
{
  /* NOLINTNEXTLINE(clang-analyzer-*): a link has at least one extent */
  struct share *shares = malloc (link->nr_extents * sizeof *shares);
  size_t i, nr = 0;
  int r = 0;

  if (!shares)
    return error_nomem (error);
  for (i = 0; i < link->nr_extents && r == 0; ++i) {
    struct extent *e = link->extents[i];
    struct run run;

    if (e->alloc)
      continue;
    r = e->ops->map (e, 0, e->length, MAP_FOR_READING, &run, error);
    if (r == 0 && run.kind == RUN_DATA)
      shares[nr++] = (struct share) {
        .io = run.io, .start = run.offset, .end = run.offset + run.length,
      };
  }
  qsort (shares, nr, sizeof *shares, compare_shares);
  for (i = 1; i < nr && r == 0; ++i)
    if (shares[i - 1].io == shares[i].io &&
        shares[i - 1].end > shares[i].start)
      r = error_set (error, VMDK_ERROR_CORRUPT, EROFS,
                     "%s: is read-only because two lines of the descriptor "
                     "have the same bytes of %s", link->name,
                     shares[i].io->name);
  free (shares);
  return r;
}

/* What would be found at the first change, of tables of which there are too
 * many to look at before.
 */
static int
check_layouts (const struct link *link, struct vmdk_error *error)
{
  size_t i;

  for (i = 0; i < link->nr_extents; ++i) {
    const struct extent *e = link->extents[i];

    /* Only extents with grains have an allocator. */
    if (e->alloc &&
        recover_check_layout (gtable_layout (((const struct grains *) e)->gt),
                              error) == -1) {
      error_prefix (error, "%s: is read-only", link->name);
      return -1;
    }
  }
  return 0;
}

int
writing_check_image (const struct vmdk_image *image,
                     struct vmdk_error *error)
{
  const struct link *link = image_top_link (image);
  size_t i;

  if (image->chain.cut)
    return error_set (error, VMDK_ERROR_UNSUPPORTED, EROFS,
                      "%s: is read-only because it is opened without its "
                      "parent", link->name);
  /* With its parent named it could be, but its content ID could not be
   * changed.
   */
  if (link->is_bare)
    return error_set (error, VMDK_ERROR_UNSUPPORTED, EROFS,
                      "%s: is read-only because it is opened without its "
                      "descriptor", link->name);
  if (link->read_only_line != 0)
    return error_set (error, VMDK_ERROR_UNSUPPORTED, EROFS,
                      "%s: is read-only because line %u of the descriptor is "
                      "RDONLY", link->name, link->read_only_line);
  for (i = 0; i < link->nr_extents; ++i)
    if (link->extents[i]->read_only)
      return error_set (error, VMDK_ERROR_UNSUPPORTED, EROFS,
                        "%s: is read-only: %s", link->name,
                        link->extents[i]->read_only);
  for (i = 0; i < link->nr_files; ++i)
    if (!link->files[i]->writable)
      return error_set (error, VMDK_ERROR_UNSUPPORTED, EROFS,
                        "%s: is read-only because writing to %s is not "
                        "permitted", link->name, link->files[i]->name);
  return check_layouts (link, error) == -1 ||
    check_files (image, error) == -1 ||
    check_shares (link, error) == -1 ||
    content_id_check (link, error) == -1 ? -1 : 0;
}

bool
writing_tables_are_urgent (const struct vmdk_image *image)
{
  const struct link *link = image_top_link (image);
  uint64_t sectors = 0;
  size_t i;

  for (i = 0; i < link->nr_extents; ++i) {
    const struct extent *e = link->extents[i];
    const struct gtable_layout *l;
    unsigned copies;

    if (!e->alloc)
      continue;
    if (alloc_is_unclean (e->alloc))
      return true;
    l = gtable_layout (((const struct grains *) e)->gt);
    copies = l->directory[0] != 0 && l->directory[1] != 0 ? 2 : 1;
    sectors += div_up (l->nr_grains, l->entries_per_table) * l->table_size *
      copies;
  }
  return sectors * SECTOR_SIZE <= MAX_SMALL;
}

int
writing_check_tables (const struct vmdk_image *image,
                      struct vmdk_error *error)
{
  const struct link *link = image_top_link (image);
  struct progress progress;
  size_t i;

  progress_begin (&progress, &image->logger, link->name,
                  "checking the grain tables of all extents", 0);
  for (i = 0; i < link->nr_extents; ++i) {
    const struct extent *e = link->extents[i];
    const struct grains *g = (const struct grains *) e;
    struct recover_report report;

    /* Only extents with grains have an allocator. */
    if (!e->alloc)
      continue;
    if (progress_at (&progress, i, error) == -1 ||
        recover_tables (gtable_layout (g->gt), alloc_is_unclean (e->alloc),
                        false, g->env->checks, NULL, &report, error) == -1)
      return -1;
    recover_log (&report, g->io->name, &image->logger);
  }
  return 0;
}
