/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Finding the grains of a stream by reading it. */

#include <config.h>

#include <errno.h>

#include "io.h"
#include "stream-index.h"
#include "streams.h"

#define BUDGET (UINT64_C (1) << 20)

static struct stream_file f;
static struct budget budget;
static struct stream_index *latest;

/* Scan the first 'size' bytes, with another header if 'h' is not NULL.
 * The result is kept until the next scan.
 */
static struct stream_index *
scan_with (const struct hosted_header *h, uint64_t size)
{
  const struct hosted_header own = stream_header (&f);
  struct vmdk_error error;
  struct io *io = io_mem_new (f.data, size, "t.vmdk", &error);

  assert_non_null (io);
  stream_index_free (latest);
  budget_init (&budget, BUDGET);
  latest = stream_index_new (io, h ? h : &own, &budget, &no_log, &error);
  if (!latest)
    fail_msg ("%s", error.message);
  assert_int_equal (io->refs, 1);
  io_unref (io);
  return latest;
}

static struct stream_index *
scan (void)
{
  return scan_with (NULL, f.sectors * SECTOR_SIZE);
}

static int
teardown (void **state)
{
  stream_index_free (latest);
  latest = NULL;
  return 0;
}

/* It stopped at that sector, for damage, having found what is before. */
#define assert_stopped(index, sector) do {                              \
    assert_false (stream_index_is_complete (index));                    \
    assert_int_equal (stream_index_end (index), (sector) * SECTOR_SIZE); \
  } while (0)

static const uint64_t grains[] = { 0, 1, 5, 17, 39 };

/* 40 grains, the last of which is not whole. */
static void
make_stream (void)
{
  size_t i;

  stream_begin (&f, 159);
  for (i = 0; i < ARRAY_LENGTH (grains); ++i)
    stream_add (&f, grains[i]);
}

static void
test_whole (void **state)
{
  struct stream_index *index;
  uint64_t i;

  make_stream ();
  stream_end (&f);
  index = scan ();
  assert_true (stream_index_is_complete (index));
  assert_int_equal (stream_index_end (index),
                    (f.sectors - 1) * SECTOR_SIZE);
  assert_true (stream_index_is_ordered (index));
  assert_int_equal (stream_index_behind (index), 40);
  for (i = 0; i < 40; ++i)
    assert_int_equal (stream_index_find (index, i), f.where[i]);
  assert_int_equal (f.where[0], STREAMS_OVERHEAD);

  assert_int_equal (stream_index_run (index, 0, 40), 2);
  assert_int_equal (stream_index_run (index, 0, 1), 1);
  assert_int_equal (stream_index_run (index, 2, 38), 3);
  assert_int_equal (stream_index_run (index, 5, 35), 1);
  assert_int_equal (stream_index_run (index, 18, 22), 21);
  assert_int_equal (stream_index_run (index, 18, 7), 7);
  assert_int_equal (stream_index_run (index, 39, 1), 1);
}

/* Nothing but the end. */
static void
test_empty (void **state)
{
  struct stream_index *index;

  stream_begin (&f, 159);
  stream_end (&f);
  index = scan ();
  assert_true (stream_index_is_complete (index));
  assert_int_equal (stream_index_behind (index), 0);
  assert_int_equal (stream_index_run (index, 0, 40), 40);
}

/* A stream that is cut before its first grain ends in zeroes, which are
 * not its end.
 */
static void
test_cut_before_grains (void **state)
{
  uint64_t k;

  make_stream ();
  stream_end (&f);
  for (k = 1; k <= STREAMS_OVERHEAD; ++k)
    if (stream_index_is_complete (scan_with (NULL, k * SECTOR_SIZE)))
      fail_msg ("complete with %" PRIu64 " of %" PRIu64 " sectors", k,
                f.sectors);
}

/* A long run of nothing, over parts of the index that do not exist. */
static void
test_far_apart (void **state)
{
  struct hosted_header h;
  struct stream_index *index;
  uint64_t sector;

  make_stream ();
  sector = stream_add (&f, 0);
  store_le64 (f.data + sector * SECTOR_SIZE, 100000 * GRAIN_SECTORS);
  stream_add_marker (&f, 0, STREAM_EOS);
  h = stream_header (&f);
  h.capacity = 400040;
  h.gd_offset = 1;              /* not at the end */
  index = scan_with (&h, f.sectors * SECTOR_SIZE);
  assert_true (stream_index_is_complete (index));
  assert_int_equal (stream_index_behind (index), 100001);
  assert_int_equal (stream_index_find (index, 100000), sector);
  assert_int_equal (stream_index_find (index, 50000), 0);
  assert_int_equal (stream_index_run (index, 40, 99970), 99960);
  assert_int_equal (stream_index_run (index, 40, 5000), 5000);
  assert_int_equal (stream_index_run (index, 4095, 2), 2);
  assert_int_equal (stream_index_run (index, 4096, 1), 1);
  assert_int_equal (stream_index_run (index, 99999, 5), 1);
  assert_int_equal (stream_index_run (index, 100000, 10), 1);
  assert_int_equal (stream_index_run (index, 100001, 9), 9);
}

/* The stream may end after any sector: what was whole before is found,
 * nothing else, and only with its last sector it is complete.
 */
static void
test_cut (void **state)
{
  uint64_t starts[32], k;
  size_t nr = 0, i;

  make_stream ();
  for (i = 0; i < ARRAY_LENGTH (grains); ++i)
    starts[nr++] = f.where[grains[i]];
  starts[nr++] = f.sectors;             /* three tables, a directory */
  starts[nr++] = f.sectors + 2;
  starts[nr++] = f.sectors + 4;
  starts[nr++] = f.sectors + 6;
  stream_end (&f);
  starts[nr++] = f.sectors - 3;         /* the footer, and the end */
  starts[nr++] = f.sectors - 1;
  assert_int_equal (starts[nr-2], starts[nr-3] + 2);

  for (k = STREAMS_OVERHEAD + 1; k <= f.sectors; ++k) {
    struct stream_index *index = scan_with (NULL, k * SECTOR_SIZE);
    uint64_t end = starts[0];

    assert_true (stream_index_is_complete (index) == (k == f.sectors));
    for (i = 0; i + 1 < nr && starts[i+1] <= k; ++i)
      end = starts[i+1];
    assert_int_equal (stream_index_end (index), end * SECTOR_SIZE);
    for (i = 0; i < ARRAY_LENGTH (grains); ++i)
      assert_int_equal (stream_index_find (index, grains[i]),
                        starts[i+1] <= k ? starts[i] : 0);
  }
}

/* The padding of the last grain may be missing, but no byte of it. */
static void
test_cut_in_padding (void **state)
{
  struct stream_index *index;
  uint64_t end;

  make_stream ();
  end = f.where[39] * SECTOR_SIZE + STREAM_GRAIN_DATA +
    load_le32 (f.data + f.where[39] * SECTOR_SIZE + 8);
  assert_true (end < f.sectors * SECTOR_SIZE);
  index = scan_with (NULL, end);
  assert_int_equal (stream_index_find (index, 39), f.where[39]);
  assert_stopped (index, f.sectors);
  index = scan_with (NULL, end - 1);
  assert_int_equal (stream_index_find (index, 39), 0);
  assert_int_equal (stream_index_behind (index), 18);
  assert_stopped (index, f.where[39]);
}

/* A grain that cannot be one: here the reading ends. */
static void
test_bad_grain (void **state)
{
  static const struct {
    uint64_t value;
    uint32_t size;
  } cases[] = {
    { 4 * 17 + 1, 100 }, { 4 * 17 + 2, 100 }, { 159, 100 }, { 160, 100 },
    { UINT64_MAX - 3, 100 }, { 4 * 17, 2 * GRAIN_BYTES + 1 },
    { 4 * 17, UINT32_MAX },
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i) {
    struct stream_index *index;

    make_stream ();
    stream_end (&f);
    store_le64 (f.data + f.where[17] * SECTOR_SIZE, cases[i].value);
    store_le32 (f.data + f.where[17] * SECTOR_SIZE + 8, cases[i].size);
    index = scan ();
    assert_stopped (index, f.where[17]);
    assert_int_equal (stream_index_behind (index), 6);
    assert_int_equal (stream_index_find (index, 5), f.where[5]);
    assert_int_equal (stream_index_find (index, 17), 0);
    assert_int_equal (stream_index_find (index, 39), 0);
  }
}

/* The last of two counts, but it is not known which one is right. */
static void
test_duplicate (void **state)
{
  struct stream_index *index;
  uint64_t second;

  make_stream ();
  second = stream_add (&f, 5);
  stream_end (&f);
  index = scan ();
  assert_false (stream_index_is_complete (index));
  assert_int_equal (stream_index_end (index),
                    (f.sectors - 1) * SECTOR_SIZE);
  assert_int_equal (stream_index_find (index, 5), second);
  assert_int_equal (stream_index_behind (index), 40);
}

static void
test_out_of_order (void **state)
{
  struct stream_index *index;
  uint64_t i;

  stream_begin (&f, 159);
  stream_add (&f, 30);
  stream_add (&f, 2);
  stream_add (&f, 31);
  stream_add (&f, 0);
  stream_end (&f);
  index = scan ();
  assert_true (stream_index_is_complete (index));
  assert_false (stream_index_is_ordered (index));
  assert_int_equal (stream_index_behind (index), 32);
  for (i = 0; i < 40; ++i)
    assert_int_equal (stream_index_find (index, i), f.where[i]);
}

/* Markers of type 4 stand alone, whatever their value. */
static void
test_progress (void **state)
{
  static const uint64_t values[] = { 0, 1, 7, UINT64_MAX };
  struct stream_index *index;
  size_t i;

  stream_begin (&f, 159);
  for (i = 0; i < ARRAY_LENGTH (values); ++i) {
    stream_add_marker (&f, values[i], STREAM_PROGRESS);
    stream_add (&f, i * 3);
  }
  stream_add_marker (&f, 0, STREAM_PROGRESS);
  stream_end (&f);
  index = scan ();
  assert_true (stream_index_is_complete (index));
  for (i = 0; i < ARRAY_LENGTH (values); ++i)
    assert_int_equal (stream_index_find (index, i * 3), f.where[i * 3]);
}

static void
test_unknown_types (void **state)
{
  static const uint32_t types[] = { 5, 6, 0x100, UINT32_C (1) << 31,
    UINT32_MAX };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (types); ++i) {
    uint64_t sector;

    make_stream ();
    sector = stream_add_marker (&f, 0, types[i]);
    stream_end (&f);
    assert_stopped (scan (), sector);
    assert_int_equal (stream_index_behind (latest), 40);
  }
}

/* The number of sectors that follow is known beforehand. */
static void
test_values (void **state)
{
  static const struct {
    uint32_t type;
    uint64_t right;
  } cases[] = {
    { STREAM_EOS, 0 },
    { STREAM_TABLE, 1 },
    { STREAM_DIRECTORY, 1 },
    { STREAM_FOOTER, 1 },
  };
  static const uint64_t values[] = { 0, 1, 2, 4, UINT64_C (1) << 32,
    UINT64_C (0x100000001), UINT64_MAX };
  size_t i, j;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i)
    for (j = 0; j < ARRAY_LENGTH (values); ++j) {
      struct stream_index *index;
      struct hosted_header h;
      uint64_t sector;

      make_stream ();
      sector = stream_add_marker (&f, values[j], cases[i].type);
      f.sectors += cases[i].right;
      stream_add_marker (&f, 0, STREAM_EOS);
      h = stream_header (&f);
      h.gd_offset = 1;          /* not at the end */
      index = scan_with (&h, f.sectors * SECTOR_SIZE);
      if (values[j] == cases[i].right)
        assert_true (stream_index_is_complete (index));
      else
        assert_stopped (index, sector);
    }
}

/* A zero sector looks like the end marker.  It is one behind a footer, and
 * at the end of a file whose directory is in front; nowhere else.
 */
static void
test_true_end (void **state)
{
  struct hosted_header h;
  size_t i;

  /* A marker in the middle was lost. */
  for (i = 0; i < ARRAY_LENGTH (grains); ++i) {
    make_stream ();
    stream_end (&f);
    memset (f.data + f.where[grains[i]] * SECTOR_SIZE, 0, SECTOR_SIZE);
    assert_stopped (scan (), f.where[grains[i]]);
    h = stream_header (&f);
    h.gd_offset = 1;
    assert_stopped (scan_with (&h, f.sectors * SECTOR_SIZE),
                    f.where[grains[i]]);
  }

  /* The rest of the file never came, and is space that was allocated. */
  make_stream ();
  memset (f.data + f.sectors * SECTOR_SIZE, 0, 20 * SECTOR_SIZE);
  assert_stopped (scan_with (NULL, (f.sectors + 20) * SECTOR_SIZE),
                  f.sectors);

  /* With the directory in front, a grain and a sector of zeroes is how
   * QEMU may end a file.
   */
  h = stream_header (&f);
  h.gd_offset = 1;
  scan_with (&h, (f.sectors + 1) * SECTOR_SIZE);
  assert_true (stream_index_is_complete (latest));
  scan_with (&h, (f.sectors + GRAIN_SECTORS + 1) * SECTOR_SIZE);
  assert_true (stream_index_is_complete (latest));
  scan_with (&h, (f.sectors + GRAIN_SECTORS + 2) * SECTOR_SIZE);
  assert_false (stream_index_is_complete (latest));
}

/* Tables and directories of several sectors. */
static void
test_large_metadata (void **state)
{
  struct hosted_header h;

  make_stream ();
  stream_add_marker (&f, 4, STREAM_TABLE);
  memset (f.data + f.sectors * SECTOR_SIZE, 0xff, 4 * SECTOR_SIZE);
  f.sectors += 4;
  stream_add_marker (&f, 3, STREAM_DIRECTORY);
  memset (f.data + f.sectors * SECTOR_SIZE, 0xff, 3 * SECTOR_SIZE);
  f.sectors += 3;
  stream_add_marker (&f, 0, STREAM_EOS);
  h = stream_header (&f);
  h.entries_per_table = 512;
  h.gd_offset = 1;              /* not at the end */
  h.capacity = UINT64_C (512) * GRAIN_SECTORS * 257;    /* tables */
  assert_true (stream_index_is_complete
               (scan_with (&h, f.sectors * SECTOR_SIZE)));
}

/* Zeroes in front of the grains are not the end, if it is known where
 * the grains begin.
 */
static void
test_overhead (void **state)
{
  struct hosted_header h;

  make_stream ();
  stream_end (&f);
  h = stream_header (&f);
  h.overhead = STREAMS_OVERHEAD - 1;
  assert_false (stream_index_is_complete
                (scan_with (&h, f.sectors * SECTOR_SIZE)));
  assert_int_equal (stream_index_behind (latest), 0);

  /* Without a good value the grains begin behind the descriptor. */
  h.descriptor_offset = 1;
  h.descriptor_size = STREAMS_OVERHEAD - 1;
  h.overhead = 0;
  scan_with (&h, f.sectors * SECTOR_SIZE);
  assert_int_equal (stream_index_behind (latest), 40);
  h.overhead = f.sectors;
  scan_with (&h, f.sectors * SECTOR_SIZE);
  assert_int_equal (stream_index_behind (latest), 40);
  h.overhead = UINT64_MAX;
  scan_with (&h, f.sectors * SECTOR_SIZE);
  assert_int_equal (stream_index_behind (latest), 40);
  assert_true (stream_index_is_complete (latest));

  /* Or behind the header. */
  memmove (f.data + SECTOR_SIZE, f.data + STREAMS_OVERHEAD * SECTOR_SIZE,
           (f.sectors - STREAMS_OVERHEAD) * SECTOR_SIZE);
  h.descriptor_offset = h.descriptor_size = h.overhead = 0;
  scan_with (&h, f.sectors * SECTOR_SIZE);
  assert_int_equal (stream_index_find (latest, 0), 1);
  assert_true (stream_index_is_complete (latest));
}

/* What is behind the end does not count. */
static void
test_garbage_behind (void **state)
{
  uint64_t end;

  make_stream ();
  stream_end (&f);
  end = f.sectors - 1;
  stream_add (&f, 20);
  memset (f.data + f.sectors * SECTOR_SIZE, 0xff, 512);
  f.sectors++;
  assert_true (stream_index_is_complete (scan ()));
  assert_int_equal (stream_index_end (latest), end * SECTOR_SIZE);
  assert_int_equal (stream_index_find (latest, 20), 0);
}

/* 'needed' is enough, and a byte less is not.  All of it is given back. */
static void
check_budget (const struct hosted_header *h, uint64_t needed)
{
  struct budget enough, too_small;
  struct vmdk_error error;
  struct stream_index *index;
  struct io *io = io_mem_new (f.data, f.sectors * SECTOR_SIZE, "t.vmdk",
                              &error);

  assert_non_null (io);
  budget_init (&enough, needed);
  index = stream_index_new (io, h, &enough, &no_log, &error);
  assert_non_null (index);
  assert_int_equal (budget_left (&enough), 0);
  stream_index_free (index);
  assert_true (budget_left (&enough) == needed);
  budget_init (&too_small, needed - 1);
  assert_null (stream_index_new (io, h, &too_small, &no_log, &error));
  assert_true (budget_left (&too_small) == needed - 1);
  assert_error (&error, VMDK_ERROR_NOMEM, ENOMEM, "t.vmdk: ");
  assert_error (&error, VMDK_ERROR_NOMEM, ENOMEM, "cache-size=");
  io_unref (io);
}

/* A pointer for each 4096 grains, and four bytes for each grain of such
 * a piece that has one.
 */
static void
test_budget (void **state)
{
  struct hosted_header h;

  stream_begin (&f, 159);
  stream_add_marker (&f, 0, STREAM_EOS);
  h = stream_header (&f);
  h.capacity = UINT64_C (1000) * 4096 * GRAIN_SECTORS;
  check_budget (&h, 1000 * sizeof (void *));
  h.capacity++;
  check_budget (&h, 1001 * sizeof (void *));

  make_stream ();
  store_le64 (f.data + f.where[17] * SECTOR_SIZE,
              UINT64_C (4096) * 999 * GRAIN_SECTORS);
  stream_add_marker (&f, 0, STREAM_EOS);
  h.capacity--;
  check_budget (&h, 1000 * sizeof (void *) + 2 * 4096 * 4);
}

#define TEST(t) cmocka_unit_test_teardown (t, teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    TEST (test_whole),
    TEST (test_empty),
    TEST (test_cut_before_grains),
    TEST (test_far_apart),
    TEST (test_cut),
    TEST (test_cut_in_padding),
    TEST (test_bad_grain),
    TEST (test_duplicate),
    TEST (test_out_of_order),
    TEST (test_progress),
    TEST (test_unknown_types),
    TEST (test_values),
    TEST (test_true_end),
    TEST (test_large_metadata),
    TEST (test_overhead),
    TEST (test_garbage_behind),
    TEST (test_budget),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
