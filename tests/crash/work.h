/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Random changes of an image, which a model keeps up with. */

#ifndef CRASH_WORK_H
#define CRASH_WORK_H

#include "image.h"
#include "model.h"

/* What may be expected of changes after a fault. */
enum work_state {
  WORK_FINE,                    /* they succeed */
  WORK_MAYBE,                   /* all succeed, or none */
  WORK_BROKEN                   /* they are refused */
};

struct work {
  const char *path;
  struct record *rec;
  struct model *m;
  bool hooked;                  /* the record sees what the image does */
  uint64_t seed;
  uint64_t size, grain_size;    /* bytes */
  unsigned nr_threads;
  unsigned nr_phases;           /* the image may be opened again between */
  unsigned nr_ops;              /* of a thread, in a phase */
  bool faults;                  /* the record has a fault; one thread */

  struct vmdk_image *image;
  enum work_state state;
  pthread_mutex_t lock;
  char *problem;                /* the first, to be freed */
};

/* Open the image, change it, and close it. */
extern void work_run (struct work *w);

/* One phase on an open image that is being written. */
extern void work_phase (struct work *w, unsigned phase);

/* What is wrong when the call 'what' has returned 'r' with *error, that is
 * reported as a problem unless it is a fault's doing.  'hit' is what
 * w->rec->fault.hit was before.  'change' tells whether the call changes
 * the image.  Returns r.
 */
extern int work_judge (struct work *w, const char *what, int r,
                       const struct vmdk_error *error, unsigned hit,
                       bool change);

/* All of the disk, to be freed; NULL if it cannot be read. */
extern uint8_t *work_read (struct vmdk_image *image,
                           struct vmdk_error *error);

#endif /* CRASH_WORK_H */
