/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The bytes of a streamOptimized file (Virtual Disk Format 5.0, "Stream
 * Optimized Compressed Sparse Extents"), put down one part after the other:
 * grains in ascending order, each table behind its grains, then the
 * directory and the footer.  The header comes last, so that what is not
 * complete begins with zeroes.
 *
 * Calls on one output must not overlap.
 */

#ifndef VMDK_STREAM_OUTPUT_H
#define VMDK_STREAM_OUTPUT_H

#include "bytes.h"
#include "deflate.h"
#include "io.h"

#define STREAM_GRAIN_SECTORS UINT64_C (128)
#define STREAM_GRAIN_SIZE (STREAM_GRAIN_SECTORS * SECTOR_SIZE)
#define STREAM_TABLE_GRAINS UINT64_C (512)

/* A marker and a grain that could not be compressed: 12 + 65 552 bytes, in
 * whole sectors, are all that readers are ready for.
 */
#define STREAM_PACKED_MAX (STREAM_GRAIN_SIZE + SECTOR_SIZE)

struct stream_output {
  struct io *io;                /* borrowed */
  uint64_t capacity;            /* sectors */
  const char *descriptor;       /* borrowed; the text */
  uint64_t end;                 /* the next sector */
  uint64_t open_table;          /* has grains, but has not been written */
  uint64_t nr_tables;
  uint32_t *directory;
};

/* No table is open. */
#define STREAM_NO_TABLE UINT64_MAX

/* The output borrows 'io' and 'descriptor'.  On failure nothing is left to
 * free.
 */
extern int stream_output_init (struct stream_output *output, struct io *io,
                               uint64_t capacity, const char *descriptor,
                               struct vmdk_error *error);
extern void stream_output_destroy (struct stream_output *output);

/* Make what the file gets for a grain: its marker, its STREAM_GRAIN_SIZE
 * bytes at 'in' compressed, and zeroes to the end of the sector, in
 * deflater->output.  Returns its size (bytes).
 */
extern size_t stream_pack (struct deflater *deflater, uint64_t grain,
                           const void *in);

/* Append a grain that was packed.  *sector gets its place.  The table of
 * the ones before must have been written if it is another one.
 */
extern int stream_output_grain (struct stream_output *output,
                                uint64_t grain, const void *packed,
                                size_t size, uint32_t *sector,
                                struct vmdk_error *error);

/* Append the open table, whose entries are STREAM_TABLE_GRAINS sectors, or
 * less than STREAM_FIRST_PLACE for grains that are not there.
 */
extern int stream_output_table (struct stream_output *output,
                                const uint32_t *entries,
                                struct vmdk_error *error);
#define STREAM_FIRST_PLACE 2

/* Complete the file.  No table may be open. */
extern int stream_output_finish (struct stream_output *output,
                                 struct vmdk_error *error);

#endif /* VMDK_STREAM_OUTPUT_H */
