/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Where the grains of a stream are, found by reading it from its first
 * grain to its end, without its directory and tables.
 */

#ifndef VMDK_STREAM_INDEX_H
#define VMDK_STREAM_INDEX_H

#include "budget.h"
#include "header.h"
#include "io.h"

struct stream_index;

/* Read the whole stream in 'io'.  The memory that is needed is taken from
 * 'budget', in bytes, which outlives the index; if not enough is left it
 * fails.  Where the stream is damaged or cut the reading
 * stops, which is not a failure.  The log tells how far it is, and it can be
 * interrupted (VMDK_ERROR_INTERRUPTED).
 */
extern struct stream_index *
stream_index_new (struct io *io, const struct hosted_header *header,
                  struct budget *budget, const struct logger *logger,
                  struct vmdk_error *error);

/* Give back the memory.  NULL is accepted. */
extern void stream_index_free (struct stream_index *index);

/* Was the end of the stream reached, with all signs of a true one, and no
 * grain met twice?  Then a grain that is not in the index is not in the
 * stream.
 */
extern bool stream_index_is_complete (const struct stream_index *index);

/* Did every grain follow those with lower numbers? */
extern bool stream_index_is_ordered (const struct stream_index *index);

/* Where the reading stopped, in bytes. */
extern uint64_t stream_index_end (const struct stream_index *index);

/* One more than the highest grain found; 0 if there is none. */
extern uint64_t stream_index_behind (const struct stream_index *index);

/* The sector of a grain's marker; 0 if it was not found. */
extern uint64_t stream_index_find (const struct stream_index *index,
                                   uint64_t grain);

/* How many of the 'max' grains from 'grain' on are alike: all found or
 * all not found.  At least 1.
 */
extern uint64_t stream_index_run (const struct stream_index *index,
                                  uint64_t grain, uint64_t max);

#endif /* VMDK_STREAM_INDEX_H */
