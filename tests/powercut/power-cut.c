/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Is an image whole after a power cut, or after a call that failed?
 *
 *     power-cut crash IMAGES WORK SEED WORKLOADS CUTS
 *     power-cut fault IMAGES WORK SEED WORKLOADS FAULTS
 *
 * IMAGES is a folder with the files of an image, of which top.vmdk is
 * opened; WORK an empty folder for copies.
 *
 * A workload changes a copy at random, from two threads that have sectors
 * of their own, so that what each sector went through is known.  With
 * "crash" the power is then cut at CUTS moments; each state in which the
 * files can be must open, hold what was flushed and nothing that was not
 * written since, be put right by the first writer without changing that,
 * take new writes, and give no place to two grains.  With "fault" one call
 * on the files fails, at FAULTS places in turn; that must be reported, and
 * nothing that was flushed may be lost.
 *
 * A failure prints the seed of its workload, with which it comes again if
 * the threads run alike.
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image.h"
#include "recorder.h"
#include "structure.h"

#define SECTOR 512
#define NR_THREADS 2
#define MAX_OPERATIONS 40

/* A state that a sector has been in, from some time on. */
struct version {
  uint64_t start;               /* when the change began */
  uint64_t end;                 /* when it had returned */
  uint64_t durable;             /* when it was said to be; or UINT64_MAX */
  uint8_t data[SECTOR];
};

struct history {
  struct version *versions;
  size_t nr;
};

struct workload {
  uint64_t seed;
  uint64_t stripe;              /* sectors that one thread has together */
  unsigned nr_operations;
  struct vmdk_image *image;
  struct recorder recorder;
  struct history *sectors;
  uint64_t nr_sectors;
  bool faulty;                  /* calls may fail */
  atomic_bool stop;             /* nothing more can be changed */
  atomic_bool reported;         /* a call has failed, and said so */
};

static const char *work;
static char top[PATH_MAX];

static void
add_version (struct workload *w, uint64_t sector, const uint8_t *data,
             uint64_t start, uint64_t end, uint64_t durable)
{
  struct history *h = &w->sectors[sector];

  h->versions = reallocarray (h->versions, h->nr + 1, sizeof *h->versions);
  if (!h->versions)
    crash_fail ("out of memory");
  h->versions[h->nr] = (struct version) {
    .start = start, .end = end, .durable = durable,
  };
  memcpy (h->versions[h->nr++].data, data, SECTOR);
}

static const uint8_t *
newest (const struct workload *w, uint64_t sector)
{
  return w->sectors[sector].versions[w->sectors[sector].nr - 1].data;
}

/* After a flush that was called at 'start' and had returned at 'end'. */
static void
note_flush (struct workload *w, unsigned thread, uint64_t start,
            uint64_t end)
{
  uint64_t s;
  size_t i;

  for (s = 0; s < w->nr_sectors; ++s)
    if (thread == NR_THREADS || s / w->stripe % NR_THREADS == thread)
      for (i = 0; i < w->sectors[s].nr; ++i) {
        struct version *v = &w->sectors[s].versions[i];

        if (v->end < start && v->durable > end)
          v->durable = end;
      }
}

/* A call has failed.  One that fails for good must say so again. */
static void
check_failure (struct workload *w, const struct vmdk_error *error)
{
  if (!w->faulty)
    crash_fail ("seed %" PRIu64 ": %s", w->seed, error->message);
  if (error->message[0] == '\0' || error->err == 0)
    crash_fail ("seed %" PRIu64 ": an error says nothing", w->seed);
  atomic_store (&w->reported, true);
  if (atomic_load (&w->image->writing.failed))
    atomic_store (&w->stop, true);
}

/* Once data may have been lost, nothing is changed any more. */
static void
check_stopped (struct workload *w)
{
  const uint8_t byte = 1;
  struct vmdk_error error;

  if (vmdk_pwrite (w->image, &byte, 1, 0, 0, &error) == 0 ||
      vmdk_zero (w->image, 1, 0, 0, &error) == 0 ||
      vmdk_trim (w->image, 1, 0, 0, &error) == 0 ||
      vmdk_flush (w->image, &error) == 0)
    crash_fail ("seed %" PRIu64 ": changes go on after a failed sync",
                w->seed);
}

/* A range of bytes in one stripe, and what its sectors were and are. */
struct change {
  uint64_t offset, count;
  uint64_t first, nr;           /* sectors */
  uint8_t *data;                /* of the sectors */
};

static void
choose_range (const struct workload *w, unsigned thread, uint64_t *random,
              struct change *c)
{
  const uint64_t stripes = (w->nr_sectors + w->stripe - 1) / w->stripe;
  uint64_t stripe, start, length;
  uint64_t i;

  do
    stripe = crash_random (random) % stripes / NR_THREADS * NR_THREADS +
      thread;
  while (stripe >= stripes);
  start = stripe * w->stripe * SECTOR;
  length = w->stripe * SECTOR;
  if (length > w->nr_sectors * SECTOR - start)
    length = w->nr_sectors * SECTOR - start;
  c->offset = start;
  c->count = length;
  if (crash_random (random) % 3 != 0) {
    c->offset += crash_random (random) % length;
    c->count = 1 + crash_random (random) % (start + length - c->offset);
    if (crash_random (random) % 2) {
      c->offset -= c->offset % SECTOR;
      c->count = (c->count + SECTOR - 1) / SECTOR * SECTOR;
      if (c->count > start + length - c->offset)
        c->count = start + length - c->offset;
    }
  }
  c->first = c->offset / SECTOR;
  c->nr = (c->offset + c->count + SECTOR - 1) / SECTOR - c->first;
  c->data = malloc (c->nr * SECTOR);
  if (!c->data)
    crash_fail ("out of memory");
  for (i = 0; i < c->nr; ++i)
    memcpy (c->data + i * SECTOR, newest (w, c->first + i), SECTOR);
}

/* Take over what is there, after a call that may have done a part of it:
 * each sector must be as before or as wanted.
 */
static void
read_back (struct workload *w, struct change *c)
{
  struct vmdk_error error;
  uint8_t *buf = malloc (c->nr * SECTOR);
  uint64_t i;

  if (!buf)
    crash_fail ("out of memory");
  /* If this is the call that is to fail the next one is not. */
  if (vmdk_pread (w->image, buf, c->nr * SECTOR, c->first * SECTOR,
                  &error) == -1 &&
      (!w->faulty || vmdk_pread (w->image, buf, c->nr * SECTOR,
                                 c->first * SECTOR, &error) == -1))
    crash_fail ("seed %" PRIu64 ": %s", w->seed, error.message);
  for (i = 0; i < c->nr; ++i) {
    uint8_t *p = buf + i * SECTOR;

    if (memcmp (p, c->data + i * SECTOR, SECTOR) != 0 &&
        memcmp (p, newest (w, c->first + i), SECTOR) != 0)
      crash_fail ("seed %" PRIu64 ": sector %" PRIu64 " is neither old nor "
                  "new", w->seed, c->first + i);
  }
  memcpy (c->data, buf, c->nr * SECTOR);
  free (buf);
}

static void
change (struct workload *w, unsigned thread, uint64_t *random)
{
  const unsigned fua = crash_random (random) % 10 == 0 ? VMDK_FUA : 0;
  const unsigned what = crash_random (random) % 8;
  struct vmdk_error error;
  struct change c;
  uint64_t start, end, i;
  uint8_t *wanted;
  int r;

  choose_range (w, thread, random, &c);
  wanted = c.data + (c.offset - c.first * SECTOR);
  start = recorder_time (&w->recorder);
  if (what == 0) {
    memset (wanted, 0, c.count);
    r = vmdk_trim (w->image, c.count, c.offset, fua, &error);
  }
  else if (what <= 2) {
    memset (wanted, 0, c.count);
    r = vmdk_zero (w->image, c.count, c.offset,
                   fua | (crash_random (random) % 3 ? VMDK_MAY_TRIM : 0),
                   &error);
  }
  else {
    for (i = 0; i < c.count; ++i)
      wanted[i] = (uint8_t) (crash_random (random) | 1);
    r = vmdk_pwrite (w->image, wanted, c.count, c.offset, fua, &error);
  }
  if (r == -1)
    check_failure (w, &error);
  if (r == -1 || what == 0) {
    /* What was wanted may reach the disk as well as what is there. */
    for (i = 0; i < c.nr; ++i)
      add_version (w, c.first + i, c.data + i * SECTOR, start, start,
                   UINT64_MAX);
    for (i = 0; i < c.nr; ++i) {
      struct history *h = &w->sectors[c.first + i];

      /* read_back compares with what was before. */
      h->nr--;
    }
    read_back (w, &c);
    for (i = 0; i < c.nr; ++i)
      w->sectors[c.first + i].nr++;
  }
  end = recorder_time (&w->recorder);
  for (i = 0; i < c.nr; ++i)
    add_version (w, c.first + i, c.data + i * SECTOR, start, end,
                 fua && r == 0 ? end : UINT64_MAX);
  free (c.data);
}

static void
check_read (struct workload *w, unsigned thread, uint64_t *random)
{
  struct vmdk_error error;
  struct change c;
  uint8_t *buf;

  choose_range (w, thread, random, &c);
  buf = malloc (c.nr * SECTOR);
  if (!buf)
    crash_fail ("out of memory");
  if (vmdk_pread (w->image, buf, c.nr * SECTOR, c.first * SECTOR,
                  &error) == -1)
    check_failure (w, &error);
  else if (memcmp (buf, c.data, c.nr * SECTOR) != 0)
    crash_fail ("seed %" PRIu64 ": a read at sector %" PRIu64 " is wrong",
                w->seed, c.first);
  free (buf);
  free (c.data);
}

struct thread {
  struct workload *w;
  unsigned number;
};

static void *
run_thread (void *arg)
{
  const struct thread *t = arg;
  struct workload *w = t->w;
  uint64_t random = w->seed * 1000 + t->number;
  struct vmdk_error error;
  unsigned i;

  for (i = 0; i < w->nr_operations && !atomic_load (&w->stop); ++i)
    switch (crash_random (&random) % 8) {
    case 0: {
      const uint64_t start = recorder_time (&w->recorder);

      if (vmdk_flush (w->image, &error) == -1)
        check_failure (w, &error);
      else
        note_flush (w, t->number, start, recorder_time (&w->recorder));
      break;
    }
    case 1:
      check_read (w, t->number, &random);
      break;
    default:
      change (w, t->number, &random);
    }
  return NULL;
}

/* Open the copy, do one part of the workload and close it. */
static void
run_part (struct workload *w)
{
  const struct vmdk_options options = { .writable = true };
  pthread_t threads[NR_THREADS];
  struct thread args[NR_THREADS];
  struct vmdk_error error;
  uint64_t start;
  unsigned i;

  w->image = image_open (top, &options, &w->recorder.hook, &error);
  if (!w->image || vmdk_begin_writing (w->image, &error) == -1) {
    if (!w->faulty)
      crash_fail ("seed %" PRIu64 ": %s", w->seed, error.message);
    vmdk_close (w->image);
    return;
  }
  atomic_store (&w->stop, false);
  for (i = 0; i < NR_THREADS; ++i) {
    args[i] = (struct thread) { .w = w, .number = i };
    if (pthread_create (&threads[i], NULL, run_thread, &args[i]) != 0)
      crash_fail ("pthread_create failed");
  }
  for (i = 0; i < NR_THREADS; ++i)
    pthread_join (threads[i], NULL);
  if (atomic_load (&w->stop))
    check_stopped (w);
  start = recorder_time (&w->recorder);
  if (vmdk_end_writing (w->image, &error) == -1)
    check_failure (w, &error);
  else
    note_flush (w, NR_THREADS, start, recorder_time (&w->recorder));
  vmdk_close (w->image);
  if (w->recorder.must_report && !atomic_load (&w->reported))
    crash_fail ("seed %" PRIu64 ": a call on a file failed, and nobody said "
                "so", w->seed);
}

/* Say which states a sector has been in, and in which it is. */
static void
wrong_content (const struct workload *w, uint64_t sector,
               const uint8_t *data, size_t base, const char *what)
{
  const struct history *h = &w->sectors[sector];
  size_t i;

  for (i = 0; i < h->nr; ++i)
    fprintf (stderr, "state %zu: from %" PRIu64 " to %" PRIu64 ", durable at "
             "%" PRIu64 "%s%s\n", i, h->versions[i].start,
             h->versions[i].end, h->versions[i].durable,
             i < base ? "" : " or later",
             memcmp (data, h->versions[i].data, SECTOR) == 0 ?
             ": this one is there" : "");
  crash_fail ("seed %" PRIu64 ", %s: sector %" PRIu64 " holds something else "
              "than was flushed, or written since", w->seed, what, sector);
}

/* Read a whole image, as it is on the disk, and compare it with what may be
 * there at 'time'.
 */
static uint8_t *
check_content (const struct workload *w, struct vmdk_image *image,
               uint64_t time, const char *what)
{
  uint8_t *all = malloc (w->nr_sectors * SECTOR);
  struct vmdk_error error;
  uint64_t s;

  if (!all)
    crash_fail ("out of memory");
  if (vmdk_pread (image, all, w->nr_sectors * SECTOR, 0, &error) == -1)
    crash_fail ("seed %" PRIu64 ", %s: %s", w->seed, what, error.message);
  for (s = 0; s < w->nr_sectors; ++s) {
    const struct history *h = &w->sectors[s];
    size_t i, base = 0;

    for (i = 0; i < h->nr; ++i)
      if (h->versions[i].durable < time)
        base = i;
    for (i = base; i < h->nr; ++i)
      if (h->versions[i].start < time &&
          memcmp (all + s * SECTOR, h->versions[i].data, SECTOR) == 0)
        break;
    if (i == h->nr)
      wrong_content (w, s, all + s * SECTOR, base, what);
  }
  return all;
}

static struct vmdk_image *
open_plain (const struct workload *w, const char *what)
{
  const struct vmdk_options options = { .writable = true };
  struct vmdk_error error;
  struct vmdk_image *image = vmdk_open (top, &options, &error);

  if (!image)
    crash_fail ("seed %" PRIu64 ", %s: does not open: %s", w->seed, what,
                error.message);
  return image;
}

/* Look at the files in the work folder as after a power cut at 'time'. */
static void
check_state (const struct workload *w, uint64_t time, const char *what,
             uint64_t *random)
{
  struct vmdk_image *image = open_plain (w, what);
  struct vmdk_error error;
  uint8_t *all;
  unsigned i;

  free (check_content (w, image, time, what));
  if (vmdk_begin_writing (image, &error) == -1)
    crash_fail ("seed %" PRIu64 ", %s: cannot be written: %s", w->seed,
                what, error.message);

  /* A change that changes nothing makes it be put right. */
  all = check_content (w, image, time, what);
  if (vmdk_pwrite (image, all, SECTOR, 0, VMDK_FUA, &error) == -1)
    crash_fail ("seed %" PRIu64 ", %s: %s", w->seed, what, error.message);
  free (all);
  all = check_content (w, image, time, what);

  for (i = 0; i < 6; ++i) {
    const uint64_t size = w->nr_sectors * SECTOR;
    const uint64_t offset = crash_random (random) % size;
    uint64_t count = 1 + crash_random (random) % 9000;

    if (count > size - offset)
      count = size - offset;
    memset (all + offset, (int) i + 1, count);
    if (vmdk_pwrite (image, all + offset, count, offset, 0, &error) == -1)
      crash_fail ("seed %" PRIu64 ", %s: %s", w->seed, what, error.message);
  }
  if (vmdk_end_writing (image, &error) == -1)
    crash_fail ("seed %" PRIu64 ", %s: %s", w->seed, what, error.message);
  vmdk_close (image);

  image = open_plain (w, what);
  for (i = 0; i < 2; ++i) {
    uint8_t *again = malloc (w->nr_sectors * SECTOR);

    if (!again ||
        vmdk_pread (image, again, w->nr_sectors * SECTOR, 0, &error) == -1 ||
        memcmp (again, all, w->nr_sectors * SECTOR) != 0)
      crash_fail ("seed %" PRIu64 ", %s: new writes are not there", w->seed,
                  what);
    free (again);
  }
  vmdk_close (image);
  free (all);
  structure_check (work, w->seed, what);
}

/* Begin with what is in the image before anything is done. */
static void
start_workload (struct workload *w, uint64_t seed,
                struct folder_content *files, bool faulty)
{
  struct vmdk_error error;
  uint64_t random = seed, s;
  uint8_t sector[SECTOR];
  struct vmdk_image *image;

  *w = (struct workload) { .seed = seed, .faulty = faulty };
  folder_save (files, work);
  recorder_init (&w->recorder, files);
  image = open_plain (w, "the beginning");
  w->nr_sectors = vmdk_size (image) / SECTOR;
  w->sectors = calloc (w->nr_sectors, sizeof *w->sectors);
  if (!w->sectors)
    crash_fail ("out of memory");
  for (s = 0; s < w->nr_sectors; ++s) {
    if (vmdk_pread (image, sector, SECTOR, s * SECTOR, &error) == -1)
      crash_fail ("%s", error.message);
    add_version (w, s, sector, 0, 0, 0);
  }
  vmdk_close (image);
  w->stripe = (const uint64_t[]) { 3, 20, 150, 700 }
    [crash_random (&random) % 4];
  w->nr_operations = 4 + (unsigned) (crash_random (&random) %
                                     MAX_OPERATIONS);
}

static void
end_workload (struct workload *w)
{
  uint64_t s;

  for (s = 0; s < w->nr_sectors; ++s)
    free (w->sectors[s].versions);
  free (w->sectors);
  recorder_destroy (&w->recorder);
}

static void
test_crash (struct folder_content *files, uint64_t seed, unsigned cuts)
{
  static const unsigned biases[] = { 0, 50, 90, 100 };
  uint64_t random = seed * 77 + 5;
  struct workload w;
  unsigned i;

  start_workload (&w, seed, files, false);
  run_part (&w);
  if (seed % 3 == 0)
    run_part (&w);
  for (i = 0; i < cuts; ++i) {
    const unsigned bias = biases[crash_random (&random) % 4];
    size_t cut = crash_random (&random) % (w.recorder.nr + 1);
    struct folder_content state;
    char what[128];

    /* Half of the cuts are near a sync. */
    if (i % 2)
      while (cut < w.recorder.nr &&
             w.recorder.events[cut].kind != EVENT_SYNC)
        cut++;
    snprintf (what, sizeof what, "cut %u before event %zu of %zu, bias %u",
              i, cut, w.recorder.nr, bias);
    folder_copy (&state, files);
    recorder_cut (&w.recorder, cut, bias, &random, &state);
    folder_save (&state, work);
    folder_free (&state);
    check_state (&w, cut < w.recorder.nr ? w.recorder.events[cut].time :
                 UINT64_MAX, what, &random);
  }
  end_workload (&w);
}

static void
test_fault (struct folder_content *files, uint64_t seed, unsigned faults)
{
  static const enum fault kinds[] = { FAULT_EIO, FAULT_ENOSPC, FAULT_SHORT };
  uint64_t random = seed * 99 + 1;
  struct workload w;
  long calls;
  unsigned i;

  start_workload (&w, seed, files, false);
  w.recorder.reads_count = seed % 2;
  run_part (&w);
  calls = w.recorder.calls;
  end_workload (&w);
  for (i = 0; i < faults; ++i) {
    char what[128];

    start_workload (&w, seed, files, true);
    w.recorder.reads_count = seed % 2;
    w.recorder.fault = kinds[crash_random (&random) % 3];
    w.recorder.fail_at = (long) (crash_random (&random) % (uint64_t) calls);
    snprintf (what, sizeof what, "fault %d at call %ld",
              (int) w.recorder.fault, w.recorder.fail_at);
    run_part (&w);
    check_state (&w, UINT64_MAX, what, &random);
    end_workload (&w);
  }
}

int
main (int argc, char *argv[])
{
  struct folder_content files;
  uint64_t seed, i;

  if (argc != 7)
    crash_fail ("usage: power-cut crash|fault IMAGES WORK SEED WORKLOADS "
                "CUTS");
  work = argv[3];
  snprintf (top, sizeof top, "%s/top.vmdk", work);
  folder_load (&files, argv[2]);
  seed = strtoull (argv[4], NULL, 10);
  for (i = 0; i < strtoull (argv[5], NULL, 10); ++i) {
    /* A deadlock ends the test. */
    alarm (300);
    if (strcmp (argv[1], "crash") == 0)
      test_crash (&files, seed + i, (unsigned) atoi (argv[6]));
    else
      test_fault (&files, seed + i, (unsigned) atoi (argv[6]));
  }
  folder_free (&files);
  return 0;
}
