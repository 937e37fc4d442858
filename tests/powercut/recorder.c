/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder.h"

#define SECTOR 512

void
crash_fail (const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  fputs ("FAILED: ", stderr);
  vfprintf (stderr, fmt, args);
  fputc ('\n', stderr);
  va_end (args);
  exit (1);
}

/* Make room, zeroed, for so many bytes. */
static void
reserve (struct content *c, size_t size)
{
  const size_t room = size + 1024 * 1024;

  if (size <= c->room)
    return;
  c->data = realloc (c->data, room);
  if (!c->data)
    crash_fail ("out of memory");
  memset (c->data + c->room, 0, room - c->room);
  c->room = room;
}

void
folder_load (struct folder_content *f, const char *dir)
{
  DIR *d = opendir (dir);
  struct dirent *e;

  f->nr = 0;
  if (!d)
    crash_fail ("%s: %s", dir, strerror (errno));
  while ((e = readdir (d)) != NULL) {
    struct content *c = &f->files[f->nr];
    char path[PATH_MAX];
    struct stat st;
    int fd;

    snprintf (path, sizeof path, "%s/%s", dir, e->d_name);
    if (stat (path, &st) == -1 || !S_ISREG (st.st_mode))
      continue;
    if (f->nr == MAX_FILES)
      crash_fail ("%s: more than %d files", dir, MAX_FILES);
    *c = (struct content) { .size = (size_t) st.st_size };
    snprintf (c->name, sizeof c->name, "%s", e->d_name);
    reserve (c, c->size);
    fd = open (path, O_RDONLY | O_CLOEXEC);
    if (fd == -1 || read (fd, c->data, c->size) != st.st_size)
      crash_fail ("%s: %s", path, strerror (errno));
    close (fd);
    f->nr++;
  }
  closedir (d);
}

void
folder_save (const struct folder_content *f, const char *dir)
{
  size_t i;

  for (i = 0; i < f->nr; ++i) {
    const struct content *c = &f->files[i];
    char path[PATH_MAX];
    int fd;

    snprintf (path, sizeof path, "%s/%s", dir, c->name);
    fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd == -1 || write (fd, c->data, c->size) != (ssize_t) c->size)
      crash_fail ("%s: %s", path, strerror (errno));
    close (fd);
  }
}

void
folder_copy (struct folder_content *to, const struct folder_content *from)
{
  size_t i;

  to->nr = from->nr;
  for (i = 0; i < from->nr; ++i) {
    to->files[i] = from->files[i];
    to->files[i].data = NULL;
    to->files[i].room = 0;
    reserve (&to->files[i], from->files[i].size);
    memcpy (to->files[i].data, from->files[i].data, from->files[i].size);
  }
}

void
folder_free (struct folder_content *f)
{
  while (f->nr > 0)
    free (f->files[--f->nr].data);
}

struct recorded {
  struct io io;
  struct io *below;
  struct recorder *r;
  size_t file;
};

static struct recorded *
recorded_of (struct io *io)
{
  return (struct recorded *) io;
}

/* Is it this call's turn to fail?  Locked. */
static bool
fails (struct recorder *r)
{
  r->calls++;
  if (r->fail_at < 0 || r->fail_at-- > 0)
    return false;
  return true;
}

static int
fault_error (const struct io *io, const struct recorder *r,
             struct vmdk_error *error)
{
  return error_sys (error, r->fault == FAULT_ENOSPC ? ENOSPC : EIO,
                    "%s: a fault that was asked for", io->name);
}

/* Locked. */
static void
add_event (struct recorded *io, enum event_kind kind, const void *data,
           size_t count, uint64_t offset, size_t synced)
{
  struct recorder *r = io->r;
  struct event *e;

  if (r->nr == r->room) {
    r->room = r->room * 2 + 256;
    r->events = reallocarray (r->events, r->room, sizeof *r->events);
    if (!r->events)
      crash_fail ("out of memory");
  }
  e = &r->events[r->nr++];
  *e = (struct event) {
    .kind = kind, .file = io->file, .offset = offset, .count = count,
    .synced = synced, .time = recorder_time (r),
  };
  if (data) {
    e->data = malloc (count);
    if (!e->data)
      crash_fail ("out of memory");
    memcpy (e->data, data, count);
  }
}

static int
recorded_pread (struct io *io, void *buf, size_t count, uint64_t offset,
                struct vmdk_error *error)
{
  struct recorded *f = recorded_of (io);
  bool bad = false;

  if (f->r->reads_count) {
    pthread_mutex_lock (&f->r->lock);
    bad = fails (f->r);
    pthread_mutex_unlock (&f->r->lock);
  }
  return bad ? fault_error (io, f->r, error) :
    io_pread (f->below, buf, count, offset, error);
}

static bool
recorded_is_stored (struct io *io, uint64_t offset, uint64_t count,
                    uint64_t *length)
{
  return io_is_stored (recorded_of (io)->below, offset, count, length);
}

static void
recorded_prefetch (struct io *io, uint64_t offset, uint64_t count)
{
  io_prefetch (recorded_of (io)->below, offset, count);
}

/* The order of events is that of what really happens, so writes are done
 * with the lock held.
 */
static int
recorded_pwrite (struct io *io, const void *buf, size_t count,
                 uint64_t offset, struct vmdk_error *error)
{
  struct recorded *f = recorded_of (io);
  size_t written = count;
  int r = 0;

  pthread_mutex_lock (&f->r->lock);
  if (fails (f->r)) {
    f->r->must_report = true;
    written = f->r->fault == FAULT_SHORT && count > SECTOR ?
      (size_t) ((offset + count / 2) / SECTOR * SECTOR - offset) : 0;
    if (written > count)
      written = 0;
    r = fault_error (io, f->r, error);
  }
  if (written > 0) {
    struct vmdk_error other;

    if (io_pwrite (f->below, buf, written, offset, &other) == -1)
      crash_fail ("%s", other.message);
    add_event (f, EVENT_WRITE, buf, written, offset, 0);
    io->size = f->below->size;
  }
  pthread_mutex_unlock (&f->r->lock);
  return r;
}

static int
recorded_punch (struct io *io, uint64_t offset, uint64_t count,
                struct vmdk_error *error)
{
  struct recorded *f = recorded_of (io);
  int r;

  pthread_mutex_lock (&f->r->lock);
  r = fails (f->r) ? fault_error (io, f->r, error) :
    io_punch (f->below, offset, count, error);
  if (r == 1)
    add_event (f, EVENT_WRITE, NULL, (size_t) count, offset, 0);
  pthread_mutex_unlock (&f->r->lock);
  return r;
}

static int
recorded_truncate (struct io *io, uint64_t size, struct vmdk_error *error)
{
  struct recorded *f = recorded_of (io);
  int r;

  pthread_mutex_lock (&f->r->lock);
  if (fails (f->r)) {
    f->r->must_report = true;
    r = fault_error (io, f->r, error);
  }
  else
    r = io_truncate (f->below, size, error);
  if (r == 0)
    add_event (f, EVENT_TRUNCATE, NULL, 0, size, 0);
  io->size = f->below->size;
  pthread_mutex_unlock (&f->r->lock);
  return r;
}

/* Nothing is really synced.  Others may write while it is going on. */
static int
recorded_sync (struct io *io, struct vmdk_error *error)
{
  struct recorded *f = recorded_of (io);
  size_t before;
  int r;

  pthread_mutex_lock (&f->r->lock);
  before = f->r->nr;
  pthread_mutex_unlock (&f->r->lock);
  usleep (20);
  pthread_mutex_lock (&f->r->lock);
  if (fails (f->r)) {
    f->r->must_report = true;
    r = fault_error (io, f->r, error);
  }
  else
    r = 0;
  if (r == 0)
    add_event (f, EVENT_SYNC, NULL, 0, 0, before);
  pthread_mutex_unlock (&f->r->lock);
  return r;
}

static void
recorded_close (struct io *io)
{
  io_unref (recorded_of (io)->below);
  free (io->name);
  free (io);
}

static const struct io_ops recorded_ops = {
  .pread = recorded_pread,
  .is_stored = recorded_is_stored,
  .prefetch = recorded_prefetch,
  .pwrite = recorded_pwrite,
  .punch = recorded_punch,
  .truncate = recorded_truncate,
  .sync = recorded_sync,
  .close = recorded_close,
};

static struct io *
wrap (void *opaque, struct io *below, struct vmdk_error *error)
{
  struct recorder *r = opaque;
  struct recorded *f = calloc (1, sizeof *f);

  (void) error;
  if (!f)
    crash_fail ("out of memory");
  f->io.ops = &recorded_ops;
  f->io.name = strdup (below->name);
  f->io.size = below->size;
  f->io.writable = below->writable;
  f->io.dev = below->dev;
  f->io.ino = below->ino;
  f->io.refs = 1;
  f->below = below;
  f->r = r;
  while (strcmp (r->files->files[f->file].name, below->name) != 0)
    if (++f->file == r->files->nr)
      crash_fail ("%s was not there before", below->name);
  return &f->io;
}

void
recorder_init (struct recorder *r, struct folder_content *files)
{
  *r = (struct recorder) { .files = files, .fail_at = -1 };
  r->hook.wrap = wrap;
  r->hook.opaque = r;
  pthread_mutex_init (&r->lock, NULL);
  atomic_init (&r->clock, 1);
}

void
recorder_destroy (struct recorder *r)
{
  size_t i;

  for (i = 0; i < r->nr; ++i)
    free (r->events[i].data);
  free (r->events);
  pthread_mutex_destroy (&r->lock);
}

uint64_t
recorder_time (struct recorder *r)
{
  return atomic_fetch_add (&r->clock, 1);
}

/* Do the part of a write that is in [from, to). */
static void
apply (const struct event *e, struct content *c, uint64_t from, uint64_t to)
{
  const uint64_t start = e->offset > from ? e->offset : from;
  const uint64_t end = e->offset + e->count < to ? e->offset + e->count : to;

  if (start >= end)
    return;
  reserve (c, (size_t) end);
  if (e->data)
    memcpy (c->data + start, e->data + (start - e->offset), end - start);
  else
    memset (c->data + start, 0, end - start);
}

static void
set_size (struct content *c, size_t size)
{
  reserve (c, size);
  if (size < c->size)
    memset (c->data + size, 0, c->size - size);
  c->size = size;
}

/* What an event makes of the size of its file. */
static size_t
size_after (const struct event *e, size_t size)
{
  if (e->kind == EVENT_TRUNCATE)
    return (size_t) e->offset;
  return e->data && e->offset + e->count > size ?
    (size_t) (e->offset + e->count) : size;
}

/* One file: its events up to 'durable' have happened, and of those up to
 * 'cut' each sector has seen a part.
 */
static void
cut_file (const struct recorder *r, size_t file, size_t durable, size_t cut,
          unsigned bias, uint64_t *random, struct content *c)
{
  size_t size, i, last = 0;
  uint64_t sector;

  for (i = 0; i < durable; ++i) {
    const struct event *e = &r->events[i];

    if (e->file != file || e->kind == EVENT_SYNC)
      continue;
    if (e->kind == EVENT_WRITE)
      apply (e, c, 0, UINT64_MAX);
    set_size (c, size_after (e, c->size));
  }
  for (i = durable; i < cut; ++i) {
    const struct event *e = &r->events[i];

    if (e->file == file && e->kind == EVENT_WRITE &&
        e->offset + e->count > last)
      last = (size_t) (e->offset + e->count);
  }
  size = c->size;
  for (sector = 0; sector * SECTOR < last; ++sector) {
    const uint64_t from = sector * SECTOR;
    const bool all = crash_random (random) % 100 < bias;

    for (i = durable; i < cut; ++i) {
      const struct event *e = &r->events[i];

      if (e->file != file || e->kind != EVENT_WRITE ||
          e->offset >= from + SECTOR || e->offset + e->count <= from)
        continue;
      /* The sector reached the disk before this write, or not at all. */
      if (!all && crash_random (random) % 2)
        break;
      apply (e, c, from, from + SECTOR);
    }
  }
  for (i = durable; i < cut; ++i) {
    const struct event *e = &r->events[i];

    if (e->file != file || e->kind == EVENT_SYNC)
      continue;
    if (crash_random (random) % 100 >= bias && crash_random (random) % 8 == 0)
      break;
    size = size_after (e, size);
  }

  /* What was written behind the size that reached the disk is not there. */
  reserve (c, size);
  if (last > size)
    memset (c->data + size, 0, last - size);
  c->size = size;
}

void
recorder_cut (const struct recorder *r, size_t cut, unsigned bias,
              uint64_t *random, struct folder_content *f)
{
  size_t file, i;

  for (file = 0; file < f->nr; ++file) {
    size_t durable = 0;

    for (i = 0; i < cut; ++i)
      if (r->events[i].kind == EVENT_SYNC && r->events[i].file == file)
        durable = r->events[i].synced;
    cut_file (r, file, durable, cut, bias, random, &f->files[file]);
  }
}
