/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "memory.h"
#include "names.h"
#include "opening.h"
#include "progress.h"

/* Read a descriptor of at most 'max' bytes. */
static char *
read_text (struct opening *o, struct io *io, uint64_t offset, uint64_t max,
           size_t *len)
{
  char *text;

  *len = (size_t) min_u64 (max, io->size - offset);
  if (!budget_take (o->context->text, *len)) {
    error_set (o->error, VMDK_ERROR_UNSUPPORTED, EINVAL,
               "%s: the descriptors of the chain, and of files that were "
               "taken for a part of it, have more than %d bytes", o->name,
               LINK_MAX_TEXT);
    return NULL;
  }
  text = malloc (*len + 1);
  if (!text) {
    error_nomem (o->error);
    return NULL;
  }
  if (io_pread (io, text, *len, offset, o->error) == -1) {
    free (text);
    return NULL;
  }
  return text;
}

/* Put an extent at the end of the link.  Consumes it. */
static int
append_extent (struct opening *o, struct extent *extent)
{
  struct link *link = o->link;

  extent->start = link->size;
  link->extents[link->nr_extents++] = extent;
  if (!add_u64 (link->size, extent->length, &link->size) ||
      link->size > MAX_SECTORS * SECTOR_SIZE)
    return error_set (o->error, VMDK_ERROR_CORRUPT, EINVAL,
                      "%s: the extents are larger than any disk "
                      "(%" PRIu64 " sectors) when added up",
                      o->name, MAX_SECTORS);
  return 0;
}

/* Get ready for so many extents.  They count before any of them is opened, which
 * may take long, and many links may be opened at a time.
 */
static int
allocate_extents (struct opening *o, size_t nr)
{
  struct link *link = o->link;
  struct budget *budget = o->context->env->extents;

  if (!budget_take (budget, nr))
    return error_set (o->error, VMDK_ERROR_NOMEM, ENOMEM,
                      "%s: this disk and those that are open have more than "
                      "%d extents together", o->name, MEMORY_MAX_EXTENTS);
  link->counted_in = budget;
  link->nr_counted = nr;
  link->extents = calloc (nr, sizeof *link->extents);
  return link->extents ? 0 : error_nomem (o->error);
}

/* Clients are shown this, so that it must not be any text at all. */
static int
set_create_type (struct opening *o, const char *create_type)
{
  if (!type_can_be_told (create_type))
    create_type = "of unknown type";
  o->link->create_type = strdup (create_type);
  return o->link->create_type ? 0 : error_nomem (o->error);
}

/* Build the link from the lines of a descriptor. */
static int
open_lines (struct opening *o, const struct descriptor *d)
{
  struct progress progress;
  size_t i;
  int r = -1;

  if (d->nr_extents == 0)
    return error_set (o->error, VMDK_ERROR_CORRUPT, EINVAL,
                      "%s: the descriptor names no extents", o->name);
  if (!budget_take (o->context->lines, d->nr_extents))
    return error_set (o->error, VMDK_ERROR_UNSUPPORTED, EINVAL,
                      "%s: the links of the chain, and files that were taken "
                      "for one, have more than %d extents", o->name,
                      LINK_MAX_LINES);
  if (allocate_extents (o, d->nr_extents) == -1 ||
      set_create_type (o, d->create_type ? d->create_type : "custom") == -1)
    return -1;
  progress_begin (&progress, o->context->env->logger, o->name,
                  "opening its extents", 0);
  for (i = 0; i < d->nr_extents; ++i) {
    struct extent *extent;

    if (progress_at (&progress, i, o->error) == -1)
      goto out;
    extent = open_line (o, &d->extents[i]);
    if (d->extents[i].access == ACCESS_RDONLY)
      o->link->read_only_line = d->extents[i].line;
    if (!extent || append_extent (o, extent) == -1)
      goto out;
  }
  r = keep_line_files (o);

 out:
  free_line_files (o);
  return r;
}

/* Is the link, of which all is known but its extents, the right one? */
static int
check_link (struct opening *o)
{
  return o->check ?
    o->check->accept (o->check->opaque, o->link, o->error) : 0;
}

/* Take over what a descriptor says of the link and its parent, and
 * refuse what cannot be served though it is well formed, or not wanted.
 */
static int
take_descriptor (struct opening *o, struct descriptor *d)
{
  struct link *link = o->link;

  if (d->transformed_by)
    return error_set (o->error, VMDK_ERROR_UNSUPPORTED, ENOTSUP,
                      "%s: the descriptor has %.300s: the data are encrypted, "
                      "filtered or kept by the storage system, and cannot "
                      "be read from these files", o->name, d->transformed_by);
  link->sector_size = d->sector_size;
  link->has_cid = d->has_cid;
  link->cid = d->cid;
  link->has_parent = link->has_parent_cid =
    d->parent_cid != DESCRIPTOR_NO_PARENT;
  link->parent_cid = d->parent_cid;
  if (d->parent_hint_utf8) {
    link->parent_hint = d->parent_hint_utf8;
    link->parent_hint_raw = d->parent_hint;
    d->parent_hint_utf8 = NULL;
  }
  else
    link->parent_hint = d->parent_hint;
  d->parent_hint = NULL;
  if (check_link (o) == -1)
    return -1;
  if (!link->has_parent && link->parent_hint)
    logger_warn (o->context->env->logger, "%s: names a parent (%.300s) but "
                 "says by its parentCID that it has none; opened without",
                 o->name, link->parent_hint);
  return 0;
}

/* Make the link one extent, without a descriptor. */
static int
open_bare (struct opening *o, struct extent *extent, const char *type)
{
  if (!extent)
    return -1;
  if (allocate_extents (o, 1) == -1 || set_create_type (o, type) == -1) {
    extent->ops->close (extent);
    return -1;
  }
  return append_extent (o, extent);
}

/* An extent that is opened without the descriptor beside it may be a
 * snapshot's, and does not know: only the user does.
 */
static int
take_bare (struct opening *o)
{
  if (check_link (o) == -1)
    return -1;
  o->link->is_bare = true;
  logger_warn (o->context->env->logger, "%s: opened without a descriptor; "
               "if it is a snapshot's, what only its parent has reads as "
               "zeroes unless parent= names that", o->name);
  return 0;
}

static int
open_bare_cowd (struct opening *o, struct io *io)
{
  struct cowd_header h;

  if (read_cowd_header (o, io, &h) == -1)
    return -1;
  if (h.has_parent) {
    o->link->has_parent = true;
    o->link->parent_hint = strdup (h.parent_name);
    if (!o->link->parent_hint)
      return error_nomem (o->error);
  }
  if ((h.has_parent ? check_link (o) : take_bare (o)) == -1)
    return -1;
  return open_bare (o, extent_cowd_new (io, &h, h.capacity * SECTOR_SIZE,
                                        o->context->env, o->error),
                    "COWD extent");
}

static int
open_bare_sesparse (struct opening *o, struct io *io)
{
  struct sesparse_header h;

  if (read_sesparse_header (o, io, &h) == -1 || take_bare (o) == -1)
    return -1;
  return open_bare (o, extent_sesparse_new (io, &h, h.capacity * SECTOR_SIZE,
                                            o->context->env, o->error),
                    "seSparse extent");
}

/* Open a file that is one hosted sparse extent. */
static int
open_monolithic (struct opening *o, struct io *io,
                 const struct hosted_header *h, const struct descriptor *d)
{
  const char *type = d->create_type ? d->create_type :
    "sparse extent without descriptor";
  uint64_t sectors = h->capacity;

  /* The embedded line may give the exact size where the header's is
   * rounded up to a grain.  The name in it is not used: people rename
   * files.
   */
  if (d->nr_extents == 1 && d->extents[0].type == EXTENT_SPARSE) {
    const struct extent_line *line = &d->extents[0];

    if (line->access == ACCESS_NOACCESS)
      return open_bare (o, extent_noaccess_new (o->name, line->line,
                                                line->sectors * SECTOR_SIZE,
                                                o->error), type);
    if (line->access == ACCESS_RDONLY)
      o->link->read_only_line = line->line;
    sectors = line->sectors;
  }
  return open_bare (o, open_hosted_extent (o, io, h, sectors * SECTOR_SIZE),
                    type);
}

static bool
is_zero (const char *p, size_t len)
{
  return len == 0 || (p[0] == '\0' && memcmp (p, p + 1, len - 1) == 0);
}

static int
open_hosted (struct opening *o, struct io *io)
{
  struct descriptor d = { .parent_cid = DESCRIPTOR_NO_PARENT };
  struct hosted_header h;
  char *text = NULL;
  size_t len = 0;
  int r = -1;

  if (read_hosted_header (o, io, &h) == -1)
    return -1;
  if (h.descriptor_offset != 0) {
    text = read_text (o, io, h.descriptor_offset * SECTOR_SIZE,
                      h.descriptor_size * SECTOR_SIZE, &len);
    if (!text)
      return -1;
  }
  /* An area of zeroes is how QEMU says that there is none. */
  if (!is_zero (text, len)) {
    if (descriptor_parse (text, len, o->name, o->context->env->logger, &d,
                          o->error) == -1)
      goto out;
    if (d.nr_extents == 0 && !d.has_cid && !d.create_type) {
      error_set (o->error, VMDK_ERROR_CORRUPT, EINVAL,
                 "%s: the embedded descriptor is damaged, so that it is not "
                 "known whether the disk has a parent", o->name);
      goto out;
    }
    if (take_descriptor (o, &d) == -1)
      goto out;
    o->link->descriptor_offset = h.descriptor_offset * SECTOR_SIZE;
    o->link->descriptor_room = h.descriptor_size * SECTOR_SIZE;
  }
  else if (take_bare (o) == -1)
    goto out;
  r = hosted_is_wrapper (&h) ? open_lines (o, &d) :
    open_monolithic (o, io, &h, &d);

 out:
  descriptor_free (&d);
  free (text);
  return r;
}

static int
open_text (struct opening *o, struct io *io)
{
  struct descriptor d;
  size_t len;
  char *text;
  int r;

  text = read_text (o, io, 0, DESCRIPTOR_MAX_SIZE, &len);
  if (!text)
    return -1;
  if (!descriptor_is_text (text, len))
    r = refuse_kind (io, FILE_UNKNOWN, o->error);
  else if (io->size > DESCRIPTOR_MAX_SIZE)
    r = error_set (o->error, VMDK_ERROR_UNSUPPORTED, EINVAL,
                   "%s: a descriptor of %" PRIu64 " bytes is too large "
                   "(at most %d)", o->name, io->size, DESCRIPTOR_MAX_SIZE);
  else if ((r = descriptor_parse (text, len, o->name, o->context->env->logger,
                                  &d, o->error)) == 0) {
    o->link->descriptor_room = UINT64_MAX;
    r = take_descriptor (o, &d);
    if (r == 0)
      r = open_lines (o, &d);
    descriptor_free (&d);
  }
  free (text);
  return r;
}

static int
open_file (struct opening *o, struct io *io)
{
  enum file_kind kind;

  if (io->size == 0)
    return error_set (o->error, VMDK_ERROR_CORRUPT, EINVAL,
                      "%s: not a VMDK: the file is empty", io->name);
  if (probe_file (io, &kind, o->error) == -1)
    return -1;
  switch (kind) {
  case FILE_HOSTED:
    return open_hosted (o, io);
  case FILE_COWD:
    return open_bare_cowd (o, io);
  case FILE_SESPARSE:
    return open_bare_sesparse (o, io);
  case FILE_UNKNOWN:
    return open_text (o, io);
  default:
    return refuse_kind (io, kind, o->error);
  }
}

/* Open the link whose file is 'io', in the folder 'dir'.  Consumes
 * both.
 */
static struct link *
open_link (const struct link_context *context, struct io *io, int dir,
           const struct link_check *check, struct vmdk_error *error)
{
  struct opening o = { .context = context, .check = check, .error = error };

  o.link = calloc (1, sizeof *o.link);
  if (!o.link) {
    close (dir);
    error_nomem (error);
    goto out;
  }
  o.link->dir = dir;
  o.link->dev = io->dev;
  o.link->ino = io->ino;
  o.name = o.link->name = strdup (io->name);
  o.link->files = malloc (sizeof *o.link->files);
  if (o.link->files) {
    o.link->files[0] = io_ref (io);
    o.link->nr_files = 1;
  }
  if (!o.name || !o.link->files)
    error_nomem (error);
  if (!o.name || !o.link->files || open_file (&o, io) == -1) {
    link_close (o.link);
    o.link = NULL;
  }

 out:
  io_unref (io);
  return o.link;
}

struct link *
link_open_user (const struct link_context *context, const char *path,
                const struct link_check *check, struct vmdk_error *error)
{
  int dir;
  struct io *io = path_open_user (context->policy, path, &dir, error);

  return io ? open_link (context, io, dir, check, error) : NULL;
}

struct link *
link_open_named (const struct link_context *context, int dir,
                 const char *name, const struct link_check *check,
                 bool *missing, struct vmdk_error *error)
{
  int folder;
  struct io *io = path_open_named (context->policy, dir, name, &folder,
                                   error);

  *missing = !io && path_is_no_file (error);
  return io ? open_link (context, io, folder, check, error) : NULL;
}

struct link *
link_open_entry (const struct link_context *context, int dir,
                 const char *name, struct vmdk_error *error)
{
  int folder;
  struct io *io = path_open_entry (context->policy, dir, name, &folder,
                                   error);

  return io ? open_link (context, io, folder, NULL, error) : NULL;
}

void
link_release_folder (struct link *link)
{
  if (link->dir != -1)
    close (link->dir);
  link->dir = -1;
}

void
link_close (struct link *link)
{
  size_t i;

  if (!link)
    return;
  for (i = 0; i < link->nr_extents; ++i)
    link->extents[i]->ops->close (link->extents[i]);
  free (link->extents);
  if (link->counted_in)
    budget_give (link->counted_in, link->nr_counted);
  for (i = 0; i < link->nr_files; ++i)
    io_unref (link->files[i]);
  free (link->files);
  free (link->create_type);
  free (link->name);
  free (link->parent_hint);
  free (link->parent_hint_raw);
  link_release_folder (link);
  free (link);
}
