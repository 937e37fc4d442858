/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "header.h"
#include "stream-output.h"

#define TABLE_SIZE (STREAM_TABLE_GRAINS * 4)

/* Sectors kept for the descriptor, so that other programs can edit it. */
#define DESCRIPTOR_SECTORS 20

static uint64_t
descriptor_sectors (const struct stream_output *output)
{
  return max_u64 (DESCRIPTOR_SECTORS,
                  div_up (strlen (output->descriptor), SECTOR_SIZE));
}

/* Sectors in front of the first grain. */
static uint64_t
overhead (const struct stream_output *output)
{
  return div_up (1 + descriptor_sectors (output), STREAM_GRAIN_SECTORS) *
    STREAM_GRAIN_SECTORS;
}

int
stream_output_init (struct stream_output *output, struct io *io,
                    uint64_t capacity, const char *descriptor,
                    struct vmdk_error *error)
{
  *output = (struct stream_output) {
    .io = io,
    .capacity = capacity,
    .descriptor = descriptor,
    .open_table = STREAM_NO_TABLE,
    .nr_tables = div_up (capacity,
                         STREAM_GRAIN_SECTORS * STREAM_TABLE_GRAINS),
  };
  output->end = overhead (output);
  output->directory = calloc (output->nr_tables, 4);
  return output->directory ? 0 : error_nomem (error);
}

void
stream_output_destroy (struct stream_output *output)
{
  free (output->directory);
  output->directory = NULL;
}

size_t
stream_pack (struct deflater *deflater, uint64_t grain, const void *in)
{
  uint8_t *p = deflater->output;
  const size_t size = deflater_run (deflater, in, STREAM_GRAIN_SIZE,
                                    p + STREAM_GRAIN_DATA);
  const size_t end = STREAM_GRAIN_DATA + size;
  const size_t padded = (size_t) (div_up (end, SECTOR_SIZE) * SECTOR_SIZE);

  store_le64 (p, grain * STREAM_GRAIN_SECTORS);
  store_le32 (p + 8, (uint32_t) size);
  memset (p + end, 0, padded - end);
  return padded;
}

/* Append 'size' bytes.  Entries of tables and of the directory have 32 bits,
 * so that nothing can lie behind 2 TiB, nor in the last sector of that, whose
 * number is read as damage; the 'main' part of what is appended begins at
 * that sector of it.
 */
static int
append (struct stream_output *output, const void *data, size_t size,
        uint64_t main, struct vmdk_error *error)
{
  if (output->end + main >= UINT32_MAX)
    return error_set (error, VMDK_ERROR_UNSUPPORTED, EFBIG,
                      "%s: a stream cannot be larger than 2 TiB",
                      output->io->name);
  if (io_pwrite (output->io, data, size, output->end * SECTOR_SIZE,
                 error) == -1)
    return -1;
  output->end += size / SECTOR_SIZE;
  return 0;
}

int
stream_output_grain (struct stream_output *output, uint64_t grain,
                     const void *packed, size_t size, uint32_t *sector,
                     struct vmdk_error *error)
{
  const uint64_t place = output->end;

  if (append (output, packed, size, 0, error) == -1)
    return -1;
  output->open_table = grain / STREAM_TABLE_GRAINS;
  *sector = (uint32_t) place;
  return 0;
}

static void
fill_marker (uint8_t *p, uint64_t sectors, uint32_t type)
{
  memset (p, 0, SECTOR_SIZE);
  store_le64 (p, sectors);
  store_le32 (p + 12, type);
}

static void
fill_entries (uint8_t *p, const uint32_t *entries, uint64_t nr)
{
  uint64_t i;

  for (i = 0; i < nr; ++i)
    store_le32 (p + i * 4,
                entries[i] < STREAM_FIRST_PLACE ? 0 : entries[i]);
}

int
stream_output_table (struct stream_output *output, const uint32_t *entries,
                     struct vmdk_error *error)
{
  uint8_t buf[SECTOR_SIZE + TABLE_SIZE];
  const uint64_t place = output->end + 1;

  fill_marker (buf, TABLE_SIZE / SECTOR_SIZE, STREAM_TABLE);
  fill_entries (buf + SECTOR_SIZE, entries, STREAM_TABLE_GRAINS);
  if (append (output, buf, sizeof buf, 1, error) == -1)
    return -1;
  output->directory[output->open_table] = (uint32_t) place;
  output->open_table = STREAM_NO_TABLE;
  return 0;
}

static void
fill_header (const struct stream_output *output, uint8_t *p,
             uint64_t gd_offset)
{
  const struct hosted_header h = {
    .version = 3,
    .flags = HOSTED_NEWLINE_TEST | HOSTED_COMPRESSED | HOSTED_MARKERS,
    .capacity = output->capacity,
    .grain_size = STREAM_GRAIN_SECTORS,
    .descriptor_offset = 1,
    .descriptor_size = descriptor_sectors (output),
    .entries_per_table = STREAM_TABLE_GRAINS,
    .gd_offset = gd_offset,
    .overhead = overhead (output),
    .compression = 1,
  };

  hosted_encode (&h, p);
}

/* The directory, piece by piece: that of a large disk takes megabytes. */
static int
append_directory (struct stream_output *output, struct vmdk_error *error)
{
  const uint64_t per_piece = 4096;
  uint8_t piece[4096 * 4];
  uint64_t i;

  fill_marker (piece, div_up (output->nr_tables * 4, SECTOR_SIZE),
               STREAM_DIRECTORY);
  if (append (output, piece, SECTOR_SIZE, 0, error) == -1)
    return -1;
  for (i = 0; i < output->nr_tables; i += per_piece) {
    const uint64_t n = min_u64 (per_piece, output->nr_tables - i);
    const uint64_t size = div_up (n * 4, SECTOR_SIZE) * SECTOR_SIZE;

    memset (piece, 0, sizeof piece);
    fill_entries (piece, output->directory + i, n);
    if (append (output, piece, size, 0, error) == -1)
      return -1;
  }
  return 0;
}

/* A grain of which only a part could be written is in the way if all that
 * came after it is smaller: QEMU looks for the footer at the end of the file.
 */
static int
cut_rest (struct stream_output *output, struct vmdk_error *error)
{
  const uint64_t size = output->end * SECTOR_SIZE;

  return output->io->size > size ? io_truncate (output->io, size, error) : 0;
}

int
stream_output_finish (struct stream_output *output, struct vmdk_error *error)
{
  const uint64_t gd_offset = output->end + 1;
  uint8_t end[3 * SECTOR_SIZE], header[HOSTED_HEADER_SIZE];
  const uint64_t size = (overhead (output) - 1) * SECTOR_SIZE;
  char *area;
  int r;

  if (append_directory (output, error) == -1)
    return -1;
  fill_marker (end, 1, STREAM_FOOTER);
  fill_header (output, end + SECTOR_SIZE, gd_offset);
  fill_marker (end + 2 * SECTOR_SIZE, 0, STREAM_EOS);
  if (append (output, end, sizeof end, 0, error) == -1 ||
      cut_rest (output, error) == -1)
    return -1;

  area = calloc (1, size);
  if (!area)
    return error_nomem (error);
  memcpy (area, output->descriptor, strlen (output->descriptor));
  r = io_pwrite (output->io, area, size, SECTOR_SIZE, error);
  free (area);
  if (r == -1)
    return -1;
  fill_header (output, header, HOSTED_GD_AT_END);
  return io_pwrite (output->io, header, sizeof header, 0, error);
}
