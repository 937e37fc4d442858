/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* A recorder between an image and its files.
 *
 * It stands behind the hook of image_open, around each file that can be
 * written, and keeps in order all that changes one: one call at a time, so
 * that the order is true.  Syncs last a while, as real ones do, and their
 * beginning and end are events of their own; the files are not really
 * synced, since the power cuts are not real either.
 *
 * It can also make calls fail.
 */

#ifndef CRASH_RECORD_H
#define CRASH_RECORD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io.h"

enum event_kind {
  EVENT_WRITE,
  EVENT_PUNCH,
  EVENT_TRUNCATE,
  EVENT_SYNC_BEGIN,
  EVENT_SYNC_END
};

struct event {
  enum event_kind kind;
  uint64_t seq;
  size_t file;
  uint64_t offset;              /* EVENT_TRUNCATE: the new size */
  uint64_t count;
  uint8_t *data;                /* of a write */
  uint64_t begin;               /* EVENT_SYNC_END: seq of its beginning */
  bool failed;                  /* EVENT_SYNC_END: nothing may be durable */
};

/* Kinds of calls, that can be made to fail. */
enum {
  CALL_READ = 1, CALL_WRITE = 2, CALL_PUNCH = 4, CALL_TRUNCATE = 8,
  CALL_SYNC = 16, CALL_LOCK = 32,
  CALL_BUFFER = 64, CALL_RECORD = 128, /* allocations, large and small */
  CALL_MEMORY = CALL_BUFFER | CALL_RECORD
};

struct fault {
  unsigned calls;               /* which are counted; 0: no fault */
  int err;
  bool half;                    /* a write writes about half, then fails */
  uint64_t n;                   /* the first of them that fails, from 1 on */
  uint64_t times;               /* so many in a row fail; 0 is 1 */
  uint64_t period, repeats;     /* so do as many, so much later each time */
  uint64_t nr_calls;            /* counted up to now */
};

#define MAX_FAULTS 2

/* Syncs that a record has heard of, but that did nothing: to see whether a
 * writer that forgets them would be caught.
 */
enum lost_syncs {
  LOSE_NONE, LOSE_ALL, LOSE_ODD, LOSE_EVEN
};

struct record {
  pthread_mutex_t lock;
  uint64_t seq;                 /* of the last event or mark */
  size_t nr, max;
  struct event *events;
  size_t nr_files;
  char **files;                 /* their names */
  enum lost_syncs lose;
  uint64_t nr_syncs;
  bool alone;                   /* one thread: nothing need take time */
  uint64_t random;              /* for the time that syncs take */
  atomic_uint_fast64_t nr_dawdles;
  struct fault faults[MAX_FAULTS];
  unsigned hits;                /* kinds of calls that have failed */
  uint64_t first_hit;           /* the seq before; UINT64_MAX: none yet */
};

extern void record_init (struct record *rec, uint64_t seed);
extern void record_free (struct record *rec);

/* What image_open needs; valid as long as the record. */
extern struct io_hook record_hook (struct record *rec);

/* The kinds of calls that have failed since this was called last.  Any
 * thread.
 */
extern unsigned record_take_hits (struct record *rec);

/* Shall an allocation fail?  Any thread. */
extern bool record_refuses_memory (struct record *rec, size_t size);

/* A moment in the order of events.  Any thread. */
extern uint64_t record_mark (struct record *rec);

/* Print the events between two moments. */
extern void record_print (const struct record *rec, uint64_t from,
                          uint64_t to);

#endif /* CRASH_RECORD_H */
