/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Streams as extents whose tables are damaged, or missing: their grains are
 * found by their markers.
 */

#include <config.h>

#include "asleep.h"
#include "stream-extent.h"

/* The directory is not in the file, or an entry of it is damaged. */
static void
test_bad_directory (void **state)
{
  make_stream ();
  store_le64 (f.data + (f.sectors - 2) * SECTOR_SIZE + 56, f.sectors);
  open_stream ();
  assert_all_right ();
  assert_logged (&o.log, 1, "found by their markers");

  make_stream ();
  store_le32 (f.data + f.directory * SECTOR_SIZE, (uint32_t) f.sectors);
  open_stream ();
  assert_all_right ();
  assert_logged (&o.log, 1, "1 entries of the grain directory");
  assert_map (&o, 2 * GRAIN_BYTES, 38 * GRAIN_BYTES - 512, RUN_HOLE,
              3 * GRAIN_BYTES, 0);
  assert_allocation (&o, 0, 99999, RUN_COMPRESSED, 2 * GRAIN_BYTES);
}

/* An entry of a table points nowhere: the markers tell. */
static void
test_bad_entry (void **state)
{
  make_stream ();
  store_le32 (stream_entry (&f, 5), UINT32_MAX);
  store_le32 (stream_entry (&f, 6), (uint32_t) f.sectors);
  store_le32 (stream_entry (&f, 7), (uint32_t) f.directory);
  open_stream ();
  assert_logged (&o.log, 0, "");
  assert_all_right ();
  assert_true (strstr (o.log.text, "found by their markers") != NULL);
  assert_map (&o, 6 * GRAIN_BYTES, 99, RUN_HOLE, 99, 0);

  /* Unless they are damaged, too. */
  store_le32 (f.data + f.where[1] * SECTOR_SIZE + 8, UINT32_MAX);
  open_stream ();
  assert_read (&o, 0, f.disk, GRAIN_BYTES);
  assert_bad (&o, 5 * GRAIN_BYTES, "is 0xffffffff, ");
  assert_true (strstr (o.log.text, "cannot be read to its end") != NULL);
  assert_damaged (1, "4294967295 bytes");
}

/* Map grain 5, whose entry is damaged. */
static enum run_kind
map_damaged (void)
{
  struct vmdk_error error;
  struct run run;

  assert_int_equal (o.extent->ops->map (o.extent, 5 * GRAIN_BYTES, 99,
                                        MAP_FOR_READING, &run, &error), 0);
  return run.kind;
}

/* The search for grains is given up, and begins anew when it is wanted next.
 */
static void
test_interrupted (void **state)
{
  struct vmdk_error error;

  (void) state;
  make_stream ();
  store_le32 (stream_entry (&f, 5), UINT32_MAX);
  open_stream ();
  o.logger.interrupted = is_interrupted;
  assert_int_equal (map_damaged (), RUN_BAD);
  assert_true (strstr (o.log.text, "was interrupted") != NULL);
  o.logger.interrupted = NULL;
  assert_all_right ();

  /* If it is needed to open the disk, that fails. */
  make_grains ();
  stream_add_marker (&f, 0, STREAM_EOS);
  assert_null (try_open_interrupted (&error));
  assert_error (&error, VMDK_ERROR_INTERRUPTED, EINTR, "was interrupted");
}

/* Memory that others have: the search fails, and is not made again until there
 * is more of it.  What is damaged needs none.
 */
static void
test_no_memory (void **state)
{
  const uint64_t half = BUDGET / 2;

  make_stream ();
  store_le32 (stream_entry (&f, 5), UINT32_MAX);
  open_stream ();
  assert_true (budget_take (&o.indexes, BUDGET));
  /* One warning is of the entry. */
  assert_int_equal (map_damaged (), RUN_BAD);
  assert_logged (&o.log, 2, "cache-size=");
  assert_int_equal (map_damaged (), RUN_BAD);
  assert_logged (&o.log, 2, "cache-size=");
  budget_give (&o.indexes, 1);
  assert_int_equal (map_damaged (), RUN_BAD);
  assert_logged (&o.log, 3, "cache-size=");
  assert_int_equal (map_damaged (), RUN_BAD);
  assert_logged (&o.log, 3, "cache-size=");
  assert_true (budget_left (&o.indexes) == 1);

  budget_give (&o.indexes, half);
  assert_all_right ();
  assert_logged (&o.log, 4, "found by their markers");
  assert_true (budget_left (&o.indexes) < 1 + half);
  o.extent->ops->close (o.extent);
  o.extent = NULL;
  assert_true (budget_left (&o.indexes) == 1 + half);
}

/* Others give back their memory when they hear of that. */
static void
give_back (void *opaque, enum vmdk_log_level level, const char *message)
{
  (void) opaque;
  (void) level;
  if (strstr (message, "cache-size=") && budget_left (&o.indexes) == 0)
    budget_give (&o.indexes, BUDGET);
}

/* Two grains that lie one after the other, of which the first was not found at
 * first, are read one by one.
 */
static void
test_memory_comes_back (void **state)
{
  struct vmdk_error error;
  struct run run;

  (void) state;
  make_stream ();
  store_le32 (stream_entry (&f, 0), UINT32_MAX);
  store_le32 (stream_entry (&f, 1), UINT32_MAX);
  open_stream ();
  assert_true (budget_take (&o.indexes, BUDGET));
  o.logger.log = give_back;
  assert_int_equal (o.extent->ops->map (o.extent, 0, 2 * GRAIN_BYTES,
                                        MAP_FOR_READING, &run, &error), 0);
  assert_true (run.length <= GRAIN_BYTES);
  assert_map (&o, 0, 2 * GRAIN_BYTES, RUN_COMPRESSED, GRAIN_BYTES, f.where[0]);
  assert_all_right ();
}

/* Search another stream of the same image. */
static bool
search_another (void *opaque)
{
  const struct hosted_header h = stream_header (&f);
  struct extent *first = o.extent;
  struct vmdk_error error;

  (void) opaque;
  o.logger.interrupted = NULL;
  o.extent = extent_stream_new (o.io, &h, 159 * SECTOR_SIZE, &o.env, &error);
  assert_non_null (o.extent);
  assert_all_right ();
  o.extent->ops->close (o.extent);
  o.extent = first;
  return false;
}

/* One search does not wait for another, which may take long. */
static void
test_two_searches (void **state)
{
  make_stream ();
  store_le32 (stream_entry (&f, 5), UINT32_MAX);
  open_stream ();
  o.logger.interrupted = search_another;
  assert_all_right ();
  assert_true (o.logger.interrupted == NULL);
}

/* One who waits for the index while another makes it. */
static struct {
  pthread_t thread;
  atomic_int tid;
  enum run_kind kind;
  atomic_uint asked;            /* all: whether they are interrupted */
} waiter;

static void *
wait_for_index (void *opaque)
{
  atomic_store (&waiter.tid, gettid ());
  waiter.kind = map_damaged ();
  return opaque;
}

/* Who makes the index is interrupted when the other waits for it. */
static bool
interrupt_both (void *opaque)
{
  (void) opaque;
  if (atomic_fetch_add (&waiter.asked, 1) == 0) {
    assert_int_equal (pthread_create (&waiter.thread, NULL, wait_for_index,
                                      NULL), 0);
    wait_until_asleep (&waiter.tid);
  }
  return true;
}

/* Whose client has gone while it waited does not begin a search anew. */
static void
test_interrupted_waiting (void **state)
{
  const char *first;

  make_stream ();
  store_le32 (stream_entry (&f, 5), UINT32_MAX);
  open_stream ();
  o.logger.interrupted = interrupt_both;
  assert_int_equal (map_damaged (), RUN_BAD);
  assert_int_equal (pthread_join (waiter.thread, NULL), 0);
  assert_int_equal (waiter.kind, RUN_BAD);
  assert_true (atomic_load (&waiter.asked) == 2);
  first = strstr (o.log.text, "was interrupted");
  assert_non_null (first);
  assert_null (strstr (first + 1, "was interrupted"));

  o.logger.interrupted = NULL;
  assert_all_right ();
}

/* What a cut stream has is served only if that is wanted. */
static void
test_salvage (void **state)
{
  uint8_t buf[512];
  struct vmdk_error error;
  char piece[60];
  uint64_t end;

  make_grains ();
  end = f.where[39];
  f.sectors = end;
  assert_refused ("salvage=true");
  snprintf (piece, sizeof piece, "end marker at offset %" PRIu64 "; ",
            end * SECTOR_SIZE);
  assert_refused (piece);

  salvage = true;
  open_stream ();
  assert_logged (&o.log, 1, "salvaging");
  assert_read (&o, 0, f.disk, 34 * GRAIN_BYTES);
  assert_map (&o, 6 * GRAIN_BYTES, 32 * GRAIN_BYTES, RUN_HOLE,
              27 * GRAIN_BYTES, 0);
  assert_bad (&o, 34 * GRAIN_BYTES, "cut off");
  assert_map (&o, 34 * GRAIN_BYTES, 5 * GRAIN_BYTES, RUN_BAD, GRAIN_BYTES, 0);
  assert_allocation (&o, 34 * GRAIN_BYTES, 5 * GRAIN_BYTES, RUN_BAD,
                     5 * GRAIN_BYTES);
  assert_int_equal (one_read (&o, 158 * 512, buf, 512, &error), -1);
}

/* If grains do not come in order, any that was not found may be in the
 * part that is missing.
 */
static void
test_salvage_unordered (void **state)
{
  stream_begin (&f, 159);
  stream_add (&f, 0);
  stream_add (&f, 33);
  stream_add (&f, 1);
  salvage = true;
  open_stream ();
  assert_read (&o, 0, f.disk, 2 * GRAIN_BYTES);
  assert_bad (&o, 5 * GRAIN_BYTES, "cut off");
  assert_bad (&o, 34 * GRAIN_BYTES, "cut off");
}

/* A zero sector alone, without a footer in front, may as well be one
 * that was lost.
 */
static void
test_no_tables (void **state)
{
  make_grains ();
  stream_add_marker (&f, 0, STREAM_EOS);
  assert_refused ("no footer");
}

/* A stream that ends before its first grain is not an empty disk. */
static void
test_cut_before_grains (void **state)
{
  uint64_t k;

  make_stream ();
  for (k = 1; k <= STREAMS_OVERHEAD; ++k) {
    f.sectors = k;
    assert_refused ("salvage=true");
  }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    TEST (test_bad_directory),
    TEST (test_bad_entry),
    TEST (test_interrupted),
    TEST (test_interrupted_waiting),
    TEST (test_no_memory),
    TEST (test_memory_comes_back),
    TEST (test_two_searches),
    TEST (test_salvage),
    TEST (test_salvage_unordered),
    TEST (test_no_tables),
    TEST (test_cut_before_grains),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
