/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"
#include "work.h"

/* What one thread does. */
struct worker {
  struct work *w;
  unsigned number;
  uint64_t random;
  uint64_t stripe;              /* bytes: who owns them takes turns */
  uint64_t window, window_size; /* stripes */
  unsigned flush_odds, fua_odds, zero_odds, trim_odds, read_odds;
  uint8_t *buf, *now;
};

#define MAX_COUNT (256 * 1024)

/* Faults that come again and again end before this. */
#define MAX_TRIES 300

static void __attribute__ ((format (printf, 2, 3)))
report (struct work *w, const char *fmt, ...)
{
  va_list args;
  char text[1500];

  va_start (args, fmt);
  vsnprintf (text, sizeof text, fmt, args);
  va_end (args);
  pthread_mutex_lock (&w->lock);
  if (!w->problem)
    w->problem = must_print ("%s", text);
  pthread_mutex_unlock (&w->lock);
}

static void
report_problem (struct work *w, const char *what, char *problem)
{
  if (problem)
    report (w, "%s: %s", what, problem);
  free (problem);
}

static bool
has_problem (struct work *w)
{
  bool r;

  pthread_mutex_lock (&w->lock);
  r = w->problem != NULL;
  pthread_mutex_unlock (&w->lock);
  return r;
}

/* A fault may stay without consequences if it is in a read, as there may be
 * another copy, in returning storage to the file system, in loosening a
 * lock, or in memory that is used to be faster.
 */
#define EXCUSED (CALL_READ | CALL_PUNCH | CALL_LOCK | CALL_MEMORY)

/* A call that changes the image has failed by a fault. */
static void
expect_less (struct work *w, unsigned kinds)
{
  if (kinds & CALL_SYNC) {
    w->state = WORK_BROKEN;
    w->lost = true;
  }
  else if (w->state == WORK_FINE)
    w->state = WORK_MAYBE;
}

/* A call has returned r, without a fault, after others with faults. */
static void
judge_after (struct work *w, const char *what, int r,
             const struct vmdk_error *error)
{
  if (w->state == WORK_FINE && r == -1)
    report (w, "%s: fails again after a fault: %s", what, error->message);
  if (w->state == WORK_BROKEN && r == 0)
    report (w, "%s: succeeds although data may have been lost", what);

  /* When memory was short fresh grains may have to wait for a flush. */
  if (w->state != WORK_MAYBE ||
      (w->faults == FAULTS_MANY && (r == 0 || error->err == ENOMEM)))
    return;
  w->state = r == 0 ? WORK_FINE : WORK_BROKEN;
}

static int
judge (struct work *w, const char *what, int r, const struct vmdk_error *error,
       bool change, unsigned excused)
{
  const unsigned kinds = w->faults ? record_take_hits (w->rec) : 0;

  if (r == -1 && (error->message[0] == '\0' || error->err == 0))
    report (w, "%s: fails without a reason", what);
  if (!w->faults || (kinds == 0 && !change)) {
    if (r == -1)
      report (w, "%s: %s", what, error->message);
  }
  else if (kinds == 0)
    judge_after (w, what, r, error);
  else if (r == 0 && (kinds & ~excused))
    report (w, "%s: succeeds in spite of a fault", what);
  else if (r == -1 && change)
    expect_less (w, kinds);
  return r;
}

int
work_judge (struct work *w, const char *what, int r,
            const struct vmdk_error *error, bool change)
{
  return judge (w, what, r, error, change, EXCUSED);
}

uint8_t *
work_read (struct vmdk_image *image, struct vmdk_error *error)
{
  uint8_t *buf = must_alloc (vmdk_size (image));

  if (vmdk_pread (image, buf, vmdk_size (image), 0, error) == 0)
    return buf;
  free (buf);
  return NULL;
}

static bool
chance (struct worker *t, unsigned n)
{
  return random_below (&t->random, n) == 0;
}

/* A range in one of the thread's own stripes. */
static void
choose_range (struct worker *t, uint64_t *offset, uint64_t *count)
{
  const struct work *w = t->w;
  const uint64_t stripes = (w->size + t->stripe - 1) / t->stripe;
  const uint64_t grain = w->grain_size;
  uint64_t n, start, length;

  n = t->window + random_below (&t->random, t->window_size);
  n = n % stripes / w->nr_threads * w->nr_threads + t->number;
  if (n >= stripes)
    n = t->number;
  start = n * t->stripe;
  length = w->size - start < t->stripe ? w->size - start : t->stripe;
  *offset = random_below (&t->random, length);
  switch (random_below (&t->random, 6)) {
  case 0:                       /* a few bytes */
    *count = 1 + random_below (&t->random, 700);
    break;
  case 1:                       /* all */
    *offset = 0;
    *count = length;
    break;
  case 2:                       /* whole grains, if there are any */
    *offset = (grain - start % grain) % grain;
    if (*offset >= length)
      *offset = 0;
    *count = (length - *offset) / grain * grain;
    if (*count == 0)
      *count = length - *offset;
    break;
  case 3:                       /* anything */
    *count = 1 + random_below (&t->random, 4 * grain);
    break;
  default:                      /* sectors */
    *offset = *offset / SECTOR * SECTOR;
    *count = (1 + random_below (&t->random, 20)) * SECTOR;
  }
  if (*count > MAX_COUNT)
    *count = MAX_COUNT;
  if (*count > length - *offset)
    *count = length - *offset;
  *offset += start;
}

/* What the disk holds goes to t->now. */
static int
read_now (struct worker *t, const char *what, uint64_t count, uint64_t offset)
{
  struct vmdk_error error;
  const int r = vmdk_pread (t->w->image, t->now, count, offset, &error);

  return work_judge (t->w, what, r, &error, false);
}

/* The same, in spite of faults. */
static int
read_in_the_end (struct worker *t, uint64_t count, uint64_t offset)
{
  unsigned tries = t->w->faults == FAULTS_MANY ? MAX_TRIES : 2;

  while (read_now (t, "read", count, offset) == -1)
    if (has_problem (t->w) || --tries == 0)
      return -1;
  return 0;
}

/* What has happened to a range is to be seen from what it holds. */
static void
look (struct worker *t, const char *what, uint32_t number,
      const uint8_t *new, uint64_t count, uint64_t offset, bool failed)
{
  if (read_in_the_end (t, count, offset) == 0)
    report_problem (t->w, what, model_done_maybe (t->w->m, number, new,
                                                  t->now, failed));
  else
    report (t->w, "%s: cannot be read afterwards", what);
}

/* All that had returned at the moment 'begin' is durable. */
static void
flushed (struct work *w, uint64_t begin)
{
  model_flush_done (w->m, begin);
  if (w->state == WORK_MAYBE)
    w->state = WORK_FINE;
}

static void
do_flush (struct worker *t)
{
  const uint64_t begin = model_flush_begin (t->w->m);
  struct vmdk_error error;

  if (work_judge (t->w, "flush", vmdk_flush (t->w->image, &error), &error,
                  true) == 0)
    flushed (t->w, begin);
}

static void
do_read (struct worker *t)
{
  uint64_t offset, count;

  choose_range (t, &offset, &count);
  if (read_now (t, "read", count, offset) == 0)
    report_problem (t->w, "read", model_compare (t->w->m, t->now, count,
                                                 offset));
}

static void
do_write (struct worker *t)
{
  const uint32_t number = model_number (t->w->m);
  const bool fua = chance (t, t->fua_odds);
  struct vmdk_error error;
  uint64_t offset, count;

  choose_range (t, &offset, &count);
  if (chance (t, 16))
    memset (t->buf, 0, count);
  else
    fill_pattern (t->buf, count, offset, number);
  model_begin (t->w->m, number, t->buf, count, offset, fua);
  if (work_judge (t->w, "write",
                  vmdk_pwrite (t->w->image, t->buf, count, offset,
                               fua ? VMDK_FUA : 0, &error),
                  &error, true) == 0)
    model_done (t->w->m, number, t->buf);
  else
    look (t, "write", number, t->buf, count, offset, true);
}

static void
do_zero (struct worker *t)
{
  const uint32_t number = model_number (t->w->m);
  const bool fua = chance (t, t->fua_odds);
  const unsigned fast = chance (t, 4) ? VMDK_FAST : 0;
  const unsigned may_trim = chance (t, 3) ? 0 : VMDK_MAY_TRIM;
  struct vmdk_error error;
  uint64_t offset, count;
  bool refused;
  int r;

  choose_range (t, &offset, &count);
  model_begin (t->w->m, number, NULL, count, offset, fua);
  r = vmdk_zero (t->w->image, count, offset,
                 may_trim | fast | (fua ? VMDK_FUA : 0), &error);
  refused = r == -1 && fast && error.kind == VMDK_ERROR_UNSUPPORTED;
  if (work_judge (t->w, "zero", refused ? 0 : r, &error, true) == -1)
    look (t, "zero", number, NULL, count, offset, true);
  else if (!refused)
    model_done (t->w->m, number, NULL);
  else {
    model_void (t->w->m, number);
    if (read_now (t, "read", count, offset) == 0)
      report_problem (t->w, "fast zero", model_compare (t->w->m, t->now,
                                                        count, offset));
  }
}

static void
do_trim (struct worker *t)
{
  const uint32_t number = model_number (t->w->m);
  const bool fua = chance (t, t->fua_odds);
  struct vmdk_error error;
  uint64_t offset, count;
  int r;

  choose_range (t, &offset, &count);
  model_begin (t->w->m, number, NULL, count, offset, fua);
  r = work_judge (t->w, "trim",
                  vmdk_trim (t->w->image, count, offset,
                             fua ? VMDK_FUA : 0, &error),
                  &error, true);
  look (t, "trim", number, NULL, count, offset, r == -1);
}

static void *
work (void *arg)
{
  struct worker *t = arg;
  unsigned i;

  for (i = 0; i < t->w->nr_ops && !has_problem (t->w); ++i) {
    if (t->w->state == WORK_BROKEN && chance (t, 4))
      break;
    if (chance (t, t->flush_odds))
      do_flush (t);
    else if (chance (t, t->read_odds))
      do_read (t);
    else if (chance (t, t->zero_odds))
      do_zero (t);
    else if (chance (t, t->trim_odds))
      do_trim (t);
    else
      do_write (t);
  }
  return NULL;
}

/* The threads do much the same, in stripes of their own. */
static void
choose_habits (const struct work *w, uint64_t random, struct worker *t)
{
  static const unsigned stripes[] = { 3, 7, 13, 40, 150, 600 };
  const uint64_t nr = sizeof stripes / sizeof stripes[0];
  uint64_t all;

  do
    t->stripe = stripes[random_below (&random, nr)] * SECTOR;
  while (t->stripe * w->nr_threads > w->size);
  if (random_below (&random, 4) == 0 &&
      w->grain_size * 4 * w->nr_threads <= w->size)
    t->stripe = w->grain_size * 4;
  all = (w->size + t->stripe - 1) / t->stripe;
  t->window = 0;
  t->window_size = all;

  /* Where the same grains are met again and again. */
  if (random_below (&random, 2) == 0) {
    t->window = random_below (&random, all);
    t->window_size = 1 + random_below (&random, 8);
  }

  /* Where grains are freed and written again before the next flush. */
  if (w->faults == FAULTS_MANY) {
    if (w->grain_size * 4 <= w->size && random_below (&random, 4) != 0)
      t->stripe = w->grain_size * 4;
    all = (w->size + t->stripe - 1) / t->stripe;
    t->window = random_below (&random, all);
    t->window_size = 1 + random_below (&random, 2);
  }
  t->flush_odds = 3 + (unsigned) random_below (&random, 30);
  t->fua_odds = 3 + (unsigned) random_below (&random, 40);
  t->zero_odds = 2 + (unsigned) random_below (&random, 8);
  t->trim_odds = 2 + (unsigned) random_below (&random, 8);
  t->read_odds = 6;
}

#define MAX_THREADS 4

void
work_phase (struct work *w, unsigned phase)
{
  const uint64_t random = mix (w->seed, phase);
  struct worker workers[MAX_THREADS];
  pthread_t threads[MAX_THREADS];
  unsigned i;

  for (i = 0; i < w->nr_threads; ++i) {
    workers[i] = (struct worker) {
      .w = w, .number = i, .random = mix (random, i + 1),
      .buf = must_alloc (MAX_COUNT), .now = must_alloc (MAX_COUNT),
    };
    choose_habits (w, random, &workers[i]);
  }
  for (i = 1; i < w->nr_threads; ++i)
    if (pthread_create (&threads[i], NULL, work, &workers[i]) != 0)
      die ("no thread");
  work (&workers[0]);
  for (i = 1; i < w->nr_threads; ++i)
    pthread_join (threads[i], NULL);
  for (i = 0; i < w->nr_threads; ++i) {
    free (workers[i].buf);
    free (workers[i].now);
  }
}

static bool
begin (struct work *w)
{
  struct vmdk_error error;

  return work_judge (w, "begin", vmdk_begin_writing (w->image, &error),
                     &error, true) == 0;
}

static void
end (struct work *w)
{
  const uint64_t flush = model_flush_begin (w->m);
  struct vmdk_error error;

  /* What is cut off the file then can stay there. */
  if (judge (w, "end", vmdk_end_writing (w->image, &error), &error, true,
             EXCUSED | CALL_TRUNCATE) == 0)
    flushed (w, flush);
}

/* Closing cannot say what went wrong. */
static void
close_image (struct work *w)
{
  const uint64_t flush = model_flush_begin (w->m);
  unsigned kinds;

  vmdk_close (w->image);
  w->image = NULL;
  kinds = record_take_hits (w->rec);
  if (kinds != 0)
    expect_less (w, kinds);
  if (w->state == WORK_FINE)
    model_flush_done (w->m, flush);
}

static bool
open_image (struct work *w)
{
  const struct vmdk_options options = { .writable = true };
  const struct io_hook hook = record_hook (w->rec);
  struct vmdk_error error;

  w->image = image_open (w->path, &options, w->hooked ? &hook : NULL,
                         &error);
  w->state = WORK_FINE;
  return work_judge (w, "open", w->image ? 0 : -1, &error, false) == 0;
}

/* All of the disk, to be freed; NULL if a fault was in the way. */
static uint8_t *
read_all (struct work *w)
{
  struct vmdk_error error;
  uint8_t *buf = work_read (w->image, &error);

  (void) work_judge (w, "read all", buf ? 0 : -1, &error, false);
  return buf;
}

static void
compare_all (struct work *w)
{
  uint8_t *buf = read_all (w);

  if (buf)
    report_problem (w, "read all", model_compare (w->m, buf, w->size, 0));
  free (buf);
}

/* Try something that faults may be in the way of. */
static bool
try_again (struct work *w, bool (*function) (struct work *w))
{
  unsigned tries = w->faults == FAULTS_MANY ? MAX_TRIES :
    w->faults ? 2 : 1;

  while (tries-- > 0 && !has_problem (w))
    if (function (w))
      return true;
  return false;
}

/* Changes are refused.  Unless a sync has failed, what was done is in the
 * files, and will be durable some time: they can be written on.
 */
static bool
start_again (struct work *w)
{
  uint8_t *buf = NULL;
  unsigned tries;

  if (w->faults != FAULTS_MANY || w->lost || has_problem (w))
    return false;
  if (w->image)
    close_image (w);
  if (w->lost || !try_again (w, open_image))
    return false;
  for (tries = 0; tries < MAX_TRIES && !buf && !has_problem (w); ++tries)
    buf = read_all (w);
  if (!buf)
    return false;
  report_problem (w, "opened after a fault", model_adopt (w->m, buf));
  free (buf);
  return try_again (w, begin);
}

/* Between two phases.  Returns false if changes are refused from now on. */
static bool
pause_writing (struct work *w, uint64_t random)
{
  const unsigned what = (unsigned) random_below (&random, 4);

  if (w->state == WORK_BROKEN)
    return false;
  if (what == 0 || what == 2) {
    end (w);
    if (w->state != WORK_FINE)
      return begin (w);
  }
  if (what == 1 || what == 2) {
    if (w->state != WORK_FINE)
      return false;
    close_image (w);
    if (w->state != WORK_FINE || !try_again (w, open_image))
      return false;
  }
  return what == 3 || try_again (w, begin);
}

void
work_run (struct work *w)
{
  unsigned i;

  w->problem = NULL;
  w->state = WORK_FINE;
  w->lost = false;
  pthread_mutex_init (&w->lock, NULL);
  if (try_again (w, open_image) && try_again (w, begin))
    for (i = 0; i < w->nr_phases && !has_problem (w); ++i) {
      if (i > 0 && !pause_writing (w, mix (w->seed, 1000 + i)) &&
          !start_again (w))
        break;
      work_phase (w, i);
      if (!has_problem (w))
        compare_all (w);
    }
  if (w->image && !has_problem (w) && w->seed % 2 == 0)
    end (w);
  if (w->image)
    close_image (w);
  pthread_mutex_destroy (&w->lock);
}
