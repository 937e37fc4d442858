/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Streams (compressed sparse extents) made in memory: piece by piece,
 * so that each piece can be wrong.
 */

#ifndef VMDK_TESTS_STREAMS_H
#define VMDK_TESTS_STREAMS_H

#include <libdeflate.h>

#include "header.h"
#include "unit.h"

#define STREAMS_MAX_SECTORS 4096
#define STREAMS_MAX_GRAINS 64
#define STREAMS_OVERHEAD 8

/* Grains of four sectors and tables of 16 entries. */
#define GRAIN_SECTORS 4
#define GRAIN_BYTES 2048
#define ENTRIES 16

struct stream_file {
  uint8_t data[STREAMS_MAX_SECTORS * 512];
  uint64_t sectors;             /* so far */
  uint64_t nr_grains;
  uint32_t where[STREAMS_MAX_GRAINS];
  uint64_t directory;

  /* What the disk holds. */
  uint8_t disk[STREAMS_MAX_GRAINS * GRAIN_BYTES];
};

static inline struct hosted_header
stream_header (const struct stream_file *f)
{
  struct hosted_header h;

  hosted_decode (f->data, &h);
  return h;
}

/* The header, and zeroes up to the first grain. */
static inline void
stream_begin (struct stream_file *f, uint64_t capacity)
{
  memset (f, 0, sizeof *f);
  f->nr_grains = div_up (capacity, GRAIN_SECTORS);
  assert_true (f->nr_grains <= STREAMS_MAX_GRAINS);
  memcpy (f->data, "KDMV", 4);
  store_le32 (f->data + 4, 3);
  store_le32 (f->data + 8, HOSTED_NEWLINE_TEST | HOSTED_COMPRESSED |
              HOSTED_MARKERS);
  store_le64 (f->data + 12, capacity);
  store_le64 (f->data + 20, GRAIN_SECTORS);
  store_le32 (f->data + 44, ENTRIES);
  store_le64 (f->data + 56, HOSTED_GD_AT_END);
  store_le64 (f->data + 64, STREAMS_OVERHEAD);
  memcpy (f->data + 73, "\n \r\n", 4);
  store_le16 (f->data + 77, 1);
  f->sectors = STREAMS_OVERHEAD;
}

/* The zlib stream of 'len' bytes.  Returns its size. */
static inline size_t
stream_compress (const void *data, size_t len, int level, uint8_t *out,
                 size_t room)
{
  struct libdeflate_compressor *c = libdeflate_alloc_compressor (level);
  size_t size;

  assert_non_null (c);
  size = libdeflate_zlib_compress (c, data, len, out, room);
  libdeflate_free_compressor (c);
  assert_true (size > 0);
  return size;
}

/* The first 'len' bytes of a grain of the disk, which get filled with
 * what can hardly be compressed, unless they are already.
 */
static inline void
stream_fill (struct stream_file *f, uint64_t grain, size_t len)
{
  uint64_t seed = grain * 1000 + 1;
  uint8_t *p = f->disk + grain * GRAIN_BYTES;
  size_t i;

  for (i = 0; i < len; ++i)
    p[i] = (uint8_t) (i % 8 ? next_random (&seed) >> 56 : grain);
}

/* Append a grain of which 'len' bytes are compressed, which must be
 * there already.  Returns the sector of its marker.
 */
static inline uint64_t
stream_add_bytes (struct stream_file *f, uint64_t grain, size_t len,
                  int level)
{
  const uint64_t sector = f->sectors;
  uint8_t *p = f->data + sector * SECTOR_SIZE;
  size_t size;

  size = stream_compress (f->disk + grain * GRAIN_BYTES, len, level,
                          p + STREAM_GRAIN_DATA, 3 * GRAIN_BYTES);
  store_le64 (p, grain * GRAIN_SECTORS);
  store_le32 (p + 8, (uint32_t) size);
  f->sectors += div_up (STREAM_GRAIN_DATA + size, SECTOR_SIZE);
  f->where[grain] = (uint32_t) sector;
  assert_true (f->sectors + 64 < STREAMS_MAX_SECTORS);
  return sector;
}

/* Append a grain of data. */
static inline uint64_t
stream_add (struct stream_file *f, uint64_t grain)
{
  stream_fill (f, grain, GRAIN_BYTES);
  return stream_add_bytes (f, grain, GRAIN_BYTES, 6);
}

/* Append a metadata marker.  Returns its sector. */
static inline uint64_t
stream_add_marker (struct stream_file *f, uint64_t value, uint32_t type)
{
  uint8_t *p = f->data + f->sectors * SECTOR_SIZE;

  store_le64 (p, value);
  store_le32 (p + 12, type);
  return f->sectors++;
}

/* Append the tables that have grains, and the directory. */
static inline void
stream_add_tables (struct stream_file *f)
{
  const uint64_t tables = div_up (f->nr_grains, ENTRIES);
  uint32_t directory[STREAMS_MAX_GRAINS];
  uint64_t i, j;

  for (i = 0; i < tables; ++i) {
    bool any = false;

    for (j = i * ENTRIES; j < (i + 1) * ENTRIES && j < f->nr_grains; ++j)
      any = any || f->where[j] != 0;
    directory[i] = 0;
    if (!any)
      continue;
    stream_add_marker (f, 1, STREAM_TABLE);
    directory[i] = (uint32_t) f->sectors;
    for (j = i * ENTRIES; j < (i + 1) * ENTRIES && j < f->nr_grains; ++j)
      store_le32 (f->data + f->sectors * SECTOR_SIZE + j % ENTRIES * 4,
                  f->where[j]);
    f->sectors++;
  }
  stream_add_marker (f, 1, STREAM_DIRECTORY);
  f->directory = f->sectors;
  for (i = 0; i < tables; ++i)
    store_le32 (f->data + f->sectors * SECTOR_SIZE + i * 4, directory[i]);
  f->sectors++;
}

/* Where the entry of a grain is in the file. */
static inline uint8_t *
stream_entry (struct stream_file *f, uint64_t grain)
{
  const uint8_t *gde = f->data + f->directory * SECTOR_SIZE +
    grain / ENTRIES * 4;

  return f->data + load_le32 (gde) * SECTOR_SIZE + grain % ENTRIES * 4;
}

/* The footer with its marker. */
static inline void
stream_add_footer (struct stream_file *f)
{
  uint8_t *p;

  stream_add_marker (f, 1, STREAM_FOOTER);
  p = f->data + f->sectors * SECTOR_SIZE;
  memcpy (p, f->data, SECTOR_SIZE);
  store_le64 (p + 56, f->directory);
  f->sectors++;
}

/* All that comes behind the grains. */
static inline void
stream_end (struct stream_file *f)
{
  stream_add_tables (f);
  stream_add_footer (f);
  stream_add_marker (f, 0, STREAM_EOS);
}

#endif /* VMDK_TESTS_STREAMS_H */
