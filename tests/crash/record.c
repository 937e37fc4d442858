/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "record.h"
#include "util.h"

/* A sync takes up to so many microseconds, and so does one call of eight
 * before or after its work, so that threads meet in many ways.
 */
#define SYNC_TIME 60

/* Up to so many bytes something is noted, more are for data or tables. */
#define SMALL 64

struct rec_io {
  struct io io;
  struct io *inner;
  struct record *rec;
  size_t file;
};

void
record_init (struct record *rec, uint64_t seed)
{
  *rec = (struct record) { .random = seed, .first_hit = UINT64_MAX };
  pthread_mutex_init (&rec->lock, NULL);
}

void
record_free (struct record *rec)
{
  size_t i;

  for (i = 0; i < rec->nr; ++i)
    free (rec->events[i].data);
  free (rec->events);
  for (i = 0; i < rec->nr_files; ++i)
    free (rec->files[i]);
  free (rec->files);
  pthread_mutex_destroy (&rec->lock);
}

uint64_t
record_mark (struct record *rec)
{
  uint64_t seq;

  pthread_mutex_lock (&rec->lock);
  seq = ++rec->seq;
  pthread_mutex_unlock (&rec->lock);
  return seq;
}

/* Locked. */
static struct event *
add (struct record *rec, enum event_kind kind, size_t file)
{
  struct event *e;

  if (rec->nr == rec->max) {
    rec->max = rec->max * 2 + 64;
    rec->events = must_realloc (rec->events,
                                rec->max * sizeof *rec->events);
  }
  e = &rec->events[rec->nr++];
  *e = (struct event) { .kind = kind, .seq = ++rec->seq, .file = file };
  return e;
}

static void
dawdle (struct record *rec)
{
  const uint64_t n = mix (1, atomic_fetch_add (&rec->nr_dawdles, 1));

  if (n % 8 == 0 && !rec->alone)
    usleep ((useconds_t) (n / 8 % SYNC_TIME));
}

/* Is it the turn of a call that the fault counts to fail? */
static bool
is_due (const struct fault *f)
{
  const uint64_t times = f->times > 0 ? f->times : 1;
  uint64_t since;

  if (f->nr_calls < f->n)
    return false;
  since = f->nr_calls - f->n;
  if (f->period > 0 && since / f->period <= f->repeats)
    since %= f->period;
  return since < times;
}

/* The fault that makes this call fail, NULL if it does not.  Locked. */
static const struct fault *
find_fault (struct record *rec, unsigned call)
{
  const struct fault *found = NULL;
  size_t i;

  for (i = 0; i < MAX_FAULTS; ++i) {
    struct fault *f = &rec->faults[i];

    if (!(f->calls & call))
      continue;
    f->nr_calls++;
    if (!found && is_due (f))
      found = f;
  }
  if (found) {
    rec->hits |= call;
    if (rec->first_hit == UINT64_MAX)
      rec->first_hit = rec->seq;
  }
  return found;
}

static void
tell (const struct fault *f, const struct io *io, struct vmdk_error *error)
{
  error_sys (error, f->err, "%s: fault %" PRIu64, io->name, f->nr_calls);
}

/* Shall this call fail?  Locked. */
static bool
fails (struct record *rec, unsigned call, const struct io *io,
       struct vmdk_error *error)
{
  const struct fault *f = find_fault (rec, call);

  if (f)
    tell (f, io, error);
  return f != NULL;
}

unsigned
record_take_hits (struct record *rec)
{
  unsigned hits;

  pthread_mutex_lock (&rec->lock);
  hits = rec->hits;
  rec->hits = 0;
  pthread_mutex_unlock (&rec->lock);
  return hits;
}

bool
record_refuses_memory (struct record *rec, size_t size)
{
  const unsigned call = size <= SMALL ? CALL_RECORD : CALL_BUFFER;
  bool refuses;

  pthread_mutex_lock (&rec->lock);
  refuses = find_fault (rec, call) != NULL;
  pthread_mutex_unlock (&rec->lock);
  return refuses;
}

static int
rec_pread (struct io *io, void *buf, size_t count, uint64_t offset,
           struct vmdk_error *error)
{
  const struct rec_io *r = (const struct rec_io *) io;
  bool failing;
  int result = -1;

  dawdle (r->rec);
  pthread_mutex_lock (&r->rec->lock);
  failing = fails (r->rec, CALL_READ, io, error);
  pthread_mutex_unlock (&r->rec->lock);
  if (!failing)
    result = io_pread (r->inner, buf, count, offset, error);
  dawdle (r->rec);
  return result;
}

static bool
rec_is_stored (struct io *io, uint64_t offset, uint64_t count,
               uint64_t *length)
{
  const struct rec_io *r = (const struct rec_io *) io;

  return io_is_stored (r->inner, offset, count, length);
}

static void
rec_prefetch (struct io *io, uint64_t offset, uint64_t count)
{
  const struct rec_io *r = (const struct rec_io *) io;

  io_prefetch (r->inner, offset, count);
}

/* How much of a write gets there that fails half-way.  File systems fill
 * whole blocks.
 */
static size_t
half (uint64_t offset, size_t count)
{
  const uint64_t end = (offset + count / 2) / SECTOR * SECTOR;

  return end > offset ? (size_t) (end - offset) : 0;
}

static int
rec_pwrite (struct io *io, const void *buf, size_t count, uint64_t offset,
            struct vmdk_error *error)
{
  struct rec_io *r = (struct rec_io *) io;
  struct record *rec = r->rec;
  const struct fault *fault;
  struct vmdk_error inner;

  dawdle (rec);
  pthread_mutex_lock (&rec->lock);
  fault = find_fault (rec, CALL_WRITE);
  if (fault) {
    tell (fault, io, error);
    count = fault->half ? half (offset, count) : 0;
  }
  if (count > 0) {
    struct event *e = add (rec, EVENT_WRITE, r->file);

    e->offset = offset;
    e->count = count;
    e->data = must_alloc (count);
    memcpy (e->data, buf, count);
    if (io_pwrite (r->inner, buf, count, offset, &inner) == -1)
      die ("%s", inner.message);
    atomic_store (&io->size, atomic_load (&r->inner->size));
  }
  pthread_mutex_unlock (&rec->lock);
  dawdle (rec);
  return fault ? -1 : 0;
}

static int
rec_punch (struct io *io, uint64_t offset, uint64_t count,
           struct vmdk_error *error)
{
  struct rec_io *r = (struct rec_io *) io;
  struct record *rec = r->rec;
  int result = -1;

  dawdle (rec);
  pthread_mutex_lock (&rec->lock);
  if (offset + count > io->size)
    die ("%s: punches behind its end", io->name);
  if (!fails (rec, CALL_PUNCH, io, error)) {
    result = io_punch (r->inner, offset, count, error);
    if (result == 1) {
      struct event *e = add (rec, EVENT_PUNCH, r->file);

      e->offset = offset;
      e->count = count;
    }
  }
  pthread_mutex_unlock (&rec->lock);
  return result;
}

static int
rec_truncate (struct io *io, uint64_t size, struct vmdk_error *error)
{
  struct rec_io *r = (struct rec_io *) io;
  struct record *rec = r->rec;
  int result = -1;

  pthread_mutex_lock (&rec->lock);
  if (!fails (rec, CALL_TRUNCATE, io, error)) {
    add (rec, EVENT_TRUNCATE, r->file)->offset = size;
    result = io_truncate (r->inner, size, error);
    atomic_store (&io->size, atomic_load (&r->inner->size));
  }
  pthread_mutex_unlock (&rec->lock);
  return result;
}

static bool
is_lost (const struct record *rec)
{
  switch (rec->lose) {
  case LOSE_NONE: return false;
  case LOSE_ALL: return true;
  case LOSE_ODD: return rec->nr_syncs % 2 == 1;
  default: return rec->nr_syncs % 2 == 0;
  }
}

static int
rec_sync (struct io *io, struct vmdk_error *error)
{
  struct rec_io *r = (struct rec_io *) io;
  struct record *rec = r->rec;
  uint64_t begin, time;
  bool failing, lost;

  pthread_mutex_lock (&rec->lock);
  rec->nr_syncs++;
  lost = is_lost (rec);
  failing = fails (rec, CALL_SYNC, io, error);
  begin = add (rec, EVENT_SYNC_BEGIN, r->file)->seq;
  time = random_below (&rec->random, SYNC_TIME);
  pthread_mutex_unlock (&rec->lock);
  if (!rec->alone)
    usleep ((useconds_t) time);
  if (!lost) {
    struct event *e;

    pthread_mutex_lock (&rec->lock);
    e = add (rec, EVENT_SYNC_END, r->file);
    e->begin = begin;
    e->failed = failing;
    pthread_mutex_unlock (&rec->lock);
  }
  return failing ? -1 : 0;
}

static int
rec_lock (struct io *io, enum io_lock lock, struct vmdk_error *error)
{
  const struct rec_io *r = (const struct rec_io *) io;
  bool failing;

  pthread_mutex_lock (&r->rec->lock);
  failing = lock != IO_UNLOCKED && fails (r->rec, CALL_LOCK, io, error);
  pthread_mutex_unlock (&r->rec->lock);
  return failing ? -1 : io_lock (r->inner, lock, error);
}

static void
rec_close (struct io *io)
{
  struct rec_io *r = (struct rec_io *) io;

  io_unref (r->inner);
  free (io->name);
  free (r);
}

static const struct io_ops rec_ops = {
  .pread = rec_pread,
  .is_stored = rec_is_stored,
  .prefetch = rec_prefetch,
  .pwrite = rec_pwrite,
  .punch = rec_punch,
  .truncate = rec_truncate,
  .sync = rec_sync,
  .lock = rec_lock,
  .close = rec_close,
};

/* The number of a file, which keeps it when it is opened again. */
static size_t
find_file (struct record *rec, const char *path)
{
  const char *slash = strrchr (path, '/');
  const char *name = slash ? slash + 1 : path;
  size_t i;

  for (i = 0; i < rec->nr_files; ++i)
    if (strcmp (rec->files[i], name) == 0)
      return i;
  rec->files = must_realloc (rec->files,
                             (rec->nr_files + 1) * sizeof *rec->files);
  rec->files[rec->nr_files++] = must_print ("%s", name);
  return i;
}

/* Parents are not wrapped: a change would show in their content. */
static struct io *
wrap (void *opaque, struct io *inner, struct vmdk_error *error)
{
  struct record *rec = opaque;
  struct rec_io *r;

  (void) error;
  if (!inner->writable)
    return inner;
  r = must_alloc (sizeof *r);
  r->io.ops = &rec_ops;
  r->io.name = must_print ("%s", inner->name);
  r->io.writable = true;
  r->io.dev = inner->dev;
  r->io.ino = inner->ino;
  r->io.refs = 1;
  atomic_init (&r->io.size, atomic_load (&inner->size));
  atomic_init (&r->io.unsynced, false);
  r->inner = inner;
  r->rec = rec;
  r->file = find_file (rec, inner->name);
  return &r->io;
}

struct io_hook
record_hook (struct record *rec)
{
  return (struct io_hook) { .wrap = wrap, .opaque = rec };
}

void
record_print (const struct record *rec, uint64_t from, uint64_t to)
{
  static const char *const names[] = {
    "write", "punch", "truncate", "sync begins", "sync ends"
  };
  size_t i;

  for (i = 0; i < rec->nr; ++i) {
    const struct event *e = &rec->events[i];

    if (e->seq < from || e->seq > to)
      continue;
    printf ("  %" PRIu64 " %s: %s", e->seq, rec->files[e->file],
            names[e->kind]);
    if (e->kind <= EVENT_TRUNCATE)
      printf (" at %" PRIu64 " (sector %" PRIu64 ")", e->offset,
              e->offset / SECTOR);
    if (e->kind <= EVENT_PUNCH)
      printf (", %" PRIu64 " bytes", e->count);
    puts (e->failed ? ", failed" : "");
  }
}
