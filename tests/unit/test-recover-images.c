/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* recover.c over images of several shapes: cut off by the power while they
 * are published and while they are repaired, damaged at random, large, and
 * unreadable.
 */

#include <config.h>

#include <errno.h>

#include "unit.h"

#include "recover.h"

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
static uint8_t *
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

static int
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

static int
image_pwrite (struct io *io, const void *buf, size_t count,
              uint64_t offset, struct vmdk_error *e)
{
  unsigned i;

  if (m.writes++ >= m.max_writes)
    return error_set (e, VMDK_ERROR_IO, EIO, "t.vmdk: the power is off");
  m.written += count;
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

static int
image_sync (struct io *io, struct vmdk_error *e)
{
  if (m.writes >= m.max_writes)
    return error_set (e, VMDK_ERROR_IO, EIO, "t.vmdk: the power is off");
  memcpy (m.durable, m.data, sizeof m.data);
  m.durable_size = io->size;
  return 0;
}

static const struct io_ops image_ops = {
  .pread = image_pread,
  .pwrite = image_pwrite,
  .sync = image_sync,
};

static uint64_t
decode_table (void *opaque, uint64_t table, uint64_t raw)
{
  (void) opaque;
  assert_true (table < m.nr_tables);
  if (raw == 0)
    return ENTRY_HOLE;
  return raw < FIRST_DIRECTORY || raw * SECTOR_SIZE >= m.io.size ||
    raw == descriptor ? ENTRY_BAD : raw;
}

static uint64_t
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

static uint8_t *
directory_entry (unsigned copy, uint64_t table)
{
  return stored (m.layout.directory[copy] * SECTOR_SIZE + table * 4, 4);
}

/* The entry of a grain, wherever the directory says. */
static uint8_t *
entry (unsigned copy, uint64_t grain)
{
  const uint64_t e = m.layout.entries_per_table;
  const uint64_t at = load_le32 (directory_entry (copy, grain / e));

  return stored (at * SECTOR_SIZE + grain % e * 4, 4);
}

static uint32_t
get (unsigned copy, uint64_t grain)
{
  return load_le32 (entry (copy, grain));
}

static void
set (unsigned copy, uint64_t grain, uint32_t value)
{
  store_le32 (entry (copy, grain), value);
}

static void
set_all (uint64_t grain, uint32_t value)
{
  unsigned k;

  for (k = 0; k < m.nr_copies; ++k)
    set (k, grain, value);
}

/* An image of 'sectors', or of so many as have place for each grain once
 * more, whose grains are holes.
 */
static void
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
    .io = &m.io, .entry_size = 4, .entries_per_table = entries,
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

static int
run (bool interrupted, bool repair, uint64_t budget)
{
  m.writes = m.reads = 0;
  m.written = 0;
  return recover_tables (&m.layout, interrupted, repair, budget, NULL,
                         &report, &error);
}

#define recover() run (false, true, 1 << 20)

static void
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
static uint32_t
place (uint64_t n)
{
  return (uint32_t) (m.first_grain + 1 + n * m.layout.grain_size);
}

/* Each grain gets a hole, zeroes, or a place, scattered: the n-th grain one
 * of the two that nobody else gets.
 */
static uint32_t
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

static void
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
static void
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
static void
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

static void
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

/* What is in order is not touched. */
static void
test_clean (void **state)
{
  unsigned shape;

  (void) state;
  for (shape = 0; shape < 4; ++shape) {
    make_shape (shape);
    fill ();
    assert_done (run (false, false, 0));
    assert_int_equal (m.writes, 0);
    check_consistent ();
  }
}

/* Whatever a writer left is put right: each entry is one of its two values,
 * the place if only one of them is one, or the primary's.
 */
static void
test_published (void **state)
{
  static uint32_t old[5000], new[5000], was[5000];
  unsigned round;
  uint64_t i;

  (void) state;
  for (round = 0; round < 160; ++round) {
    const bool interrupted = round / 4 % 2;

    make_shape (round % 4);
    fill ();
    publish (old, new);
    for (i = 0; i < m.layout.nr_grains; ++i) {
      const uint32_t a = get (0, i);
      const uint32_t b = get (m.nr_copies - 1, i);

      was[i] = interrupted || a > b ? a : b;
    }
    assert_done (run (interrupted, true, 0));
    assert_int_equal (report.nr_differing, report.nr_mended);
    for (i = 0; i < m.layout.nr_grains; ++i) {
      assert_int_equal (get (0, i), was[i]);
      assert_true (was[i] == old[i] || was[i] == new[i]);
    }
    check_consistent ();
  }
}

/* Without leave to repair the differences are only counted. */
static void
test_only_looking (void **state)
{
  (void) state;
  make_shape (0);
  fill ();
  set_all (7, 0);
  set (1, 7, 1);
  set_all (1299, 1);
  set (0, 1299, 0);
  store_le32 (directory_entry (1, 1), 0);
  assert_refused (run (false, false, 0), VMDK_ERROR_CORRUPT,
                  "differ in 3 entries");
  assert_int_equal (report.nr_differing, 3);
  m.io.writable = false;
  assert_refused (recover (), VMDK_ERROR_CORRUPT, "differ in 3 entries");
  m.io.writable = true;
  assert_done (recover ());
  assert_int_equal (report.nr_mended, 3);
  check_consistent ();
}

/* The power goes off: of what was not synced any sectors are lost, and the
 * file may be as short as it was.
 */
static void
cut_power (void)
{
  const uint64_t tail = MAX_META * SECTOR_SIZE;
  uint64_t i;

  for (i = 0; i < sizeof m.data; i += SECTOR_SIZE)
    if (next_random (&seed) >> 40 & 1)
      memcpy (m.data + i, m.durable + i, SECTOR_SIZE);
  if (next_random (&seed) >> 40 & 1)
    m.io.size = m.durable_size;
  memset (m.data + tail + (m.io.size - m.sectors * SECTOR_SIZE), 0,
          sizeof m.data - tail - (m.io.size - m.sectors * SECTOR_SIZE));
  memcpy (m.durable, m.data, sizeof m.data);
  m.durable_size = m.io.size;
  m.max_writes = UINT32_MAX;
}

/* Cut off after any of its writes, and that once more, a repair is finished
 * by the next one with the same result.
 */
static void
test_cut_repair (void **state)
{
  static struct image before;
  static uint32_t old[1300], new[1300], whole[1300];
  unsigned round, k, total, again, cuts = 0;
  uint64_t i;

  (void) state;
  for (round = 0; round < 30; ++round) {
    const bool interrupted = round / 2 % 2;

    make_shape (round % 2);
    fill ();
    publish (old, new);
    if (round % 5 == 0) {
      set_all (m.layout.nr_grains - 1, 0);
      set (round / 5 % 2, m.layout.nr_grains - 1, UINT32_MAX - 9);
    }
    if (round % 3 == 0)
      store_le32 (directory_entry (round / 3 % 2, 0), 0);
    if (round % 3 == 1)
      store_le32 (directory_entry (1, 1), UINT32_MAX);
    image_sync (&m.io, &error);
    before = m;
    assert_done (run (interrupted, true, 0));
    total = m.writes;
    cuts += total;
    for (i = 0; i < m.layout.nr_grains; ++i)
      whole[i] = get (0, i);
    check_consistent ();

    for (k = 0; k <= total + 1; ++k) {
      m = before;
      for (again = 0; again < 2; ++again) {
        m.max_writes = again == 0 ? k : (unsigned) random_below (&seed, 4);
        if (run (interrupted, true, 0) == -1)
          assert_error (&error, VMDK_ERROR_IO, EIO, "power");
        cut_power ();
      }
      assert_done (run (interrupted, true, 0));
      for (i = 0; i < m.layout.nr_grains; ++i)
        assert_int_equal (get (0, i), whole[i]);
      check_consistent ();
    }
  }
  assert_true (cuts > 100);
}

/* Anything may stand in the tables and directories: it is refused, and not
 * changed, or made consistent.
 */
static void
test_damaged (void **state)
{
  static uint8_t before[MAX_DATA];
  unsigned round, done = 0, refused = 0, i;

  (void) state;
  for (round = 0; round < 3000; ++round) {
    const unsigned changes = 1 + (unsigned) random_below (&seed, 3);

    make_shape (4 + round % 2);
    assert_true (m.sectors <= MAX_META);
    fill ();
    for (i = 0; i < changes; ++i) {
      const uint64_t at = FIRST_DIRECTORY * SECTOR_SIZE + 4 *
        random_below (&seed, round % 3 == 0 ? SECTOR_SIZE / 4 :
                      (m.first_grain - FIRST_DIRECTORY) * SECTOR_SIZE / 4);
      const uint64_t random = next_random (&seed) >> 20;
      const uint32_t values[] = {
        0, 1, (uint32_t) random, (uint32_t) (random % (m.sectors + 2)),
        load_le32 (m.data + at) + (uint32_t) (random % 5) - 2,
        (uint32_t) (m.sectors - random % 3), UINT32_MAX,
      };

      store_le32 (m.data + at, values[random_below (&seed, 7)]);
    }
    memcpy (before, m.data, sizeof before);
    image_sync (&m.io, &error);
    if (run (round / 2 % 2, true, 0) == 0) {
      check_consistent ();
      done++;
    }
    else {
      assert_error (&error, VMDK_ERROR_CORRUPT, 0, "t.vmdk: ");
      assert_int_equal (m.writes, 0);
      assert_memory_equal (before, m.data, sizeof before);
      refused++;
    }
  }
  assert_true (done > 100 && refused > 100);
}

/* Tables lie where they can, whole. */
static void
test_tables_misplaced (void **state)
{
  (void) state;
  make (2, 512, 1300, 8, 0);
  fill ();

  /* Half in the other directory. */
  store_le32 (directory_entry (0, 2),
              (uint32_t) m.layout.directory[1] - 2);
  assert_refused (recover (), VMDK_ERROR_CORRUPT, "overlaps");

  /* The same in both directories. */
  make (2, 512, 1300, 8, 0);
  store_le32 (directory_entry (1, 2), load_le32 (directory_entry (0, 2)));
  assert_refused (recover (), VMDK_ERROR_CORRUPT,
                  "redundant grain table 2 at sector 12 overlaps "
                  "grain table 2 at sector 12");

  /* The end of the file is inside one: it is made again behind that. */
  make (2, 512, 1300, 8, 0);
  fill ();
  store_le32 (directory_entry (0, 2), (uint32_t) m.sectors - 3);
  assert_done (recover ());
  assert_int_equal (load_le32 (directory_entry (0, 2)), m.sectors);
  assert_int_equal (report.end, m.sectors + 4);
  assert_int_equal (report.nr_mended, 1);
  check_consistent ();

  /* Without a twin that is the end of it. */
  make (1, 4096, 5000, 1, 0);
  store_le32 (directory_entry (0, 1), (uint32_t) m.sectors - 3);
  assert_refused (recover (), VMDK_ERROR_CORRUPT, "grain table 1");

  /* Where a directory comes before the descriptor, which only the decoder
   * knows, a table may begin before that and go on inside.
   */
  make (1, 512, 1300, 8, 0);
  descriptor = m.first_grain + 1003;
  m.layout.plain_from = descriptor + 1;
  store_le32 (directory_entry (0, 2), (uint32_t) descriptor - 3);
  assert_refused (recover (), VMDK_ERROR_CORRUPT,
                  "where grain table 2 is");
  descriptor = 0;
}

/* All of a directory's tables are made again, with one sync before they are
 * named.
 */
static void
test_missing_directory (void **state)
{
  unsigned copy;
  uint64_t i;

  (void) state;
  for (copy = 0; copy < 2; ++copy) {
    make (2, 128, 130 * 128 + 5, 8, 0);
    fill ();
    for (i = 0; i < m.nr_tables; ++i)
      store_le32 (directory_entry (copy, i), 0);
    assert_done (recover ());
    assert_int_equal (m.writes, m.nr_tables + 2);
    assert_int_equal (report.nr_mended, m.nr_tables);
    assert_int_equal (report.end, m.sectors + m.nr_tables);
    check_consistent ();
  }

  /* But not behind what an entry can name. */
  make (2, 512, 1300, 8, UINT32_MAX - UINT64_C (4));
  store_le32 (directory_entry (1, 2), 0);
  assert_refused (recover (), VMDK_ERROR_CORRUPT, "no place for 1 missing");
}

/* A file that takes many windows of the smallest size, 16 MiB. */
static void
test_windows (void **state)
{
  const uint64_t window = 4096 * 8;
  uint64_t i;

  (void) state;
  make (2, 512, 1300, 128, window * 20 + 200);

  /* The ends of windows are inside grains. */
  for (i = 0; i < 600; ++i)
    set_all (i, (uint32_t) (window * 20 - 60 - i * 1000));
  assert_done (run (false, true, 1));
  assert_int_equal (report.nr_allocated, 600);
  assert_int_equal (report.end, window * 20 - 60 + 128);

  /* They meet where a window begins, or ends, or in the last sector. */
  set_all (1000, (uint32_t) (window * 20));
  assert_refused (run (false, true, 1), VMDK_ERROR_CORRUPT,
                  "grain 1000 at sector 655360 overlaps "
                  "grain 0 at sector 655300");
  set_all (1000, (uint32_t) (window * 20 - 60 - 127));
  assert_refused (run (false, true, 1), VMDK_ERROR_CORRUPT, "overlaps");
  set_all (1000, (uint32_t) (window * 20 - 60 - 128));
  assert_done (run (false, true, 1));
  set_all (1000, 0);
  set_all (1299, (uint32_t) (window * 20 + 199));
  set_all (1298, (uint32_t) (window * 20 + 199 - 127));
  assert_refused (run (false, true, 1), VMDK_ERROR_CORRUPT, "overlaps");
  set_all (1298, (uint32_t) (window * 20 + 199 - 128));
  set_all (0, 0);
  assert_done (run (false, true, 1));

  /* A file may be so large that it would take for ever. */
  make (2, 512, 1300, 128, UINT64_C (1) << 40);
  assert_refused (run (false, true, 1), VMDK_ERROR_UNSUPPORTED,
                  "too long");
}

/* Of the last grain only what the disk has must be there. */
static void
test_partial (void **state)
{
  (void) state;
  make (2, 512, 1300, 8, 0);
  set_all (1299, (uint32_t) m.sectors - 1);
  assert_done (recover ());
  assert_int_equal (report.end, m.sectors + 7);
  set_all (1299, 0);
  set_all (1298, (uint32_t) m.sectors - 7);
  assert_refused (recover (), VMDK_ERROR_CORRUPT, "grain 1298 at sector");
  set (0, 1298, 0);
  assert_refused (recover (), VMDK_ERROR_CORRUPT, "grain 1298 at sector");
  set_all (1298, (uint32_t) m.sectors - 8);
  assert_done (recover ());
}

/* A table that cannot be read is written anew from its twin; if that can
 * neither, or a directory, the error is told.
 */
static void
test_unreadable (void **state)
{
  unsigned copy;

  (void) state;
  for (copy = 0; copy < 2; ++copy) {
    make (2, 512, 1300, 8, 0);
    fill ();
    memset (entry (copy, 512), 0xee, 4 * SECTOR_SIZE);
    m.fail_from[0] = load_le32 (directory_entry (copy, 1)) + 2;
    m.fail_until[0] = m.fail_from[0] + 1;
    assert_done (recover ());
    assert_int_equal (report.nr_mended, 512);
    assert_int_equal (m.fail_until[0], 0);
    check_consistent ();
  }
  m.fail_from[0] = load_le32 (directory_entry (0, 1));
  m.fail_from[1] = load_le32 (directory_entry (1, 1)) + 3;
  m.fail_until[0] = m.fail_from[0] + 1;
  m.fail_until[1] = m.fail_from[1] + 1;
  assert_refused (recover (), VMDK_ERROR_IO, "unreadable");
  m.fail_until[1] = 0;
  m.fail_from[0] = m.layout.directory[1];
  m.fail_until[0] = m.fail_from[0] + 1;
  assert_refused (recover (), VMDK_ERROR_IO, "unreadable");
}

/* What is written is what was checked, also if it can be read one time and
 * cannot the other.
 */
static void
test_unreadable_at_times (void **state)
{
  uint32_t first[2];

  (void) state;
  make (2, 512, 1300, 8, 0);
  set_all (0, place (10));
  set (0, 1, place (10));
  m.fail_from[0] = load_le32 (directory_entry (0, 0));
  m.fail_until[0] = m.fail_from[0] + 4;
  m.fail_last = 3;
  assert_done (recover ());
  assert_int_equal (get (0, 1), 0);
  image_sync (&m.io, &error);
  check_consistent ();

  /* With the tables in another order each is read by itself. */
  make (2, 512, 1300, 8, 0);
  first[0] = load_le32 (directory_entry (0, 0));
  first[1] = load_le32 (directory_entry (0, 1));
  store_le32 (directory_entry (0, 0), first[1]);
  store_le32 (directory_entry (0, 1), first[0]);
  set (0, 3, place (10));
  m.fail_from[0] = first[1];
  m.fail_until[0] = first[1] + 4;
  m.fail_first = 4;
  assert_refused (recover (), VMDK_ERROR_IO, "unreadable");
}

/* Of a table only the sector is written that is not as it must be. */
static void
test_writes (void **state)
{
  (void) state;
  make (2, 512, 1300, 8, 0);
  fill ();
  set_all (400, 0);
  image_sync (&m.io, &error);
  set (1, 400, 1);
  assert_done (recover ());
  assert_int_equal (m.writes, 1);
  assert_int_equal (m.written, SECTOR_SIZE);
  check_consistent ();
}

/* Tables that follow each other are read together. */
static void
test_reads (void **state)
{
  (void) state;
  make (2, 128, 130 * 128 + 5, 8, 0);
  assert_done (recover ());
  assert_int_equal (m.reads, 4);
}

/* Nobody knows what is in tables of other forms. */
static void
test_unsupported (void **state)
{
  (void) state;
  make_shape (0);
  m.layout.entry_size = 8;
  assert_refused (recover (), VMDK_ERROR_UNSUPPORTED, "not written");
  make_shape (0);
  m.layout.entries_per_table = 64;
  assert_refused (recover (), VMDK_ERROR_UNSUPPORTED, "not written");
  m.layout.entries_per_table = 131072;
  assert_refused (recover (), VMDK_ERROR_UNSUPPORTED, "not written");
  make_shape (0);
  m.layout.nr_grains = UINT64_C (1) << 50;
  assert_refused (recover (), VMDK_ERROR_UNSUPPORTED, "not written");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_clean),
    cmocka_unit_test (test_published),
    cmocka_unit_test (test_only_looking),
    cmocka_unit_test (test_cut_repair),
    cmocka_unit_test (test_damaged),
    cmocka_unit_test (test_tables_misplaced),
    cmocka_unit_test (test_missing_directory),
    cmocka_unit_test (test_windows),
    cmocka_unit_test (test_partial),
    cmocka_unit_test (test_unreadable),
    cmocka_unit_test (test_unreadable_at_times),
    cmocka_unit_test (test_writes),
    cmocka_unit_test (test_reads),
    cmocka_unit_test (test_unsupported),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
