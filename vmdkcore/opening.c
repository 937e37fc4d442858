/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "opening.h"

/* Several lines may name one file, by one name or several, and it is
 * opened once.
 */
struct line_file {
  struct io *io;
  bool is_sparse;               /* describes one extent, and no other */
};

struct named_file {
  const char *name;             /* borrowed from the descriptor */
  struct line_file *file;
};

static int
compare_names (const void *a, const void *b)
{
  return strcmp (((const struct named_file *) a)->name,
                 ((const struct named_file *) b)->name);
}

static int
compare_files (const void *a, const void *b)
{
  const struct io *x = ((const struct line_file *) a)->io;
  const struct io *y = ((const struct line_file *) b)->io;

  if (x->dev != y->dev)
    return x->dev < y->dev ? -1 : 1;
  if (x->ino != y->ino)
    return x->ino < y->ino ? -1 : 1;
  return 0;
}

static void
free_line_file (void *p)
{
  struct line_file *f = p;

  io_unref (f->io);
  free (f);
}

static void
count_file (const void *node, VISIT visit, void *closure)
{
  size_t *nr = closure;

  (void) node;
  *nr += visit == postorder || visit == leaf;
}

/* The link has room for all of them. */
static void
keep_file (const void *node, VISIT visit, void *closure)
{
  const struct line_file *f = *(const struct line_file *const *) node;
  struct link *link = closure;

  if (visit == postorder || visit == leaf)
    link->files[link->nr_files++] = io_ref (f->io);
}

int
keep_line_files (struct opening *o)
{
  size_t nr = 1;
  struct io **files;

  twalk_r (o->files, count_file, &nr);
  files = reallocarray (o->link->files, nr, sizeof *files);
  if (!files)
    return error_nomem (o->error);
  o->link->files = files;
  twalk_r (o->files, keep_file, o->link);
  return 0;
}

void
free_line_files (struct opening *o)
{
  tdestroy (o->names, free);
  tdestroy (o->files, free_line_file);
}

/* Read a header of 'size' bytes. */
static int
read_header (struct opening *o, struct io *io, const char *what,
             uint64_t offset, uint8_t *buf, size_t size)
{
  if (io->size < size)
    return error_set (o->error, VMDK_ERROR_CORRUPT, EINVAL,
                      "%s: truncated: a %s header has %zu bytes, "
                      "the file has %" PRIu64,
                      io->name, what, size, io->size);
  return io_pread (io, buf, size, offset, o->error);
}

/* Where the last writer had to give up because a sync had failed, the page
 * cache may show tables and grains that are not on the disk, and that would not
 * be there any more after the first change.  So who reads them first sees what
 * is there.
 */
static bool
forget_lies (struct io *io, bool unclean)
{
  if (unclean)
    io_drop_cache (io);
  return unclean;
}

int
read_hosted_header (struct opening *o, struct io *io,
                    struct hosted_header *h)
{
  uint8_t buf[HOSTED_HEADER_SIZE];

  if (read_header (o, io, "sparse", 0, buf, sizeof buf) == -1)
    return -1;
  hosted_decode (buf, h);
  if (forget_lies (io, h->unclean)) {
    if (read_header (o, io, "sparse", 0, buf, sizeof buf) == -1)
      return -1;
    hosted_decode (buf, h);
  }
  return hosted_validate (h, io->size, io->name, o->context->env->logger,
                          o->error);
}

struct extent *
open_hosted_extent (struct opening *o, struct io *io,
                    const struct hosted_header *h, uint64_t length)
{
  return h->flags & HOSTED_COMPRESSED ?
    extent_stream_new (io, h, length, o->context->env, o->error) :
    extent_sparse_new (io, h, length, o->context->env, o->error);
}

int
read_cowd_header (struct opening *o, struct io *io, struct cowd_header *h)
{
  uint8_t buf[COWD_HEADER_SIZE];

  if (read_header (o, io, "COWD", 0, buf, sizeof buf) == -1 ||
      cowd_decode (buf, io->size, io->name, h, o->error) == -1)
    return -1;
  return !forget_lies (io, h->unclean) ? 0 :
    read_header (o, io, "COWD", 0, buf, sizeof buf) == -1 ? -1 :
    cowd_decode (buf, io->size, io->name, h, o->error);
}

int
read_sesparse_header (struct opening *o, struct io *io,
                      struct sesparse_header *h)
{
  uint8_t buf[SESPARSE_HEADER_SIZE];

  if (read_header (o, io, "seSparse", 0, buf, sizeof buf) == -1 ||
      sesparse_decode (buf, io->size, io->name, h, o->error) == -1 ||
      read_header (o, io, "seSparse", h->volatile_offset * SECTOR_SIZE,
                   buf, sizeof buf) == -1)
    return -1;
  return sesparse_check_volatile (buf, io->name, o->error);
}

int
probe_file (struct io *io, enum file_kind *kind, struct vmdk_error *error)
{
  uint8_t magic[8];
  const size_t len = (size_t) min_u64 (sizeof magic, io->size);

  if (io_pread (io, magic, len, 0, error) == -1)
    return -1;
  *kind = header_probe (magic, len);
  return 0;
}

/* Is it an archive of tar, as an OVA is? */
static bool
is_archive (struct io *io)
{
  struct vmdk_error ignored;
  char magic[5];

  return io->size >= 512 &&
    io_pread (io, magic, sizeof magic, 257, &ignored) == 0 &&
    memcmp (magic, "ustar", sizeof magic) == 0;
}

int
refuse_kind (struct io *io, enum file_kind kind, struct vmdk_error *error)
{
  switch (kind) {
  case FILE_UNFINISHED:
    return error_set (error, VMDK_ERROR_UNSUPPORTED, EINVAL,
                      "%s: an unfinished image: its writer has not "
                      "completed it", io->name);
  case FILE_CTK:
    return error_set (error, VMDK_ERROR_UNSUPPORTED, EINVAL,
                      "%s: a changed-block tracking file, not a disk",
                      io->name);
  case FILE_GZIP:
    return error_set (error, VMDK_ERROR_UNSUPPORTED, EINVAL,
                      "%s: compressed with gzip as a whole; unpack it first",
                      io->name);
  default:
    if (is_archive (io))
      return error_set (error, VMDK_ERROR_UNSUPPORTED, EINVAL,
                        "%s: an archive (tar, OVA); extract the disk from it "
                        "first", io->name);
    return error_set (error, VMDK_ERROR_CORRUPT, EINVAL,
                      "%s: not a VMDK: it has neither the magic of a sparse "
                      "image nor the text of a descriptor%s", io->name,
                      io->size > 0 && io->size % SECTOR_SIZE == 0 ?
                      "; of a flat extent give the descriptor; other raw disk "
                      "bytes can be served with nbdkit file" : "");
  }
}

/* Find the file among those that are open, or add it.  Consumes 'io'. */
static struct line_file *
add_file (struct opening *o, struct io *io)
{
  struct line_file key = { .io = io };
  struct line_file **found = tfind (&key, &o->files, compare_files);
  struct line_file *file;

  if (found) {
    io_unref (io);
    return *found;
  }
  file = malloc (sizeof *file);
  if (file) {
    *file = key;
    if (tsearch (file, &o->files, compare_files))
      return file;
  }
  free (file);
  io_unref (io);
  error_nomem (o->error);
  return NULL;
}

/* Find or open the file that a line names. */
static struct line_file *
open_line_file (struct opening *o, const struct extent_line *line)
{
  const struct named_file key = { .name = line->name };
  struct named_file **found = tfind (&key, &o->names, compare_names);
  struct named_file *named;
  struct io *io = NULL;

  if (found)
    return (*found)->file;

  if (line->utf8_name)
    io = path_open_named (o->context->policy, o->link->dir,
                          line->utf8_name, NULL, o->error);
  if (!line->utf8_name || (!io && path_is_no_file (o->error)))
    io = path_open_named (o->context->policy, o->link->dir, line->name,
                          NULL, o->error);
  if (!io) {
    error_prefix (o->error, "%s: line %u", o->name, line->line);
    return NULL;
  }

  named = malloc (sizeof *named);
  if (!named) {
    io_unref (io);
    error_nomem (o->error);
    return NULL;
  }
  named->name = line->name;
  named->file = add_file (o, io);
  if (!named->file) {
    free (named);
    return NULL;
  }
  if (!tsearch (named, &o->names, compare_names)) {
    free (named);
    error_nomem (o->error);
    return NULL;
  }
  return named->file;
}

static struct extent *
open_hosted_line (struct opening *o, struct io *io, uint64_t length)
{
  struct hosted_header h;

  if (read_hosted_header (o, io, &h) == -1)
    return NULL;
  if (h.capacity == 0) {
    error_set (o->error, VMDK_ERROR_CORRUPT, EINVAL,
               "%s: the capacity of this extent is 0", io->name);
    return NULL;
  }
  return open_hosted_extent (o, io, &h, length);
}

/* An extent with metadata.  Its magic says what it is, whichever of the
 * words for sparse extents the line has.
 */
static struct extent *
open_sparse_line (struct opening *o, struct line_file *file,
                  uint64_t length)
{
  struct io *io = file->io;
  struct sesparse_header sesparse;
  struct cowd_header cowd;
  enum file_kind kind;

  file->is_sparse = true;
  if (probe_file (io, &kind, o->error) == -1)
    return NULL;
  switch (kind) {
  case FILE_HOSTED:
    return open_hosted_line (o, io, length);
  case FILE_COWD:
    return read_cowd_header (o, io, &cowd) == -1 ? NULL :
      extent_cowd_new (io, &cowd, length, o->context->env, o->error);
  case FILE_SESPARSE:
    return read_sesparse_header (o, io, &sesparse) == -1 ? NULL :
      extent_sesparse_new (io, &sesparse, length, o->context->env,
                           o->error);
  case FILE_UNKNOWN:
    error_set (o->error, VMDK_ERROR_CORRUPT, EINVAL,
               "%s: not a sparse extent: it has no known magic", io->name);
    return NULL;
  default:
    refuse_kind (io, kind, o->error);
    return NULL;
  }
}

/* A pointer to a LUN that only VMFS resolves, unless it was copied with
 * what it points to.  Elsewhere it often looks like a file of the LUN's size
 * in which nothing was ever written.
 */
static int
check_rdm (struct opening *o, struct io *io, const struct extent_line *line)
{
  const uint64_t length = line->sectors * SECTOR_SIZE;
  uint64_t hole;

  if (io->size != length)
    return error_set (o->error, VMDK_ERROR_UNSUPPORTED, ENOTSUP,
                      "%s: maps a LUN: it has %" PRIu64 " bytes and not the "
                      "%" PRIu64 " of the LUN, so it does not hold its "
                      "content", io->name, io->size, length);
  if (!io_is_stored (io, 0, length, &hole) && hole == length)
    return error_set (o->error, VMDK_ERROR_UNSUPPORTED, ENOTSUP,
                      "%s: maps a LUN: nothing is stored in it, so it does "
                      "not hold the content of the LUN", io->name);
  if (!o->said_rdm)
    logger_warn (o->context->env->logger, "%s: maps a LUN, and is taken for a "
                 "copy of its content since it has its size", io->name);
  o->said_rdm = true;
  return 0;
}

struct extent *
open_line (struct opening *o, const struct extent_line *line)
{
  const uint64_t length = line->sectors * SECTOR_SIZE;
  const bool is_sparse = line->type == EXTENT_SPARSE ||
    line->type == EXTENT_VMFSSPARSE || line->type == EXTENT_SESPARSE;
  struct line_file *file;

  if (line->access == ACCESS_NOACCESS)
    return extent_noaccess_new (o->name, line->line, length, o->error);
  if (line->type == EXTENT_ZERO)
    return extent_zero_new (length, o->error);
  if (is_sparse && line->offset != 0) {
    error_set (o->error, VMDK_ERROR_CORRUPT, EINVAL,
               "%s: descriptor line %u: a sparse extent cannot have an "
               "offset", o->name, line->line);
    return NULL;
  }

  file = open_line_file (o, line);
  if (!file)
    return NULL;
  if (file->is_sparse || (is_sparse && file->io->refs > 1)) {
    error_set (o->error, VMDK_ERROR_CORRUPT, EINVAL,
               "%s: named by two extents, one of them sparse",
               file->io->name);
    return NULL;
  }
  if (is_sparse)
    return open_sparse_line (o, file, length);
  if (line->type == EXTENT_VMFSRDM && check_rdm (o, file->io, line) == -1)
    return NULL;
  return extent_flat_new (file->io, line->offset * SECTOR_SIZE, length,
                          o->error);
}
