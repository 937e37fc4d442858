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

/* The faults that the record has.  With any, there is one thread. */
enum work_faults {
  FAULTS_NONE,
  FAULTS_ONE,
  FAULTS_MANY                   /* the image is opened again after them */
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
  enum work_faults faults;

  struct vmdk_image *image;
  enum work_state state;
  bool lost;                    /* a sync has failed */
  pthread_mutex_t lock;
  char *problem;                /* the first, to be freed */
};

/* Open the image, change it, and close it. */
extern void work_run (struct work *w);

/* One phase on an open image that is being written. */
extern void work_phase (struct work *w, unsigned phase);

/* Judge a call that has just returned 'r' with *error: a failure is reported
 * as a problem unless it is a fault's doing, and so is a fault that the call
 * has kept to itself.  'change' tells whether the call changes the image.
 * Returns r.
 */
extern int work_judge (struct work *w, const char *what, int r,
                       const struct vmdk_error *error, bool change);

/* All of the disk, to be freed; NULL if it cannot be read. */
extern uint8_t *work_read (struct vmdk_image *image,
                           struct vmdk_error *error);

#endif /* CRASH_WORK_H */
