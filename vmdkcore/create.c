/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Making the files of a new disk.  Those of the extents come first, then the
 * one that the user named, and in that the header comes last: until it is
 * there nobody takes the file for a disk.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "bytes.h"
#include "create.h"
#include "create-text.h"
#include "header.h"
#include "stream-write.h"

#define GRAIN_SIZE UINT64_C (128) /* sectors */
#define TABLE_ENTRIES 512
#define TABLE_SIZE UINT64_C (4) /* sectors */

/* As VMware reserves for an embedded descriptor, in sectors. */
#define DESCRIPTOR_SECTORS UINT64_C (20)

#define COWD_GD_OFFSET UINT32_C (4)
#define COWD_TABLE_ENTRIES 4096

struct creation {
  struct create_text text;
  char *descriptor;
  int dir;                      /* the folder */
  char *parent;                 /* its path, free of links */
  char *hint;                   /* of the parent, if it is not that path */
  const struct io_hook *hook;
  struct vmdk_error *error;

  /* Files that have been made, so that they can be removed. */
  char **names;
  size_t nr_names;
};

static int
open_folder (struct creation *c, const char *path)
{
  const char *slash = strrchr (path, '/');
  char *folder;

  c->text.file = slash ? slash + 1 : path;
  if (c->text.file[0] == '\0')
    return error_set (c->error, VMDK_ERROR_INVALID, EISDIR,
                      "%s: names a folder, not a disk", path);
  folder = !slash ? strdup (".") : slash == path ? strdup ("/") :
    strndup (path, (size_t) (slash - path));
  if (!folder)
    return error_nomem (c->error);
  c->dir = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (c->dir == -1)
    error_sys (c->error, errno, "open: folder %s", folder);
  free (folder);
  return c->dir == -1 ? -1 : 0;
}

/* QEMU takes a word before a colon for a protocol, unless there is a slash
 * before it.
 */
static int
make_hint_relative (struct creation *c, const char *name)
{
  const bool like_protocol = name[strcspn (name, ":/")] == ':';
  char *hint;

  if (asprintf (&hint, "%s%s", like_protocol ? "./" : "", name) == -1)
    return error_nomem (c->error);
  c->hint = hint;
  return 0;
}

/* Where the child will find its parent: the part behind its own folder, if
 * it is in there, else all of the path.
 */
static int
find_hint (struct creation *c)
{
  char folder[PATH_MAX];
  size_t len;

  if (path_of_fd (c->dir, folder) == -1)
    return error_sys (c->error, errno, "the folder of %s", c->text.file);
  len = strlen (folder);
  if (len > 0 && folder[len - 1] == '/')
    len--;
  if (strncmp (c->parent, folder, len) == 0 && c->parent[len] == '/' &&
      make_hint_relative (c, c->parent + len + 1) == -1)
    return -1;
  c->text.parent_hint = c->hint ? c->hint : c->parent;
  return create_check_name (c->text.parent_hint, "the parent", c->error);
}

/* See that the parent can be read, and take over what a child must say of
 * it.  It is opened by the path that the child will find it by: what a
 * descriptor names is looked for beside a symbolic link that a user gives, and
 * might be something else there.
 */
static int
look_at_parent (struct creation *c, const char *parent,
                const struct vmdk_options *options)
{
  struct vmdk_options read_only = *options;
  struct vmdk_image *image;
  const struct link *link;
  int r = -1;

  read_only.writable = read_only.single_link = false;
  read_only.parent = NULL;
  if (!c->text.kind->may_have_parent)
    return error_set (c->error, VMDK_ERROR_INVALID, EINVAL,
                      "a disk of the type %s cannot have a parent",
                      c->text.kind->name);
  c->parent = realpath (parent, NULL);
  if (!c->parent)
    return error_sys (c->error, errno, "realpath: %s", parent);
  image = image_open (c->parent, &read_only, NULL, c->error);
  if (!image)
    return -1;
  link = image_top_link (image);
  if (c->text.size != 0 && c->text.size != link->size)
    error_set (c->error, VMDK_ERROR_INVALID, EINVAL,
               "the size of a child must be that of its parent %s, which is "
               "%" PRIu64 " bytes", link->name, link->size);
  else if (!link->has_cid)
    error_set (c->error, VMDK_ERROR_INVALID, EINVAL,
               "%s: has no CID, and so cannot be a parent", link->name);
  else if (link->cid == DESCRIPTOR_NO_PARENT)
    error_set (c->error, VMDK_ERROR_INVALID, EINVAL,
               "%s: has the CID %08" PRIx32 ", by which a child says that it "
               "has no parent, and so cannot be one", link->name, link->cid);
  /* The content ID, and what belongs to it, may just have been written. */
  else if (chain_sync_inherited (&image->chain, 0, c->error) == 0) {
    c->text.size = link->size;
    c->text.has_parent = true;
    c->text.parent_cid = link->cid;
    r = find_hint (c);
  }
  vmdk_close (image);
  return r;
}

/* Make a file, which must not exist. */
static struct io *
new_file (struct creation *c, const char *name)
{
  char **names = reallocarray (c->names, c->nr_names + 1, sizeof *names);
  char *copy;
  struct io *io;
  int fd;

  if (!names) {
    error_nomem (c->error);
    return NULL;
  }
  c->names = names;
  copy = strdup (name);
  if (!copy) {
    error_nomem (c->error);
    return NULL;
  }
  fd = openat (c->dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd == -1) {
    if (errno == EEXIST)
      error_set (c->error, VMDK_ERROR_INVALID, EEXIST,
                 "%s: exists already, and is not overwritten", name);
    else
      error_sys (c->error, errno, "open: %s", name);
    free (copy);
    return NULL;
  }
  c->names[c->nr_names++] = copy;
  io = io_file_new (fd, true, name, c->error);
  return io && c->hook ? c->hook->wrap (c->hook->opaque, io, c->error) : io;
}

/* Write one directory, whose tables follow it. */
static int
write_directory (struct io *io, uint64_t sector, uint64_t directory_size,
                 uint64_t nr_tables, struct vmdk_error *error)
{
  const size_t size = (size_t) (directory_size * SECTOR_SIZE);
  uint8_t *directory = calloc (1, size);
  uint64_t i;
  int r;

  if (!directory)
    return error_nomem (error);
  for (i = 0; i < nr_tables; ++i)
    store_le32 (directory + 4 * i,
                (uint32_t) (sector + directory_size + i * TABLE_SIZE));
  r = io_pwrite (io, directory, size, sector * SECTOR_SIZE, error);
  free (directory);
  return r;
}

/* Header, descriptor, directories and tables, in the order that VMware's tools
 * have.  'descriptor' is NULL if there is none in it.
 */
static int
write_sparse (struct io *io, uint64_t size, const char *descriptor,
              struct vmdk_error *error)
{
  const uint64_t len = descriptor ? strlen (descriptor) : 0;
  struct hosted_header h = {
    .version = 1, .flags = HOSTED_NEWLINE_TEST | HOSTED_REDUNDANT,
    .capacity = size / SECTOR_SIZE, .grain_size = GRAIN_SIZE,
    .descriptor_offset = descriptor ? 1 : 0,
    .descriptor_size = descriptor ?
      max_u64 (div_up (len, SECTOR_SIZE), DESCRIPTOR_SECTORS) : 0,
    .entries_per_table = TABLE_ENTRIES,
  };
  const uint64_t nr_tables = hosted_nr_tables (&h);
  const uint64_t directory = div_up (nr_tables * 4, SECTOR_SIZE);
  const uint64_t tables = nr_tables * TABLE_SIZE;
  uint8_t header[HOSTED_HEADER_SIZE];

  h.rgd_offset = 1 + h.descriptor_size;
  h.gd_offset = h.rgd_offset + directory + tables;
  h.overhead = div_up (h.gd_offset + directory + tables, GRAIN_SIZE) *
    GRAIN_SIZE;
  hosted_encode (&h, header);
  if (io_truncate (io, h.overhead * SECTOR_SIZE, error) == -1 ||
      write_directory (io, h.rgd_offset, directory, nr_tables, error) == -1 ||
      write_directory (io, h.gd_offset, directory, nr_tables, error) == -1 ||
      (len > 0 &&
       io_pwrite (io, descriptor, len, SECTOR_SIZE, error) == -1) ||
      io_sync (io, error) == -1)
    return -1;
  return io_pwrite (io, header, sizeof header, 0, error);
}

/* Header, directory and no tables, as ESX 3 makes it. */
static int
write_cowd (struct io *io, uint64_t size, struct vmdk_error *error)
{
  const struct cowd_header h = {
    .version = 1, .capacity = (uint32_t) (size / SECTOR_SIZE),
    .grain_size = 1, .gd_offset = COWD_GD_OFFSET,
    .nr_tables = (uint32_t) div_up (size / SECTOR_SIZE, COWD_TABLE_ENTRIES),
  };
  const uint64_t directory =
    div_up (h.nr_tables * UINT64_C (4), SECTOR_SIZE);
  uint8_t header[COWD_HEADER_SIZE];

  cowd_encode (&h, header);
  return io_truncate (io, (COWD_GD_OFFSET + directory) * SECTOR_SIZE,
                      error) == -1 ? -1 :
    io_pwrite (io, header, sizeof header, 0, error);
}

static int
write_extent (struct io *io, const struct create_text *t, uint64_t size,
              struct vmdk_error *error)
{
  switch (t->kind->layout) {
  case CREATE_SPARSE:
    return write_sparse (io, size, NULL, error);
  case CREATE_COWD:
    return write_cowd (io, size, error);
  default:
    return io_truncate (io, size, error);
  }
}

static int
make_extent (struct creation *c, unsigned number)
{
  char *name = create_extent_name (&c->text, number);
  struct io *io;
  int r = -1;

  if (!name)
    return error_nomem (c->error);
  io = new_file (c, name);
  free (name);
  if (!io)
    return -1;
  if (write_extent (io, &c->text, create_extent_size (&c->text, number),
                    c->error) == 0)
    r = io_sync (io, c->error);
  io_unref (io);
  return r;
}

/* The file that the user named. */
static int
make_file (struct creation *c)
{
  const bool embedded = !c->text.kind->suffix;
  struct io *io = new_file (c, c->text.file);
  int r;

  if (!io)
    return -1;
  r = embedded ?
    write_sparse (io, c->text.size, c->descriptor, c->error) :
    io_pwrite (io, c->descriptor, strlen (c->descriptor), 0, c->error);
  if (r == 0)
    r = io_sync (io, c->error);
  io_unref (io);
  return r;
}

/* QEMU takes one byte less than is read here. */
#define MAX_DESCRIPTOR (DESCRIPTOR_MAX_SIZE - 1)

static int
make_files (struct creation *c)
{
  const unsigned nr =
    c->text.kind->suffix ? create_nr_extents (&c->text) : 0;
  unsigned i;

  /* Before anything else: this is the name that users know. */
  if (faccessat (c->dir, c->text.file, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
    return error_set (c->error, VMDK_ERROR_INVALID, EEXIST,
                      "%s: exists already, and is not overwritten",
                      c->text.file);
  for (i = 0; i < nr; ++i)
    if (make_extent (c, i) == -1)
      return -1;
  if (make_file (c) == -1)
    return -1;
  return io_fsync_folder (c->dir) == -1 ?
    error_sys (c->error, errno, "fsync: the folder of %s", c->text.file) : 0;
}

static int
make_descriptor (struct creation *c)
{
  c->descriptor = create_descriptor (&c->text);
  if (!c->descriptor)
    return error_nomem (c->error);
  if (strlen (c->descriptor) > MAX_DESCRIPTOR)
    return error_set (c->error, VMDK_ERROR_INVALID, EINVAL,
                      "%s: the descriptor would have %zu bytes, and can have "
                      "at most %d; the name must be shorter, or the disk "
                      "smaller", c->text.file, strlen (c->descriptor),
                      MAX_DESCRIPTOR);
  return 0;
}

/* Check what the user wants, and find out the rest. */
static int
prepare (struct creation *c, const char *path,
         const struct vmdk_create_options *create,
         const struct vmdk_options *options)
{
  struct create_text *t = &c->text;

  t->kind = create_find_kind (create->type, c->error);
  t->adapter = create_find_adapter (create->adapter_type, c->error);
  if (!t->kind || !t->adapter ||
      create_find_hwversion (create->hwversion, &t->hwversion,
                             c->error) == -1)
    return -1;
  if (t->kind->layout != CREATE_STREAM && create->compress_level != 0)
    return error_set (c->error, VMDK_ERROR_INVALID, EINVAL,
                      "a disk of the type %s is not compressed, so "
                      "create-compress-level= has no meaning",
                      t->kind->name);
  if (create->parent && !create->adapter_type)
    t->adapter = NULL;
  if (create->parent && !create->hwversion)
    t->hwversion = 0;
  t->size = create->size;
  if (open_folder (c, path) == -1 ||
      create_check_name (t->file, "the new disk", c->error) == -1 ||
      (create->parent && look_at_parent (c, create->parent, options) == -1) ||
      create_check_size (t->kind, t->size, c->error) == -1)
    return -1;
  if (getrandom (t->id, sizeof t->id, 0) != sizeof t->id ||
      getrandom (t->uuid, sizeof t->uuid, 0) != sizeof t->uuid)
    return error_sys (c->error, errno, "getrandom");
  create_fit_ids (t);
  return make_descriptor (c);
}

static void
finish (struct creation *c, bool failed)
{
  size_t i;

  for (i = 0; i < c->nr_names; ++i) {
    if (failed)
      (void) unlinkat (c->dir, c->names[i], 0);
    free (c->names[i]);
  }
  free (c->names);
  free (c->descriptor);
  free (c->parent);
  free (c->hint);
  if (c->dir != -1)
    close (c->dir);
}

/* A stream is made by what writes it, and appears in the end. */
static struct vmdk_image *
make_stream (struct creation *c, const char *path,
             const struct vmdk_create_options *create,
             const struct vmdk_options *options)
{
  const struct stream_create_options o = {
    .path = path, .size = c->text.size, .descriptor = c->descriptor,
    .compress_level = (int) create->compress_level,
    .memory = options->cache_size,
    .logger = logger_of (options),
    .hook = c->hook,
  };

  return stream_create (&o, c->error);
}

struct vmdk_image *
image_create (const char *path, const struct vmdk_create_options *create,
              const struct vmdk_options *options, const struct io_hook *hook,
              struct vmdk_error *error)
{
  struct creation c = { .dir = -1, .hook = hook, .error = error };
  struct vmdk_options with_parent = *options;
  struct vmdk_image *image = NULL;

  if (prepare (&c, path, create, options) == 0) {
    /* The user named the parent, so it may lie anywhere this time. */
    with_parent.parent = c.parent;
    if (c.text.kind->layout == CREATE_STREAM)
      image = make_stream (&c, path, create, options);
    else if (make_files (&c) == 0)
      image = image_open (path, &with_parent, hook, error);
  }
  finish (&c, !image);
  return image;
}

struct vmdk_image *
vmdk_create (const char *path, const struct vmdk_create_options *create,
             const struct vmdk_options *options, struct vmdk_error *error)
{
  return image_create (path, create, options, NULL, error);
}
