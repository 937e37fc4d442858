/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Images of several shapes for the tests of recover.c: in memory, with what
 * a power cut cannot take, and sectors that cannot be read.
 */

#ifndef VMDK_TESTS_RECOVER_IMAGE_H
#define VMDK_TESTS_RECOVER_IMAGE_H

#include <errno.h>

#include "recover.h"
#include "unit.h"

/* A header, a descriptor of two sectors, and the directories, each before
 * its tables.  Grains follow; of those only the places exist.
 */
#define FIRST_DIRECTORY 3
#define MAX_META 640            /* sectors */
#define MAX_TAIL 160            /* sectors that can be added at the end */
#define MAX_DATA ((MAX_META + MAX_TAIL) * SECTOR_SIZE)

struct image {
  struct io io;
  struct gtable_layout layout;
  unsigned nr_copies;
  uint64_t nr_tables, directory_size;
  uint64_t first_grain;
  uint64_t sectors;             /* of the file at first */
  uint64_t durable_size;        /* bytes */
  unsigned writes, reads;
  size_t written;               /* bytes */
  unsigned max_writes;          /* those that come later fail */
  bool unsynced_tables;         /* written since the last sync */
  bool named_too_early;         /* then a directory was written */
  uint64_t fail_from[2], fail_until[2]; /* sectors that cannot be read, */
  unsigned fail_first, fail_last;       /* by these of all calls */

  /* The whole file, if it is small; otherwise what is before the grains,
   * and from MAX_META on what has been added.
   */
  uint8_t data[MAX_DATA];
  uint8_t durable[MAX_DATA];    /* what a power cut cannot take */
};

static struct image m;
static struct recover_report report;
static struct vmdk_error error;
static uint64_t seed = 1;
static uint64_t descriptor;     /* a sector of one, elsewhere */

/* Where a sector is in 'data'. */
static inline uint8_t *
stored (uint64_t offset, uint64_t count)
{
  const uint64_t meta = m.first_grain * SECTOR_SIZE;
  const uint64_t tail = m.sectors * SECTOR_SIZE;

  if (m.sectors <= MAX_META) {
    assert_true (offset + count <= MAX_DATA);
    return m.data + offset;
  }
  assert_true (offset + count <= meta || offset >= tail);
  if (offset < meta)
    return m.data + offset;
  assert_true (offset + count - tail <= MAX_TAIL * SECTOR_SIZE);
  return m.data + MAX_META * SECTOR_SIZE + (offset - tail);
}

static inline int
image_pread (struct io *io, void *buf, size_t count, uint64_t offset,
             struct vmdk_error *e)
{
  unsigned i;
  const unsigned call = m.reads++;

  assert_true (offset <= io->size && count <= io->size - offset);
  for (i = 0; i < 2; ++i)
    if (call >= m.fail_first && call <= m.fail_last &&
        offset < m.fail_until[i] * SECTOR_SIZE &&
        offset + count > m.fail_from[i] * SECTOR_SIZE)
      return error_set (e, VMDK_ERROR_IO, EIO, "t.vmdk: unreadable");
  memcpy (buf, stored (offset, count), count);
  return 0;
}

static inline bool
is_in_directory (uint64_t offset)
{
  unsigned k;

  for (k = 0; k < m.nr_copies; ++k)
    if (offset / SECTOR_SIZE >= m.layout.directory[k] &&
        offset / SECTOR_SIZE < m.layout.directory[k] + m.directory_size)
      return true;
  return false;
}

static inline int
image_pwrite (struct io *io, const void *buf, size_t count,
              uint64_t offset, struct vmdk_error *e)
{
  unsigned i;

  if (m.writes++ >= m.max_writes)
    return error_set (e, VMDK_ERROR_IO, EIO, "t.vmdk: the power is off");
  m.written += count;
  if (is_in_directory (offset))
    m.named_too_early |= m.unsynced_tables;
  else
    m.unsynced_tables = true;
  memcpy (stored (offset, count), buf, count);
  if (io->size < offset + count)
    io->size = offset + count;

  /* As on a disk that remaps what is written. */
  for (i = 0; i < 2; ++i)
    if (offset <= m.fail_from[i] * SECTOR_SIZE &&
        offset + count >= m.fail_until[i] * SECTOR_SIZE)
      m.fail_until[i] = 0;
  return 0;
}

static inline int
image_sync (struct io *io, struct vmdk_error *e)
{
  if (m.writes >= m.max_writes)
    return error_set (e, VMDK_ERROR_IO, EIO, "t.vmdk: the power is off");
  memcpy (m.durable, m.data, sizeof m.data);
  m.durable_size = io->size;
  m.unsynced_tables = false;
  return 0;
}

static const struct io_ops image_ops = {
  .pread = image_pread,
  .pwrite = image_pwrite,
  .sync = image_sync,
};

static inline uint64_t
decode_table (void *opaque, uint64_t table, uint64_t raw)
{
  (void) opaque;
  assert_true (table < m.nr_tables);
  if (raw == 0)
    return ENTRY_HOLE;
  return raw < FIRST_DIRECTORY || raw * SECTOR_SIZE >= m.io.size ||
    (raw <= descriptor && descriptor < raw + m.layout.table_size) ?
    ENTRY_BAD : raw;
}

static inline uint64_t
decode_grain (void *opaque, uint64_t grain, uint64_t raw, bool *partial)
{
  (void) opaque;
  assert_true (grain < m.layout.nr_grains);
  if (raw <= 1)
    return raw;
  if (raw < FIRST_DIRECTORY || raw * SECTOR_SIZE >= m.io.size)
    return ENTRY_BAD;

  /* Of the last grain a sector counts. */
  *partial = (raw + (grain == m.layout.nr_grains - 1 ? 1 :
                     m.layout.grain_size)) * SECTOR_SIZE > m.io.size;
  return raw;
}

static inline uint8_t *
directory_entry (unsigned copy, uint64_t table)
{
  return stored (m.layout.directory[copy] * SECTOR_SIZE + table * 4, 4);
}

/* The entry of a grain, wherever the directory says. */
static inline uint8_t *
entry (unsigned copy, uint64_t grain)
{
  const uint64_t e = m.layout.entries_per_table;
  const uint64_t at = load_le32 (directory_entry (copy, grain / e));

  return stored (at * SECTOR_SIZE + grain % e * 4, 4);
}

static inline uint32_t
get (unsigned copy, uint64_t grain)
{
  return load_le32 (entry (copy, grain));
}

static inline void
set (unsigned copy, uint64_t grain, uint32_t value)
{
  store_le32 (entry (copy, grain), value);
}

static inline void
set_all (uint64_t grain, uint32_t value)
{
  unsigned k;

  for (k = 0; k < m.nr_copies; ++k)
    set (k, grain, value);
}

/* An image of 'sectors', or of so many as have place for each grain once
 * more, whose grains are holes.
 */
static inline void
make (unsigned nr_copies, uint32_t entries, uint64_t nr_grains,
      uint64_t grain_size, uint64_t sectors)
{
  uint64_t at = FIRST_DIRECTORY, i;
  unsigned k;

  memset (&m, 0, sizeof m);
  m.nr_copies = nr_copies;
  m.nr_tables = div_up (nr_grains, entries);
  m.directory_size = div_up (m.nr_tables * 4, SECTOR_SIZE);
  m.layout = (struct gtable_layout) {
    .io = &m.io, .logger = &no_log,
    .entry_size = 4, .entries_per_table = entries,
    .nr_grains = nr_grains, .grain_size = grain_size,
    .table_size = entries * 4 / SECTOR_SIZE,
    .decode_table = decode_table, .decode_grain = decode_grain,
  };
  m.first_grain = FIRST_DIRECTORY +
    nr_copies * (m.directory_size + m.nr_tables * m.layout.table_size);
  assert_true (m.first_grain <= MAX_META);
  m.sectors = sectors ? sectors :
    m.first_grain + (2 * nr_grains + 3) * grain_size;
  m.io = (struct io) {
    .ops = &image_ops, .name = (char *) "t.vmdk",
    .size = m.sectors * SECTOR_SIZE, .writable = true,
  };
  m.max_writes = m.fail_last = UINT32_MAX;
  for (k = 0; k < nr_copies; ++k) {
    m.layout.directory[k] = at;
    at += m.directory_size;
    for (i = 0; i < m.nr_tables; ++i, at += m.layout.table_size)
      store_le32 (directory_entry (k, i), (uint32_t) at);
  }
  m.layout.plain_from =
    m.layout.directory[nr_copies - 1] + m.directory_size;
}

static inline int
run (bool interrupted, bool repair, uint64_t budget)
{
  struct recover_memory memory;
  int r;

  recover_memory_init (&memory, budget, 1);
  m.writes = m.reads = 0;
  m.written = 0;
  r = recover_tables (&m.layout, interrupted, repair, &memory, NULL, &report,
                      &error);
  assert_int_equal (memory.taken[0] + memory.taken[1], 0);
  recover_memory_destroy (&memory);
  return r;
}

#define recover() run (false, true, 1 << 20)

static inline void
check_done (int r, const char *file, int line)
{
  if (r == 0)
    return;
  print_error ("%s\n", error.message);
  _fail (file, line);
}

#define assert_done(r) check_done (r, __FILE__, __LINE__)

/* Refused, and nothing changed. */
#define assert_refused(r, error_kind, piece)                            \
  do {                                                                  \
    assert_int_equal (r, -1);                                           \
    assert_error (&error, error_kind, 0, piece);                        \
    assert_int_equal (m.writes, 0);                                     \
  } while (0)

/* The place 'n' of grains, which need not be aligned. */
static inline uint32_t
place (uint64_t n)
{
  return (uint32_t) (m.first_grain + 1 + n * m.layout.grain_size);
}

/* Each grain gets a hole, zeroes, or a place, scattered: the n-th grain one
 * of the two that nobody else gets.
 */
static inline uint32_t
random_value (uint64_t n)
{
  const uint64_t nr = m.layout.nr_grains;

  switch (random_below (&seed, 4)) {
  case 0:
    return 0;
  case 1:
    return 1;
  default:
    return place (n * 7 % nr + random_below (&seed, 2) * nr);
  }
}

static inline void
fill (void)
{
  uint64_t i;

  assert_true (m.layout.nr_grains % 7 != 0);
  for (i = 0; i < m.layout.nr_grains; ++i)
    set_all (i, random_value (i));
  image_sync (&m.io, &error);
}

/* Put the image into a state that a writer can leave: some entries were
 * changed, and of the sectors that were written to either copy any may have
 * arrived.  Gives each entry's two values.
 */
static inline void
publish (uint32_t *old, uint32_t *new)
{
  const uint64_t e = m.layout.entries_per_table;
  uint64_t i, j;
  unsigned k;

  for (i = 0; i < m.layout.nr_grains; ++i) {
    old[i] = new[i] = get (0, i);
    if (random_below (&seed, 3) == 0) {
      const uint32_t value = random_value (i);

      if (old[i] <= 1 || value <= 1)
        new[i] = value;
    }
  }
  for (k = 0; k < m.nr_copies; ++k)
    for (i = 0; i < m.layout.nr_grains; i += j) {
      const bool arrived = next_random (&seed) >> 40 & 1;

      for (j = 0; j < SECTOR_SIZE / 4 && (j == 0 || (i + j) % e != 0) &&
           i + j < m.layout.nr_grains; ++j)
        if (arrived)
          set (k, i + j, new[i + j]);
    }
  image_sync (&m.io, &error);
}

/* Are the tables what a writer may go on with?  Looked at by other means:
 * one byte for each sector.
 */
static inline void
check_consistent (void)
{
  const uint64_t sectors = m.io.size / SECTOR_SIZE;
  uint8_t *used = calloc (1, sectors + m.layout.grain_size);
  uint64_t i, j, allocated = 0, end = m.layout.plain_from;
  unsigned k;

  assert_non_null (used);
  for (k = 0; k < m.nr_copies; ++k) {
    for (j = 0; j < m.directory_size; ++j)
      used[m.layout.directory[k] + j]++;
    for (i = 0; i < m.nr_tables; ++i) {
      const uint64_t at = load_le32 (directory_entry (k, i));

      assert_int_equal (at == 0, load_le32 (directory_entry (0, i)) == 0);
      assert_true (at == 0 || at + m.layout.table_size <= sectors);
      for (j = 0; at != 0 && j < m.layout.table_size; ++j)
        used[at + j]++;
      end = max_u64 (end, at + m.layout.table_size);
    }
  }
  for (i = 0; i < m.layout.nr_grains; ++i) {
    const uint64_t table = i / m.layout.entries_per_table;
    bool partial = false;
    uint64_t code;

    if (load_le32 (directory_entry (0, table)) == 0)
      continue;
    code = decode_grain (NULL, i, get (0, i), &partial);
    assert_true (code != ENTRY_BAD && !partial);
    for (k = 1; k < m.nr_copies; ++k)
      assert_int_equal (get (k, i), code);
    if (!entry_is_place (code))
      continue;
    allocated++;
    end = max_u64 (end, code + m.layout.grain_size);
    for (j = 0; j < m.layout.grain_size; ++j)
      used[code + j]++;
  }
  for (i = 0; i < sectors; ++i)
    assert_true (used[i] <= 1);
  free (used);
  assert_memory_equal (m.data, m.durable, sizeof m.data);
  assert_true (report.end >= end);
  assert_int_equal (report.nr_allocated, allocated);

  assert_done (recover ());
  assert_int_equal (m.writes, 0);
  assert_int_equal (report.nr_differing, 0);
  assert_int_equal (report.nr_mended, 0);
  assert_int_equal (report.end, end);
}

static inline void
make_shape (unsigned shape)
{
  switch (shape) {
  case 0:
    make (2, 512, 1300, 3, 0);
    break;
  case 1:
    make (2, 128, 515, 8, 0);
    break;
  case 2:
    make (1, 4096, 5000, 1, 0);
    break;
  case 3:
    make (2, 256, 256 + 1, 128, 0);
    break;
  case 4:
    make (2, 128, 130, 2, 0);
    break;
  default:
    make (1, 128, 258, 1, 0);
    break;
  }
}

#endif /* VMDK_TESTS_RECOVER_IMAGE_H */
