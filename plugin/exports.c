/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>
#include <fnmatch.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapt.h"
#include "exports.h"
#include "params.h"

/* So many names nbdkit sends to a client. */
#define MAX_LISTED 10000

/* Clients may disconnect with requests under way, which are to be done all the
 * same, unless they take longer than so many seconds.
 */
#define PATIENCE 10

/* A disk that is open, or being opened or closed. */
struct export {
  char *name;                   /* NULL: the disk that file= names */
  struct export *next;
  unsigned users;               /* who know of it; under exports_lock */

  /* Held while the disk is opened or closed, or begins or ends to be written,
   * which may take long.
   */
  pthread_mutex_t lock;
  struct vmdk_image *image;     /* NULL if it is not open */
  bool is_kept;                 /* without connections too */
  unsigned nr_connections;

  /* Connections that may write, and what came of the attempt to let the first
   * of them: the disk is written while there is one.
   */
  unsigned nr_writers;
  bool can_write;
  char why_read_only[sizeof ((struct vmdk_error *) 0)->message];
};

/* Held for a look-up only, and never while a lock of an export is waited
 * for.
 */
static pthread_mutex_t exports_lock = PTHREAD_MUTEX_INITIALIZER;
static struct export *exports;

/* NULL if file= names one disk. */
static struct vmdk_disks *disks;

/* What all disks together may use. */
static struct vmdk_memory *memory;

static struct vmdk_options
open_options (bool writable)
{
  return (struct vmdk_options) {
    .allow_dirs = (const char *const *) params.allow_dirs,
    .nr_allow_dirs = params.nr_allow_dirs,
    .memory = memory,
    .cache_size = params.cache_size,
    .single_link = params.single_link,
    .parent = params.parent,
    .ignore_cid = params.ignore_cid,
    .salvage = params.salvage,
    .unbuffered = params.unbuffered,
    .writable = writable,
    .log = adapt_log,
    .interrupted = adapt_interrupted,
    .patience = PATIENCE,
    .trace = adapt_trace (),
  };
}

/* Find the export, or add it, for one more user. */
static struct export *
get_export (const char *name)
{
  struct export *e;

  pthread_mutex_lock (&exports_lock);
  for (e = exports; e; e = e->next)
    if (!e->name || strcmp (e->name, name) == 0)
      break;
  if (!e && (e = calloc (1, sizeof *e)) != NULL) {
    e->name = strdup (name);
    if (e->name) {
      pthread_mutex_init (&e->lock, NULL);
      e->next = exports;
      exports = e;
    }
    else {
      free (e);
      e = NULL;
    }
  }
  if (e)
    e->users++;
  else
    nbdkit_error ("out of memory");
  pthread_mutex_unlock (&exports_lock);
  return e;
}

static void
put_export (struct export *export)
{
  struct export **e = &exports;

  pthread_mutex_lock (&exports_lock);
  if (--export->users == 0) {
    while (*e != export)
      e = &(*e)->next;
    *e = export->next;
    pthread_mutex_destroy (&export->lock);
    free (export->name);
    free (export);
  }
  pthread_mutex_unlock (&exports_lock);
}

/* Open the one disk that file= names.  Whether there is a -r is told with the
 * first client only, when it would be too late to open files for writing: the
 * server may have changed its user by then, and not be able to.  So they are
 * opened for writing if that is permitted, but under -r nothing is ever
 * written to them.
 */
static int
open_file (void)
{
  const struct vmdk_options options = open_options (true);
  const struct vmdk_create_options create = {
    .size = params.create_size,
    .type = params.create_type,
    .adapter_type = params.create_adapter_type,
    .hwversion = params.create_hwversion,
    .parent = params.create_parent,
    .compress_level = params.create_compress_level,
  };
  struct vmdk_error error;

  exports = calloc (1, sizeof *exports);
  if (!exports) {
    nbdkit_error ("calloc: %m");
    return -1;
  }
  pthread_mutex_init (&exports->lock, NULL);
  exports->users = 1;
  exports->is_kept = true;
  exports->image = params.create ?
    vmdk_create (params.file, &create, &options, &error) :
    vmdk_open (params.file, &options, &error);
  return exports->image ? 0 : adapt_error (&error);
}

int
exports_ready (void)
{
  struct vmdk_options options;
  struct vmdk_error error;

  if (!params_has_many ())
    return open_file ();
  memory = vmdk_memory_new (params.cache_size);
  if (!memory) {
    nbdkit_error ("out of memory");
    return -1;
  }
  options = open_options (false);
  disks = params.dir ?
    vmdk_disks_in_folder (params.dir, &options, &error) :
    vmdk_disks_of_machine (params.file, &options, &error);
  return disks ? 0 : adapt_error (&error);
}

void
exports_free (void)
{
  while (exports) {
    vmdk_close (exports->image);
    exports->image = NULL;
    put_export (exports);
  }
  vmdk_disks_close (disks);
  vmdk_memory_free (memory);
}

static bool
is_exported (const char *name)
{
  return !params.export || fnmatch (params.export, name, 0) == 0;
}

/* A list that is being made. */
struct listing {
  struct nbdkit_exports *exports;
  size_t nr;
};

static int
list_one (void *opaque, const char *name, const char *type)
{
  struct listing *listing = opaque;
  char text[128] = "VMDK";

  if (!is_exported (name))
    return 0;
  if (++listing->nr > MAX_LISTED) {
    nbdkit_error ("there are more than %d disks, which is as many as can be "
                  "listed; export=PATTERN would select some", MAX_LISTED);
    return -1;
  }
  if (type)
    snprintf (text, sizeof text, "VMDK %s", type);
  return nbdkit_add_export (listing->exports, name, text);
}

/* Report a failure of the core to list disks, unless the callback did. */
static int
list (vmdk_disks_callback *callback, void *opaque)
{
  struct vmdk_error error = { .kind = VMDK_ERROR_NONE };

  if (vmdk_disks_list (disks, callback, opaque, &error) == 0)
    return 0;
  return error.kind == VMDK_ERROR_NONE ? -1 : adapt_error (&error);
}

int
exports_list (int readonly, int is_tls, struct nbdkit_exports *result)
{
  struct listing listing = { .exports = result };

  return disks ? list (list_one, &listing) :
    nbdkit_use_default_export (result);
}

/* The first of the names, and how many there are. */
struct single {
  char *name;
  size_t nr;
};

static int
count_one (void *opaque, const char *name, const char *type)
{
  struct single *single = opaque;

  if (is_exported (name) && ++single->nr == 1) {
    single->name = strdup (name);
    if (!single->name) {
      nbdkit_error ("strdup: %m");
      return -1;
    }
  }
  return 0;
}

const char *
exports_default (int readonly, int is_tls)
{
  struct single single = { .name = NULL };
  const char *r = NULL;

  if (!disks)
    return "";
  if (list (count_one, &single) == 0) {
    if (single.nr == 1)
      r = nbdkit_strdup_intern (single.name);
    else if (single.nr == 0)
      nbdkit_error ("there is no disk to serve%s",
                    params.export ? " whose name matches export=" : "");
    else
      nbdkit_error ("there are %zu disks to serve: the client must give the "
                    "name of one as the name of the export", single.nr);
  }
  free (single.name);
  return r;
}

/* Open the disk, for the first connection.  Locked. */
static int
open_disk (struct export *e, bool readonly)
{
  const struct vmdk_options options = open_options (!readonly);
  struct vmdk_error error;

  if (!is_exported (e->name)) {
    nbdkit_error ("the name of the export does not match export=%s",
                  params.export);
    errno = ENOENT;
    return -1;
  }
  e->image = vmdk_disks_open (disks, e->name, &options, &error);
  return e->image ? 0 : adapt_error (&error);
}

/* Whether there is a -r is not known before, so that it is here that an
 * image that others use is refused, as is who does not wait until it has been
 * checked.  What cannot be written for another reason is served read-only.
 * Locked.
 */
static int
add_writer (struct export *e)
{
  struct vmdk_error error;

  if (e->nr_writers == 0) {
    e->can_write = vmdk_begin_writing (e->image, &error) == 0;
    if (!e->can_write && (error.kind == VMDK_ERROR_BUSY ||
                          error.kind == VMDK_ERROR_INTERRUPTED))
      return adapt_error (&error);
    if (!e->can_write && strcmp (e->why_read_only, error.message) != 0) {
      snprintf (e->why_read_only, sizeof e->why_read_only, "%s",
                error.message);
      nbdkit_error ("warning: served read-only: %s", error.message);
    }
  }
  e->nr_writers++;
  return 0;
}

/* Locked. */
static void
remove_writer (struct export *e)
{
  struct vmdk_error error;

  if (--e->nr_writers == 0 && e->can_write &&
      vmdk_end_writing (e->image, &error) == -1)
    nbdkit_error ("%s", error.message);
}

/* A disk that has lost data is not opened again, for that would show nothing of
 * it: the client that comes back would flush with success what is not there.
 * Locked, by a user of the export.
 */
static void
keep_failed (struct export *e)
{
  if (e->is_kept || !e->image || !vmdk_has_failed (e->image))
    return;
  e->is_kept = true;
  pthread_mutex_lock (&exports_lock);
  e->users++;
  pthread_mutex_unlock (&exports_lock);
}

/* Locked, by a user of the export. */
static void
close_if_idle (struct export *e)
{
  if (e->nr_connections > 0)
    return;
  keep_failed (e);
  if (!e->is_kept) {
    vmdk_close (e->image);
    e->image = NULL;
  }
}

/* Lock the export.  Of those who wait while one opens the disk, or looks at
 * its tables, not each is to do that again, for as long, when its client has
 * gone or the server is to end: -1, and nothing is locked.
 */
static int
lock_export (struct export *e)
{
  if (pthread_mutex_trylock (&e->lock) == 0)
    return 0;
  pthread_mutex_lock (&e->lock);
  if (!adapt_interrupted (NULL))
    return 0;
  pthread_mutex_unlock (&e->lock);
  return -1;
}

struct connection *
exports_connect (bool readonly)
{
  const char *name = nbdkit_export_name ();
  struct connection *c;
  struct export *e;
  int r = 0;

  if (!name)
    return NULL;
  c = calloc (1, sizeof *c);
  if (!c) {
    nbdkit_error ("calloc: %m");
    return NULL;
  }
  e = get_export (name);
  if (!e) {
    free (c);
    return NULL;
  }

  if (lock_export (e) == -1) {
    put_export (e);
    free (c);
    return NULL;
  }
  if (!e->image)
    r = open_disk (e, readonly);
  if (r == 0 && !readonly)
    r = add_writer (e);
  if (r == 0) {
    e->nr_connections++;
    *c = (struct connection) {
      .image = e->image, .export = e, .may_write = !readonly,
    };
  }
  else {
    const int err = errno;

    close_if_idle (e);
    errno = err;
  }
  pthread_mutex_unlock (&e->lock);

  if (r == 0)
    return c;
  put_export (e);
  free (c);
  return NULL;
}

/* What a client has written is published when it goes, though others stay.
 * Locked, and not meanwhile: all who were there then may have gone when it is
 * locked again, or others come.
 */
static void
publish (struct export *e)
{
  struct vmdk_error error;

  pthread_mutex_unlock (&e->lock);
  if (vmdk_flush (e->image, &error) == -1)
    nbdkit_error ("%s", error.message);
  pthread_mutex_lock (&e->lock);
}

void
exports_disconnect (struct connection *c)
{
  struct export *e = c->export;

  pthread_mutex_lock (&e->lock);
  if (c->may_write) {
    if (e->can_write && e->nr_writers > 1)
      publish (e);
    remove_writer (e);
  }
  e->nr_connections--;
  close_if_idle (e);
  pthread_mutex_unlock (&e->lock);
  put_export (e);
  free (c);
}

bool
exports_can_write (const struct connection *c, char *why_not, size_t size)
{
  struct export *e = c->export;
  bool r;

  why_not[0] = '\0';
  if (!c->may_write)
    return false;
  pthread_mutex_lock (&e->lock);
  r = e->can_write;
  if (!r)
    snprintf (why_not, size, "%s", e->why_read_only);
  pthread_mutex_unlock (&e->lock);
  return r;
}
