/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "bytes.h"
#include "progress.h"
#include "stream-index.h"

/* Grains in a chunk of the index. */
#define CHUNK 4096

struct stream_index {
  uint32_t **chunks;            /* sectors; 0: not found */
  uint64_t nr_chunks;
  uint64_t behind, end;
  struct budget *budget;
  uint64_t memory;              /* bytes, taken from it */
  bool complete, twice, unordered;
};

/* One step of reading: what is at a sector, and where the next is. */
enum step {
  STEP_GRAIN,
  STEP_METADATA,
  STEP_FOOTER,
  STEP_END,
  STEP_DAMAGED
};

/* The markers: Virtual Disk Format 5.0, "Stream-Optimized Compressed
 * Sparse Extents".
 */
static enum step
read_marker (struct io *io, const struct hosted_header *h, uint64_t sector,
             uint64_t *lba, uint64_t *next)
{
  const uint64_t sectors = io->size / SECTOR_SIZE;
  struct vmdk_error ignored;
  uint8_t buf[STREAM_MARKER_SIZE];
  struct stream_marker m;
  uint64_t length;

  if (io_pread (io, buf, sizeof buf, sector * SECTOR_SIZE, &ignored) == -1)
    return STEP_DAMAGED;
  stream_marker_decode (buf, &m);
  *lba = m.value;
  if (m.size != 0) {
    if (!stream_grain_is_plausible (h, &m))
      return STEP_DAMAGED;
    length = STREAM_GRAIN_DATA + (uint64_t) m.size;
    *next = sector + div_up (length, SECTOR_SIZE);
    /* The padding of the last grain may be missing. */
    return length <= io->size - sector * SECTOR_SIZE ?
      STEP_GRAIN : STEP_DAMAGED;
  }

  switch (m.type) {
  case STREAM_EOS:
    return m.value == 0 ? STEP_END : STEP_DAMAGED;
  case STREAM_TABLE:
    length = div_up (h->entries_per_table * UINT64_C (4), SECTOR_SIZE);
    break;
  case STREAM_DIRECTORY:
    length = div_up (hosted_nr_tables (h) * 4, SECTOR_SIZE);
    break;
  case STREAM_FOOTER:
    length = 1;
    break;
  case STREAM_PROGRESS:
    *next = sector + 1;
    return STEP_METADATA;
  default:
    return STEP_DAMAGED;
  }
  *next = sector + 1 + length;
  if (m.value != length || *next > sectors)
    return STEP_DAMAGED;
  return m.type == STREAM_FOOTER ? STEP_FOOTER : STEP_METADATA;
}

/* Is everything from 'offset' to the end of the file zero? */
static bool
is_zero_to_end (struct io *io, uint64_t offset)
{
  struct vmdk_error ignored;
  uint8_t buf[4096];
  size_t i, n;

  for (; offset < io->size; offset += n) {
    n = (size_t) min_u64 (sizeof buf, io->size - offset);
    if (io_pread (io, buf, n, offset, &ignored) == -1)
      return false;
    for (i = 0; i < n; ++i)
      if (buf[i] != 0)
        return false;
  }
  return true;
}

/* Is the zero sector at 'sector' the end of the stream?  A sector that
 * was lost, or space that was allocated for a file that never came, looks
 * the same.  A stream with a footer ends behind that.  One with its
 * directory in front ends with the file: with one sector, or, as QEMU
 * pads it, with less than a grain more than that.
 */
static bool
is_true_end (struct io *io, const struct hosted_header *h, uint64_t sector,
             enum step before)
{
  if (before == STEP_FOOTER)
    return true;
  return h->gd_offset != HOSTED_GD_AT_END && before != STEP_DAMAGED &&
    div_up (io->size, SECTOR_SIZE) - sector <= h->grain_size + 1 &&
    is_zero_to_end (io, sector * SECTOR_SIZE);
}

/* Memory for the index, which is zero. */
static void *
allocate (struct stream_index *index, uint64_t n, size_t size,
          const char *name, struct vmdk_error *error)
{
  void *p;

  if (!budget_take (index->budget, n * size)) {
    error_set (error, VMDK_ERROR_NOMEM, ENOMEM,
               "%s: rebuilding the directory of this stream needs more "
               "memory than cache-size= allows", name);
    return NULL;
  }
  index->memory += n * size;
  p = calloc (n, size);
  if (!p)
    error_nomem (error);
  return p;
}

static int
add_grain (struct stream_index *index, uint64_t grain, uint32_t sector,
           const char *name, struct vmdk_error *error)
{
  uint32_t **chunk = &index->chunks[grain / CHUNK];

  if (index->behind > grain)
    index->unordered = true;
  if (!*chunk) {
    *chunk = allocate (index, CHUNK, sizeof **chunk, name, error);
    if (!*chunk)
      return -1;
  }
  if ((*chunk)[grain % CHUNK] != 0)
    index->twice = true;
  (*chunk)[grain % CHUNK] = sector;
  if (index->behind <= grain)
    index->behind = grain + 1;
  return 0;
}

struct stream_index *
stream_index_new (struct io *io, const struct hosted_header *h,
                  struct budget *budget, const struct logger *logger,
                  struct vmdk_error *error)
{
  const uint64_t sectors =
    min_u64 (div_up (io->size, SECTOR_SIZE), UINT32_MAX);
  struct stream_index *index = calloc (1, sizeof *index);
  enum step before = STEP_DAMAGED; /* nothing was right yet */
  struct progress progress;
  uint64_t sector, next, lba;

  if (!index) {
    error_nomem (error);
    return NULL;
  }
  index->budget = budget;
  index->nr_chunks = div_up (hosted_nr_grains (h), CHUNK);
  index->chunks = allocate (index, index->nr_chunks, sizeof *index->chunks,
                            io->name, error);
  if (!index->chunks)
    goto err;

  /* Begin at the first grain, not at the end of the descriptor: the
   * padding between looks like the end of the stream.
   */
  sector = h->overhead;
  if (sector == 0 || sector >= sectors)
    sector = h->descriptor_offset != 0 ?
      h->descriptor_offset + h->descriptor_size : 1;
  progress_begin (&progress, logger, io->name, "looking for its grains",
                  sectors * SECTOR_SIZE);
  for (; sector < sectors; sector = next) {
    const enum step step = read_marker (io, h, sector, &lba, &next);

    if (step == STEP_END)
      index->complete = is_true_end (io, h, sector, before);
    if (step == STEP_END || step == STEP_DAMAGED)
      break;
    if (step == STEP_GRAIN &&
        add_grain (index, lba / h->grain_size, (uint32_t) sector,
                   io->name, error) == -1)
      goto err;
    if (progress_at (&progress, sector * SECTOR_SIZE, error) == -1)
      goto err;
    before = step;
  }
  index->end = sector * SECTOR_SIZE;
  return index;

 err:
  stream_index_free (index);
  return NULL;
}

void
stream_index_free (struct stream_index *index)
{
  uint64_t i;

  if (!index)
    return;
  for (i = 0; index->chunks && i < index->nr_chunks; ++i)
    free (index->chunks[i]);
  free (index->chunks);
  budget_give (index->budget, index->memory);
  free (index);
}

bool
stream_index_is_complete (const struct stream_index *index)
{
  return index->complete && !index->twice;
}

bool
stream_index_is_ordered (const struct stream_index *index)
{
  return !index->unordered;
}

uint64_t
stream_index_end (const struct stream_index *index)
{
  return index->end;
}

uint64_t
stream_index_behind (const struct stream_index *index)
{
  return index->behind;
}

uint64_t
stream_index_find (const struct stream_index *index, uint64_t grain)
{
  const uint32_t *chunk = index->chunks[grain / CHUNK];

  return chunk ? chunk[grain % CHUNK] : 0;
}

uint64_t
stream_index_run (const struct stream_index *index, uint64_t grain,
                  uint64_t max)
{
  const bool found = stream_index_find (index, grain) != 0;
  uint64_t n = 1;

  while (n < max) {
    if (!found && !index->chunks[(grain + n) / CHUNK])
      n += CHUNK - (grain + n) % CHUNK;
    else if ((stream_index_find (index, grain + n) != 0) == found)
      n++;
    else
      break;
  }
  return min_u64 (n, max);
}
