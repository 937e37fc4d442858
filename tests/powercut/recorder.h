/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* A backend that writes down what is done to the files of an image, and
 * can make one of the calls fail.
 *
 * From what it wrote down follows in which states a power cut at any moment
 * can leave the files: all that was written before the last sync began that
 * had ended is there; of what came later each sector of 512 bytes is in one
 * of the states that it went through.
 */

#ifndef VMDK_TESTS_RECORDER_H
#define VMDK_TESTS_RECORDER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io.h"

#define MAX_FILES 16

/* The content of a file. */
struct content {
  char name[256];
  uint8_t *data;
  size_t size, room;            /* behind the size are zeroes */
};

struct folder_content {
  struct content files[MAX_FILES];
  size_t nr;
};

extern void folder_load (struct folder_content *f, const char *dir);
extern void folder_save (const struct folder_content *f, const char *dir);
extern void folder_copy (struct folder_content *to,
                         const struct folder_content *from);
extern void folder_free (struct folder_content *f);

enum event_kind {
  EVENT_WRITE,                  /* a punch is a write of zeroes */
  EVENT_TRUNCATE,
  EVENT_SYNC
};

struct event {
  enum event_kind kind;
  size_t file;
  uint64_t offset;              /* or the size */
  size_t count;
  uint8_t *data;                /* NULL: zeroes */
  size_t synced;                /* of EVENT_SYNC: events before this one are
                                   durable, in the file */
  uint64_t time;
};

enum fault {
  FAULT_NONE,
  FAULT_EIO,
  FAULT_ENOSPC,
  FAULT_SHORT                   /* a part is written, then EIO */
};

struct recorder {
  struct io_hook hook;
  pthread_mutex_t lock;
  struct folder_content *files; /* to know them by name */
  struct event *events;
  size_t nr, room;
  atomic_uint_fast64_t clock;

  /* Which call that changes something, or any call, is to fail. */
  enum fault fault;
  long fail_at;                 /* counts down; -1: none */
  bool reads_count;
  long calls;                   /* so far */
  bool must_report;             /* a call failed that somebody must notice */
};

extern void recorder_init (struct recorder *r, struct folder_content *files);
extern void recorder_destroy (struct recorder *r);

/* A number larger than all it gave before. */
extern uint64_t recorder_time (struct recorder *r);

/* Change 'f', which is as the files were in the beginning, to a state in
 * which they can be when power is cut before event number 'cut'.  'bias' is
 * how much of what is not synced is there, in percent.
 */
extern void recorder_cut (const struct recorder *r, size_t cut,
                          unsigned bias, uint64_t *random,
                          struct folder_content *f);

static inline uint64_t
crash_random (uint64_t *state)
{
  uint64_t z = *state += UINT64_C (0x9e3779b97f4a7c15);

  z = (z ^ z >> 30) * UINT64_C (0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C (0x94d049bb133111eb);
  return z ^ z >> 31;
}

extern void crash_fail (const char *fmt, ...)
  __attribute__ ((format (printf, 1, 2), noreturn));

#endif /* VMDK_TESTS_RECORDER_H */
