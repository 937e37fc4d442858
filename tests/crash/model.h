/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* What a disk must hold now, and what it may hold after a power cut.
 *
 * Each operation gives the sectors that it meets a new version, which may
 * be on the disk from the moment on when the operation begins.  It is
 * durable, and all before it are gone for good, when a flush has ended that
 * began after the operation had returned, or the operation itself if it
 * was to force that.
 *
 * Moments are those of a record.  A sector belongs to one thread at a time:
 * only that one may call what has to do with it.
 */

#ifndef CRASH_MODEL_H
#define CRASH_MODEL_H

#include <pthread.h>

#include "record.h"

struct model;

/* Operations that write count from 'first' on. */
extern struct model *model_new (struct record *rec, uint32_t first,
                                const uint8_t *content, uint64_t size);
extern void model_free (struct model *m);

/* The number of the next operation. */
extern uint32_t model_number (struct model *m);

/* An operation begins, that writes 'new', or zeroes if that is NULL. */
extern void model_begin (struct model *m, uint32_t number,
                         const uint8_t *new, uint64_t count, uint64_t offset,
                         bool fua);

/* It has returned, and done it. */
extern void model_done (struct model *m, uint32_t number,
                        const uint8_t *new);

/* It has returned, and changed nothing. */
extern void model_void (struct model *m, uint32_t number);

/* It has returned, maybe with a failure, and may have done it in each
 * sector or not; 'now' is what the range holds.  Returns NULL, or what is
 * wrong with that, to be freed.
 */
extern char *model_done_maybe (struct model *m, uint32_t number,
                               const uint8_t *new, const uint8_t *now,
                               bool failed);

/* The image has been opened again after changes were refused: 'now' is what
 * it holds, of which not all need be durable.  NULL, or what is wrong.
 */
extern char *model_adopt (struct model *m, const uint8_t *now);

/* Around what makes all durable that had returned before. */
extern uint64_t model_flush_begin (struct model *m);
extern void model_flush_done (struct model *m, uint64_t begin);

/* Does the range hold what it must?  NULL, or what is wrong. */
extern char *model_compare (struct model *m, const uint8_t *buf,
                            uint64_t count, uint64_t offset);

/* May the disk hold this after a power cut at the moment 'cut'? */
extern char *model_check (struct model *m, uint64_t cut,
                          const uint8_t *content);

/* What it must hold now. */
extern const uint8_t *model_content (const struct model *m);

/* A moment at which a flush had ended, by random; 0 if there was none. */
extern uint64_t model_flushed_at (const struct model *m, uint64_t random);

#endif /* CRASH_MODEL_H */
