/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* States of the disk after a power cut.
 *
 * At a moment in a record, those changes of a file are durable that had
 * been made before the last sync began that has ended.  Of each sector with
 * later changes the disk may hold the content after any of them, or what
 * was there before all: the system writes back whole sectors, when it
 * likes.  Changes of the size likewise.  A sync that failed makes nothing
 * durable, and no later one does that for what it was to cover.
 */

#ifndef CRASH_STATE_H
#define CRASH_STATE_H

#include "disk.h"
#include "record.h"

/* Which of the changes that need not be there are. */
enum strategy {
  STATE_NONE,
  STATE_ALL,
  STATE_TABLES,                 /* those of metadata */
  STATE_DATA,                   /* the others */
  STATE_LAST_MISSING,
  STATE_FIRST_MISSING,
  STATE_ONE_MISSING,
  STATE_ONE,
  STATE_EARLY,                  /* those before a moment */
  STATE_LATE,                   /* those behind it */
  STATE_WHOLE,                  /* random ones, each as a whole */
  STATE_TORN,                   /* random ones, parts of some */
  STATE_SECTORS,                /* random sectors */
  NR_STRATEGIES
};

extern const char *strategy_name (enum strategy strategy);

/* What is the same for all cuts of a record. */
struct replay;

/* 'base' is what the files were before the record. */
extern struct replay *replay_new (const struct record *rec,
                                  const struct disk *base);
extern void replay_free (struct replay *replay);

/* The disk after the event or mark 'cut', which must not be less than that
 * of the call before.
 */
extern void replay_state (struct replay *replay, uint64_t cut,
                          enum strategy strategy, uint64_t seed,
                          struct disk *state);

#endif /* CRASH_STATE_H */
