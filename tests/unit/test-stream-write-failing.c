/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Files that fail: a stream appears whole or not at all, what fails is
 * reported, and what was not lost can be tried again.
 */

#include <config.h>

#include <dirent.h>

#include "counted.h"
#include "written.h"

#define NR_GRAINS 60

/* Everything that a writer can be made to do: waiting in a temporary file,
 * parts of grains there, and putting the file together anew.  Stops at what
 * fails.
 */
static int
work (struct written *t, struct vmdk_error *error)
{
  uint64_t seed = 5, i;

  for (i = NR_GRAINS; i-- > 0;) {
    const uint64_t grain = i ^ 3;

    fill_kind (t->model + grain * GRAIN, GRAIN, i % 2, &seed);
    if (stream_writer_pwrite (t->w, t->model + grain * GRAIN,
                              i % 5 == 0 ? 3000 : GRAIN, grain * GRAIN,
                              error) == -1)
      return -1;
    if (i % 5 == 0)
      memset (t->model + grain * GRAIN + 3000, 0, GRAIN - 3000);
  }
  fill_kind (t->model + 20 * GRAIN + 100, 500, 0, &seed);
  if (stream_writer_pwrite (t->w, t->model + 20 * GRAIN + 100, 500,
                            20 * GRAIN + 100, error) == -1)
    return -1;
  /* One that has its place. */
  fill_kind (t->model + GRAIN + 200, 600, 0, &seed);
  if (stream_writer_pwrite (t->w, t->model + GRAIN + 200, 600, GRAIN + 200,
                            error) == -1)
    return -1;
  memset (t->model + 30 * GRAIN, 0, GRAIN);
  if (stream_writer_zero (t->w, GRAIN, 30 * GRAIN, error) == -1)
    return -1;
  return stream_writer_finish (t->w, error);
}

static unsigned
count_names (const struct written *t)
{
  DIR *dir = opendir (t->folder.path);
  unsigned n = 0;

  assert_non_null (dir);
  while (readdir (dir))
    n++;
  closedir (dir);
  return n - 2;
}

/* A call that fails, or all from that one on.  Returns how many there are if
 * none did.
 */
static uint64_t
check_failing (uint64_t failing, bool once, int err)
{
  static struct counted c;
  struct vmdk_error error;
  struct written t;
  uint64_t nr_calls = 0;

  counted_init (&c);
  c.failing = failing;
  c.once = once;
  c.err = err;
  written_try (&t, NR_GRAINS * GRAIN + 512, 1, &c.hook, &error);
  if (!t.w)
    assert_int_equal (error.err, err);
  else if (work (&t, &error) == -1) {
    assert_int_equal (error.err, err);
    assert_true (strstr (error.message, "call ") != NULL);
    /* The reason stays, and nothing comes of it. */
    assert_int_equal (stream_writer_finish (t.w, &error), -1);
    assert_int_equal (error.err, err);
    assert_int_equal (stream_writer_finish (t.w, &error), -1);
    assert_int_equal (error.err, err);
    assert_int_equal (stream_writer_flush (t.w, &error), -1);
  }
  else {
    nr_calls = c.nr_calls;
    c.failing = 0;
    written_check (&t);
  }
  stream_writer_free (t.w);
  t.w = NULL;
  assert_int_equal (count_names (&t), nr_calls > 0);
  written_free (&t);
  return nr_calls;
}

static void
test_each_call (void **state)
{
  const uint64_t nr = check_failing (0, false, EIO);
  uint64_t i;

  assert_true (nr > 150);
  for (i = 1; i <= nr; ++i) {
    assert_int_equal (check_failing (i, false, EIO), 0);
    assert_int_equal (check_failing (i, true, ENOSPC), 0);
  }
}

/* A client that hears of a full disk, and tries again until it is not. */
static int
insist (struct written *t, uint64_t offset, uint64_t count,
        unsigned *failures)
{
  struct vmdk_error error;
  unsigned i;

  for (i = 0; i < 3; ++i) {
    if (stream_writer_pwrite (t->w, t->model + offset, count, offset,
                              &error) == 0)
      return 0;
    assert_int_equal (error.err, ENOSPC);
    assert_int_equal (stream_writer_flush (t->w, &error), -1);
    ++*failures;
  }
  return -1;
}

static void
check_once (uint64_t failing)
{
  static struct counted c;
  struct vmdk_error error;
  struct written t;
  unsigned failures = 0;
  uint64_t i;

  counted_init (&c);
  c.failing = failing;
  c.once = true;
  c.err = ENOSPC;
  written_try (&t, NR_GRAINS * GRAIN, 1, &c.hook, &error);
  if (!t.w)
    fail_msg ("%s", error.message);
  for (i = 0; i < NR_GRAINS; ++i) {
    const uint64_t offset = (i ^ 7) % NR_GRAINS * GRAIN;

    fill_kind (t.model + offset, GRAIN, i % 2, &t.seed);
    assert_int_equal (insist (&t, offset, 5000, &failures), 0);
    assert_int_equal (insist (&t, offset + 5000, GRAIN - 5000, &failures),
                      0);
  }
  assert_int_equal (failures, 1);
  assert_int_equal (stream_writer_flush (t.w, &error), 0);
  c.failing = 0;
  written_read (&t, 0, t.size);
  written_finish (&t);
  written_check (&t);
  written_free (&t);
}

/* A write that has failed loses nothing. */
static void
test_tried_again (void **state)
{
  uint64_t i;

  /* The first two are made when the writer is, and for the first slot. */
  for (i = 3; i < 60; i += 3)
    check_once (i);
}

/* One that is not repeated, or only in part. */
static void
test_owed (void **state)
{
  static struct counted c;
  struct vmdk_error error;
  struct written t;
  unsigned i;

  for (i = 0; i < 3; ++i) {
    counted_init (&c);
    c.failing = 2;
    c.once = true;
    c.err = EIO;
    written_try (&t, NR_GRAINS * GRAIN, 0, &c.hook, &error);
    assert_non_null (t.w);
    fill_kind (t.model, 4 * GRAIN, 0, &t.seed);
    assert_int_equal (stream_writer_pwrite (t.w, t.model + GRAIN, 2 * GRAIN,
                                            GRAIN, &error), 0);
    assert_int_equal (stream_writer_pwrite (t.w, t.model, GRAIN, 0, &error),
                      -1);
    memset (t.model + 3 * GRAIN, 0, GRAIN);
    if (i > 0)
      assert_int_equal (stream_writer_pwrite (t.w, t.model + 2 - i,
                                              2 * GRAIN, 2 - i, &error), 0);
    if (i < 2) {
      assert_int_equal (stream_writer_finish (t.w, &error), -1);
      assert_error (&error, VMDK_ERROR_IO, EIO,
                    "new.vmdk: was not made: a write has failed: ");
      assert_int_equal (count_names (&t), 0);
    }
    else {
      written_finish (&t);
      written_check (&t);
    }
    written_free (&t);
  }
}

/* The first of two grains is appended, and of the second a part only, before
 * the disk is full.  Then that becomes zeroes.
 */
static void
write_part (struct written *t, struct counted *c)
{
  struct vmdk_error error;

  counted_init (c);
  c->once = true;
  c->err = ENOSPC;
  c->part = 40000;
  written_try (t, NR_GRAINS * GRAIN, 0, &c->hook, &error);
  assert_non_null (t->w);
  written_put (t, 0, GRAIN, 0);
  c->failing = c->nr_calls + 1;
  fill_kind (t->model + GRAIN, GRAIN, 0, &t->seed);
  assert_int_equal (stream_writer_pwrite (t->w, t->model + GRAIN, GRAIN,
                                          GRAIN, &error), -1);
  assert_int_equal (error.err, ENOSPC);
  written_zero (t, GRAIN, GRAIN);
}

/* What was written of a grain that is not there does not stay behind the end:
 * there QEMU looks for the footer.
 */
static void
test_part_left (void **state)
{
  static struct counted c;
  struct vmdk_error error;
  struct written t;

  write_part (&t, &c);
  written_finish (&t);
  written_check (&t);
  written_free (&t);

  /* A file that cannot be cut is not made: a table, the directory, its marker
   * and the end are written before that is tried.
   */
  write_part (&t, &c);
  c.failing = c.nr_calls + 5;
  assert_int_equal (stream_writer_finish (t.w, &error), -1);
  assert_error (&error, VMDK_ERROR_IO, ENOSPC, "new.vmdk: was not made: ");
  assert_error (&error, VMDK_ERROR_IO, ENOSPC, "truncate");
  assert_int_equal (count_names (&t), 0);
  written_free (&t);
}

/* The temporary file can be too large for its file system and the stream not:
 * then a write is tried again when less waits.
 */
static void
test_too_large (void **state)
{
  static struct counted c;
  struct vmdk_error error;
  struct written t;
  uint64_t i;
  int r = 0;

  counted_init (&c);
  written_try (&t, NR_GRAINS * GRAIN, 1, &c.hook, &error);
  assert_non_null (t.w);
  c.too_large = 1U << 1;
  for (i = NR_GRAINS; i-- > 0 && r == 0;) {
    fill_kind (t.model + i * GRAIN, GRAIN, 0, &t.seed);
    r = stream_writer_pwrite (t.w, t.model + i * GRAIN, GRAIN, i * GRAIN,
                              &error);
  }
  assert_int_equal (r, -1);
  assert_error (&error, VMDK_ERROR_IO, ENOSPC,
                "pwrite: temporary file of new.vmdk: File too large");
  assert_int_equal (stream_writer_flush (t.w, &error), -1);
  for (i = 0; i < NR_GRAINS; ++i)
    written_put (&t, i * GRAIN, GRAIN, 0);
  assert_int_equal (stream_writer_flush (t.w, &error), 0);
  written_finish (&t);
  written_check (&t);
  written_free (&t);

  /* One that is itself too large will not become smaller. */
  counted_init (&c);
  written_try (&t, NR_GRAINS * GRAIN, 1, &c.hook, &error);
  assert_non_null (t.w);
  c.too_large = 1U << 0;
  assert_int_equal (stream_writer_pwrite (t.w, "x", 1, 0, &error), 0);
  memset (t.model, 1, GRAIN);
  assert_int_equal (stream_writer_pwrite (t.w, t.model, GRAIN, 0, &error),
                    -1);
  assert_error (&error, VMDK_ERROR_IO, EFBIG, "pwrite: new.vmdk: ");
  c.too_large = 0;
  assert_int_equal (stream_writer_pwrite (t.w, t.model, GRAIN, 0, &error),
                    -1);
  assert_error (&error, VMDK_ERROR_IO, EFBIG, "pwrite: new.vmdk: ");
  written_free (&t);
}

/* In such an order that grains wait, but none is written twice. */
static int
work_backwards (struct written *t, struct vmdk_error *error)
{
  uint64_t i;

  for (i = NR_GRAINS; i-- > 0;)
    written_put (t, i * GRAIN, GRAIN, 0);
  return stream_writer_finish (t->w, error);
}

/* A disk that has lost what was written says so only when a file is synced,
 * and lets it be read as something else.  So that must be asked of each file
 * that is read back: the first one, if it is put together anew, and the
 * temporary file.
 */
static void
test_lost (void **state)
{
  static struct counted c;
  struct vmdk_error error;
  struct written t;
  unsigned anew, lost;
  char name[16];

  for (anew = 0; anew < 2; ++anew)
    for (lost = 0; lost < 2 + anew; ++lost) {
      counted_init (&c);
      c.lost = 1U << lost;
      written_try (&t, NR_GRAINS * GRAIN, 1, &c.hook, &error);
      assert_non_null (t.w);
      assert_int_equal (anew ? work (&t, &error) :
                        work_backwards (&t, &error), -1);
      assert_int_equal (c.nr_files, 2 + anew);
      snprintf (name, sizeof name, "file %u", lost);
      assert_error (&error, VMDK_ERROR_IO, EIO, name);
      assert_error (&error, VMDK_ERROR_IO, EIO, "new.vmdk: was not made: ");
      assert_int_equal (stream_writer_finish (t.w, &error), -1);
      assert_error (&error, VMDK_ERROR_IO, EIO, name);
      assert_int_equal (count_names (&t), 0);
      written_free (&t);
    }
}

/* Something else has got the name. */
static void
test_name_taken (void **state)
{
  struct vmdk_error error;
  struct written t;
  uint64_t size;
  uint8_t *p;

  written_new (&t, NR_GRAINS * GRAIN, 0);
  written_put (&t, 0, GRAIN, 1);
  folder_write_text (&t.folder, "new.vmdk", "other");
  assert_int_equal (stream_writer_finish (t.w, &error), -1);
  assert_error (&error, VMDK_ERROR_IO, EEXIST, "new.vmdk");
  p = read_file (written_path (&t), &size);
  assert_int_equal (size, 5);
  assert_memory_equal (p, "other", 5);
  free (p);
  written_free (&t);
}

static void
check_refused (uint64_t size, int level, const char *piece)
{
  struct folder folder;
  struct vmdk_error error;
  struct stream_create_options options = {
    .size = size, .compress_level = level, .descriptor = "",
  };

  folder_new (&folder);
  options.path = folder_path (&folder, "new.vmdk");
  assert_null (stream_writer_create (&options, &error));
  assert_error (&error, VMDK_ERROR_INVALID, EINVAL, piece);
  folder_remove (&folder);
}

static void
test_refused (void **state)
{
  check_refused (0, 0, "multiple of 512");
  check_refused (513, 0, "multiple of 512");
  check_refused (UINT64_C (1) << 60, 0, "larger than");
  check_refused (512, 13, "from 1 to 12");
  check_refused (512, -1, "from 1 to 12");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_each_call),
    cmocka_unit_test (test_tried_again),
    cmocka_unit_test (test_owed),
    cmocka_unit_test (test_part_left),
    cmocka_unit_test (test_too_large),
    cmocka_unit_test (test_lost),
    cmocka_unit_test (test_name_taken),
    cmocka_unit_test (test_refused),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
