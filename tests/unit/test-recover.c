/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* recover.c: what is in order stays as it is, what a killed writer has left
 * is put right, and what is damaged is refused and not changed.
 */

#include <config.h>

#include <errno.h>
#include <limits.h>
#include <sched.h>

#include "unit.h"

#include "recover.h"

/* A file in memory:
 *
 *      0  header          1  GD       2  RGD
 *      4  GT 0, GT 1      8  RGT 0, RGT 1      16  grains, of 8 sectors
 */
#define ENTRIES 128
#define NR_GRAINS 200           /* the second table is not full */
#define GRAIN_SIZE 8
#define FIRST_GRAIN 16
#define GT(n) (4 + (n))
#define RGT(n) (8 + (n))
#define SECTORS (FIRST_GRAIN + (NR_GRAINS + 8) * GRAIN_SIZE)

struct memory {
  struct io io;
  uint8_t data[(SECTORS + 64) * SECTOR_SIZE];
  unsigned writes, syncs;
  unsigned max_writes;          /* those that come later are lost */
};

static struct memory m;

/* What checks took together, at most. */
static struct recover_memory memory;
static uint64_t most_taken;

static int
memory_pread (struct io *io, void *buf, size_t count, uint64_t offset,
              struct vmdk_error *error)
{
  if (offset > io->size || count > io->size - offset)
    return error_set (error, VMDK_ERROR_IO, EIO, "t.vmdk: end of file");
  memcpy (buf, m.data + offset, count);
  pthread_mutex_lock (&memory.lock);
  most_taken = max_u64 (most_taken, memory.taken[0] + memory.taken[1]);
  pthread_mutex_unlock (&memory.lock);
  sched_yield ();
  return 0;
}

static int
memory_pwrite (struct io *io, const void *buf, size_t count,
               uint64_t offset, struct vmdk_error *error)
{
  (void) error;
  assert_true (offset + count <= sizeof m.data);
  if (m.writes++ < m.max_writes)
    memcpy (m.data + offset, buf, count);
  if (io->size < offset + count)
    io->size = offset + count;
  return 0;
}

static int
memory_sync (struct io *io, struct vmdk_error *error)
{
  (void) io;
  (void) error;
  m.syncs++;
  return 0;
}

static const struct io_ops memory_ops = {
  .pread = memory_pread,
  .pwrite = memory_pwrite,
  .sync = memory_sync,
};

static uint64_t
decode_table (void *opaque, uint64_t table, uint64_t raw)
{
  (void) opaque;
  (void) table;
  return raw == 0 ? ENTRY_HOLE :
    raw == 1 || raw >= m.io.size / SECTOR_SIZE ? ENTRY_BAD : raw;
}

static uint64_t
decode_grain (void *opaque, uint64_t grain, uint64_t raw, bool *partial)
{
  (void) opaque;
  (void) grain;
  if (raw <= 1)
    return raw;
  *partial = raw + GRAIN_SIZE > m.io.size / SECTOR_SIZE;
  return raw >= m.io.size / SECTOR_SIZE ? ENTRY_BAD : raw;
}

static struct gtable_layout
layout (void)
{
  return (struct gtable_layout) {
    .io = &m.io, .logger = &no_log,
    .entry_size = 4, .entries_per_table = ENTRIES,
    .nr_grains = NR_GRAINS, .grain_size = GRAIN_SIZE, .table_size = 1,
    .directory = { 1, 2 }, .plain_from = 3,
    .decode_table = decode_table, .decode_grain = decode_grain,
  };
}

static uint8_t *
entry (unsigned copy, unsigned grain)
{
  const unsigned table = grain / ENTRIES;

  return m.data + (copy == 0 ? GT (table) : RGT (table)) * SECTOR_SIZE +
    grain % ENTRIES * 4;
}

static void
set_both (unsigned grain, uint32_t value)
{
  store_le32 (entry (0, grain), value);
  store_le32 (entry (1, grain), value);
}

static uint32_t
place (unsigned n)
{
  return FIRST_GRAIN + n * GRAIN_SIZE;
}

static bool interrupted;

static int
setup (void **state)
{
  unsigned i;

  (void) state;
  memset (&m, 0, sizeof m);
  m.io.ops = &memory_ops;
  m.io.name = (char *) "t.vmdk";
  m.io.size = SECTORS * SECTOR_SIZE;
  m.io.writable = true;
  m.max_writes = UINT_MAX;
  recover_memory_init (&memory, 4096, 1);
  most_taken = 0;
  interrupted = false;
  for (i = 0; i < 2; ++i) {
    store_le32 (m.data + SECTOR_SIZE + 4 * i, GT (i));
    store_le32 (m.data + 2 * SECTOR_SIZE + 4 * i, RGT (i));
  }
  for (i = 0; i < NR_GRAINS; i += 3)
    set_both (i, place (NR_GRAINS - i));
  return 0;
}

static struct recover_report report;
static struct vmdk_error error;

/* What was told to be unused. */
static struct { uint64_t sector, end; } unused[NR_GRAINS + 3];
static unsigned nr_unused;

static void
note_unused (void *opaque, uint64_t sector, uint64_t end)
{
  assert_ptr_equal (opaque, unused);
  assert_true (nr_unused < ARRAY_LENGTH (unused));
  unused[nr_unused].sector = sector;
  unused[nr_unused++].end = end;
}

static const struct recover_unused tell_unused = { note_unused, unused };

static int
recover_in (uint64_t budget)
{
  const struct gtable_layout l = layout ();

  memory.one = budget;
  m.writes = 0;
  nr_unused = 0;
  return recover_tables (&l, interrupted, true, &memory, &tell_unused,
                         &report, &error);
}

static int
recover (void)
{
  return recover_in (1024 * 1024);
}

static void
assert_refused (const char *piece)
{
  uint8_t *before = malloc (sizeof m.data);

  assert_non_null (before);
  memcpy (before, m.data, sizeof m.data);
  assert_int_equal (recover (), -1);
  assert_error (&error, VMDK_ERROR_CORRUPT, EIO, piece);
  assert_int_equal (m.writes, 0);
  assert_memory_equal (before, m.data, sizeof m.data);
  free (before);
}

static void
test_in_order (void **state)
{
  (void) state;
  assert_int_equal (recover (), 0);
  assert_int_equal (m.writes, 0);
  assert_int_equal (report.nr_mended, 0);
  assert_int_equal (report.nr_allocated, (NR_GRAINS + 2) / 3);
  assert_int_equal (report.end, place (NR_GRAINS + 1));
}

/* A grain each 10,000 sectors, some of which lie across the ends of the
 * windows that are looked at.
 */
static void
test_unused (void **state)
{
  const uint32_t step = 10000, first = 32768 - 4 - 3 * step;
  static const uint64_t budgets[] = { 4096, 8192, 1024 * 1024 };
  unsigned k, i;

  for (k = 0; k < ARRAY_LENGTH (budgets); ++k) {
    setup (state);
    m.io.size = (uint64_t) (first + NR_GRAINS * step) * SECTOR_SIZE;
    for (i = 0; i < NR_GRAINS; ++i)
      set_both (i, first + (NR_GRAINS - 1 - i) * step);
    assert_int_equal (recover_in (budgets[k]), 0);

    /* Before the tables, between them, and before each grain. */
    assert_int_equal (nr_unused, 3 + NR_GRAINS - 1);
    assert_int_equal (unused[0].sector, 3);
    assert_int_equal (unused[0].end, GT (0));
    assert_int_equal (unused[1].sector, GT (2));
    assert_int_equal (unused[1].end, RGT (0));
    assert_int_equal (unused[2].sector, RGT (2));
    assert_int_equal (unused[2].end, first);
    for (i = 3; i < nr_unused; ++i) {
      assert_int_equal (unused[i].sector,
                        first + (i - 3) * step + GRAIN_SIZE);
      assert_int_equal (unused[i].end, first + (i - 2) * step);
    }
  }
}

/* Each pair that a killed writer can leave: what a reader saw stays so, whether
 * or not the mark of such a writer is there.
 */
static void
test_differing (void **state)
{
  const uint32_t values[] = { 0, 1, place (3) };
  unsigned i;

  for (i = 0; i < 2 * 3 * 3; ++i) {
    const uint32_t a = values[i / 3 % 3], b = values[i % 3];

    setup (state);
    interrupted = i / 9;
    store_le32 (entry (0, 199), a);
    store_le32 (entry (1, 199), b);
    assert_int_equal (recover (), 0);
    assert_int_equal (report.nr_mended, a != b);
    assert_int_equal (load_le32 (entry (0, 199)), a);
    assert_int_equal (load_le32 (entry (1, 199)), a);
    assert_int_equal (recover (), 0);
    assert_int_equal (m.writes, 0);
  }
}

static void
test_bad_copy (void **state)
{
  (void) state;
  store_le32 (entry (0, 3), 0xfffff000);
  store_le32 (entry (1, 6), SECTORS + 1000);
  assert_int_equal (recover (), 0);
  assert_int_equal (load_le32 (entry (0, 3)), load_le32 (entry (1, 3)));
  assert_int_equal (load_le32 (entry (0, 6)), load_le32 (entry (1, 6)));
}

static void
test_two_places (void **state)
{
  (void) state;
  store_le32 (entry (1, 3), place (NR_GRAINS + 2));
  assert_refused ("grain 3");
}

static void
test_both_bad (void **state)
{
  (void) state;
  set_both (5, 0xfffff000);
  assert_refused ("grain 5");
}

/* Also in part, and in a window of its own. */
static void
test_overlaps (void **state)
{
  (void) state;
  set_both (1, place (NR_GRAINS));
  assert_refused ("overlaps");
  setup (state);
  set_both (1, place (NR_GRAINS) - 3);
  assert_refused ("overlaps");
  setup (state);
  set_both (1, place (NR_GRAINS) - 3);
  assert_int_equal (recover_in (1), -1);
  setup (state);
  set_both (1, GT (1));
  assert_refused ("overlaps");
  setup (state);
  store_le32 (m.data + 2 * SECTOR_SIZE, GT (0));
  assert_refused ("overlaps");
}

static void
test_directories (void **state)
{
  (void) state;
  store_le32 (m.data + SECTOR_SIZE, 1);
  store_le32 (m.data + 2 * SECTOR_SIZE, 1);
  assert_refused ("grain table 0");
  setup (state);
  store_le32 (m.data + SECTOR_SIZE, 0);
  store_le32 (m.data + 2 * SECTOR_SIZE, 1);
  assert_refused ("grain table 0");
}

/* A table that only one directory names gets its twin at the end. */
static void
test_missing_table (void **state)
{
  unsigned copy;

  for (copy = 0; copy < 2; ++copy) {
    uint8_t *directory = m.data + (1 + copy) * SECTOR_SIZE;
    uint32_t made;

    setup (state);
    store_le32 (directory + 4, 0);
    assert_int_equal (recover (), 0);
    made = load_le32 (directory + 4);
    assert_int_equal (made, SECTORS);
    assert_memory_equal (m.data + made * SECTOR_SIZE,
                         m.data + (copy ? GT (1) : RGT (1)) * SECTOR_SIZE,
                         (NR_GRAINS - ENTRIES) * 4);
    assert_int_equal (report.end, SECTORS + 1);
    assert_int_equal (recover (), 0);
    assert_int_equal (m.writes, 0);
  }
}

/* What is behind the last grain belongs to nobody. */
static void
test_behind_last (void **state)
{
  (void) state;
  store_le32 (m.data + GT (1) * SECTOR_SIZE + 127 * 4, 0xdeadbeef);
  assert_int_equal (recover (), 0);
  assert_int_equal (m.writes, 0);
  store_le32 (entry (1, NR_GRAINS - 1), place (3));
  assert_int_equal (recover (), 0);
  assert_int_equal (load_le32 (m.data + GT (1) * SECTOR_SIZE + 127 * 4),
                    0xdeadbeef);
}

/* Whichever writes of a repair are lost, the next one ends the same. */
static void
test_interrupted (void **state)
{
  uint64_t random = 7;
  unsigned round, i;

  for (round = 0; round < 300; ++round) {
    uint8_t whole[6 * SECTOR_SIZE];
    uint64_t was = random;

    setup (state);
    for (i = 1; i < NR_GRAINS; i += 3)
      if (next_random (&random) % 2)
        store_le32 (entry ((unsigned) (next_random (&random) % 2), i),
                    next_random (&random) % 4 ? place (NR_GRAINS - i) : 1);
    assert_int_equal (recover (), 0);
    memcpy (whole, m.data + GT (0) * SECTOR_SIZE, sizeof whole);
    assert_memory_equal (m.data + GT (0) * SECTOR_SIZE,
                         m.data + RGT (0) * SECTOR_SIZE, 2 * SECTOR_SIZE);

    random = was;
    setup (state);
    for (i = 1; i < NR_GRAINS; i += 3)
      if (next_random (&random) % 2)
        store_le32 (entry ((unsigned) (next_random (&random) % 2), i),
                    next_random (&random) % 4 ? place (NR_GRAINS - i) : 1);
    m.max_writes = round % 4;
    assert_int_equal (recover (), 0);
    m.max_writes = UINT_MAX;
    assert_int_equal (recover (), 0);
    assert_memory_equal (whole, m.data + GT (0) * SECTOR_SIZE,
                         sizeof whole);
  }
}

/* The log tells the cause, and whether something was done. */
static void
test_log (void **state)
{
  static const struct {
    bool interrupted, differ, repair;
    unsigned warnings;
    const char *text;
  } cases[] = {
    { false, false, true, 0, "" },
    { true, false, true, 0, "t.vmdk: was not closed cleanly by its last "
      "writer; its tables are in order\n" },
    { true, true, false, 0, "t.vmdk: was not closed cleanly by its last "
      "writer; the two copies of its tables differ in 1 entries, which will "
      "be put right before the first change\n" },
    { true, true, true, 1, "t.vmdk: was not closed cleanly by its last "
      "writer; the two copies of its tables differed in 1 entries, which "
      "have been put right\n" },
    { false, true, true, 1, "t.vmdk: was closed cleanly; the two copies of "
      "its tables differed in 1 entries, which have been put right\n" },
  };
  const struct gtable_layout l = layout ();
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i) {
    struct captured log;
    struct logger logger;

    captured_init (&log, &logger);
    setup (state);
    if (cases[i].differ)
      store_le32 (entry (1, 199), 1);
    assert_int_equal (recover_tables (&l, cases[i].interrupted,
                                      cases[i].repair, &memory, NULL,
                                      &report, &error), 0);
    recover_log (&report, "t.vmdk", &logger);
    assert_string_equal (log.text, cases[i].text);
    assert_int_equal (log.warnings, cases[i].warnings);
  }
}

static void *
check_often (void *opaque)
{
  const struct gtable_layout l = layout ();
  struct recover_report ignored;
  struct vmdk_error e;
  unsigned i;

  (void) opaque;
  for (i = 0; i < 100; ++i)
    if (recover_tables (&l, false, false, &memory, NULL, &ignored, &e) == -1)
      return &memory;
  return NULL;
}

/* Checks of several images do not take more memory together than there is;
 * but one may always run.
 */
static void
test_together (void **state)
{
  pthread_t threads[4];
  uint64_t one, n;
  void *failed;
  size_t i;

  (void) state;
  assert_null (check_often (NULL));
  one = most_taken;
  assert_true (one > 1);
  for (n = 1; n <= 2; ++n) {
    memory.all = n * one;
    for (i = 0; i < ARRAY_LENGTH (threads); ++i)
      assert_int_equal (pthread_create (&threads[i], NULL, check_often, NULL),
                        0);
    for (i = 0; i < ARRAY_LENGTH (threads); ++i) {
      assert_int_equal (pthread_join (threads[i], &failed), 0);
      assert_null (failed);
    }
    assert_true (most_taken <= n * one);
    assert_int_equal (memory.taken[0], 0);
    assert_int_equal (memory.taken[1], 0);
  }
}

/* One that needs little does not wait for one that needs much; and waiting can
 * be interrupted.
 */
static void
test_waiting (void **state)
{
  const struct logger logger = { .interrupted = is_interrupted };
  struct gtable_layout l = layout ();
  uint64_t one;

  (void) state;
  assert_null (check_often (NULL));
  one = most_taken;
  memory.all = 8 * one;
  memory.taken[0] = memory.all;
  assert_null (check_often (NULL));

  memory.all = one;
  l.logger = &logger;
  assert_int_equal (recover_tables (&l, false, false, &memory, NULL, &report,
                                    &error), -1);
  assert_error (&error, VMDK_ERROR_INTERRUPTED, EINTR, "waiting");
  memory.taken[0] = 0;
}

static void
test_unusual (void **state)
{
  struct gtable_layout l = layout ();

  (void) state;
  l.entries_per_table = 16;
  assert_int_equal (recover_tables (&l, false, true, &memory, NULL, &report,
                                    &error), -1);
  assert_error (&error, VMDK_ERROR_UNSUPPORTED, ENOTSUP, "16 entries");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup (test_in_order, setup),
    cmocka_unit_test_setup (test_unused, setup),
    cmocka_unit_test_setup (test_differing, setup),
    cmocka_unit_test_setup (test_bad_copy, setup),
    cmocka_unit_test_setup (test_two_places, setup),
    cmocka_unit_test_setup (test_both_bad, setup),
    cmocka_unit_test_setup (test_overlaps, setup),
    cmocka_unit_test_setup (test_directories, setup),
    cmocka_unit_test_setup (test_missing_table, setup),
    cmocka_unit_test_setup (test_behind_last, setup),
    cmocka_unit_test_setup (test_interrupted, setup),
    cmocka_unit_test_setup (test_log, setup),
    cmocka_unit_test_setup (test_together, setup),
    cmocka_unit_test_setup (test_waiting, setup),
    cmocka_unit_test_setup (test_unusual, setup),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
