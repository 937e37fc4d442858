/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* One client reads a grain, which takes long; others free that grain, flush,
 * and write to grains that have no place.  The flush does not wait for the
 * reader for ever, and the reader does not get what the others have written.
 */

#include <config.h>

#include "image.h"
#include "../../vmdkcore/image.h"

#define GRAIN UINT64_C (4096)
#define NR_GRAINS 125

/* Where image.h puts the tables, bytes. */
#define REDUNDANT_TABLE (2 * 512)
#define PRIMARY_TABLE (4 * 512)

static struct model m;
static struct vmdk_error error;
static struct vmdk_image *image;
static const struct io_ops *file_ops;
static bool is_slow, is_impatient;

#define assert_done(r)                                  \
  do {                                                  \
    if ((r) == -1)                                      \
      fail_msg ("%s", error.message);                   \
  } while (0)

static uint8_t data[(NR_GRAINS - 1) * GRAIN];

static void
write_all (void)
{
  uint64_t i;

  memset (data, 'o', sizeof data);
  assert_done (vmdk_trim (image, GRAIN, 0, 0, &error));
  assert_done (vmdk_flush (image, &error));
  /* One by one, so that each free place is taken. */
  for (i = 1; i < NR_GRAINS; ++i)
    assert_done (vmdk_pwrite (image, data, GRAIN, i * GRAIN, 0, &error));
  assert_done (vmdk_flush (image, &error));
}

/* The last of them disconnects, and another comes, for whom all tables are
 * looked at.
 */
static void
write_later (void)
{
  memset (data, 'o', sizeof data);
  assert_done (vmdk_trim (image, GRAIN, 0, 0, &error));
  assert_done (vmdk_flush (image, &error));
  assert_done (vmdk_end_writing (image, &error));
  assert_done (vmdk_begin_writing (image, &error));
  is_impatient = true;
  assert_int_equal (vmdk_pwrite (image, data, sizeof data, GRAIN, 0, &error),
                    -1);
  assert_error (&error, VMDK_ERROR_INTERRUPTED, EINTR, "");
}

/* They are not there for as long as such a writer would wait. */
static bool
gives_up (void *opaque)
{
  (void) opaque;
  return is_impatient;
}

static void (*others) (void);

static int
slow_pread (struct io *io, void *buf, size_t count, uint64_t offset,
            struct vmdk_error *e)
{
  if (is_slow) {
    assert_int_equal (count, GRAIN);
    is_slow = false;
    others ();
    is_impatient = false;
  }
  return file_ops->pread (io, buf, count, offset, e);
}

static struct io *
hook_slow (void *opaque, struct io *io, struct vmdk_error *e)
{
  static struct io_ops ops;

  (void) opaque;
  (void) e;
  file_ops = io->ops;
  ops = *io->ops;
  ops.pread = slow_pread;
  io->ops = &ops;
  return io;
}

static off_t
file_size (void)
{
  struct stat statbuf;

  assert_int_equal (stat (folder_path (&m.folder, "sparse0"), &statbuf), 0);
  return statbuf.st_size;
}

/* Open it to write. */
static void
open_image (const struct io_hook *hook)
{
  const struct vmdk_options options = {
    .writable = true, .interrupted = gives_up,
  };

  image = image_open (folder_path (&m.folder, "disk.vmdk"), &options, hook,
                      &error);
  if (!image)
    fail_msg ("%s", error.message);
  assert_done (vmdk_begin_writing (image, &error));
}

/* Make a disk whose first grain only has a place. */
static void
make_image (const struct io_hook *hook)
{
  model_init (&m, 1);
  model_add_sparse (&m, NR_GRAINS * 8, 8, 128, true);
  folder_write_text (&m.folder, "disk.vmdk", m.descriptor);
  open_image (hook);
  memset (data, 'b', GRAIN);
  assert_done (vmdk_trim (image, NR_GRAINS * GRAIN, 0, 0, &error));
  assert_done (vmdk_pwrite (image, data, GRAIN, 0, 0, &error));
}

static void
run_with (void (*do_others) (void))
{
  const struct io_hook hook = { hook_slow, NULL };
  static uint8_t buf[GRAIN];
  off_t size;
  size_t i;

  make_image (&hook);
  assert_done (vmdk_flush (image, &error));

  /* So that the table is known, and the grain is what is read slowly. */
  assert_done (vmdk_pread (image, buf, GRAIN, 0, &error));
  others = do_others;
  is_slow = true;
  assert_done (vmdk_pread (image, buf, GRAIN, 0, &error));
  assert_false (is_slow);
  for (i = 0; i < GRAIN; ++i)
    assert_true (buf[i] == 'b' || buf[i] == 0);

  /* When it has come to its end the place is given to others. */
  assert_done (vmdk_pread (image, buf, GRAIN, 0, &error));
  assert_int_equal (buf[0], 0);
  assert_done (vmdk_pwrite (image, data, sizeof data, GRAIN, 0, &error));
  size = file_size ();
  assert_done (vmdk_trim (image, GRAIN, 5 * GRAIN, 0, &error));
  assert_done (vmdk_flush (image, &error));
  assert_done (vmdk_pwrite (image, data, GRAIN, 5 * GRAIN, 0, &error));
  assert_done (vmdk_pwrite (image, data, GRAIN, 0, 0, &error));
  assert_int_equal (file_size (), size);
  assert_done (vmdk_end_writing (image, &error));
  vmdk_close (image);
  model_free (&m);
}

static void
test_session (void **state)
{
  (void) state;
  run_with (write_all);
}

static void
test_next_session (void **state)
{
  (void) state;
  run_with (write_later);
}

/* The file was not closed cleanly, and its tables are not on the disk: that
 * shows when the first change drops the cache, or other copies are read.
 */
static bool has_lost_tables;

static void write_first (void);

static void
lose_tables (struct io *io)
{
  static const uint8_t zeroes[4];
  FILE *fp;

  (void) io;
  if (!has_lost_tables)
    return;
  has_lost_tables = false;
  fp = fopen (folder_path (&m.folder, "sparse0"), "r+");
  assert_non_null (fp);
  assert_int_equal (fseek (fp, REDUNDANT_TABLE, SEEK_SET), 0);
  assert_int_equal (fwrite (zeroes, 1, sizeof zeroes, fp), sizeof zeroes);
  assert_int_equal (fseek (fp, PRIMARY_TABLE, SEEK_SET), 0);
  assert_int_equal (fwrite (zeroes, 1, sizeof zeroes, fp), sizeof zeroes);
  assert_int_equal (fclose (fp), 0);
}

/* When the mark has been written, all that is left to do is to wait. */
static int
marking_pwrite (struct io *io, const void *buf, size_t count, uint64_t offset,
                struct vmdk_error *e)
{
  if (others == write_first && offset == HOSTED_UNCLEAN)
    is_impatient = true;
  return file_ops->pwrite (io, buf, count, offset, e);
}

static void
write_first (void)
{
  memset (data, 'o', sizeof data);
  assert_int_equal (vmdk_pwrite (image, data, sizeof data, GRAIN, 0, &error),
                    -1);
  assert_error (&error, VMDK_ERROR_INTERRUPTED, EINTR, "");
  assert_false (has_lost_tables);
}

static struct io *
hook_losing (void *opaque, struct io *io, struct vmdk_error *e)
{
  static struct io_ops ops;

  (void) opaque;
  (void) e;
  file_ops = io->ops;
  ops = *io->ops;
  ops.pread = slow_pread;
  ops.pwrite = marking_pwrite;
  ops.drop_cache = lose_tables;
  io->ops = &ops;
  return io;
}

static void
test_tables_lost (void **state)
{
  const struct io_hook hook = { hook_losing, NULL };
  static uint8_t buf[GRAIN];
  const uint8_t unclean = 1;
  FILE *fp;
  size_t i;

  (void) state;
  make_image (&hook);
  assert_done (vmdk_end_writing (image, &error));
  vmdk_close (image);
  fp = fopen (folder_path (&m.folder, "sparse0"), "r+");
  assert_non_null (fp);
  assert_int_equal (fseek (fp, HOSTED_UNCLEAN, SEEK_SET), 0);
  assert_int_equal (fwrite (&unclean, 1, 1, fp), 1);
  assert_int_equal (fclose (fp), 0);

  open_image (&hook);
  assert_done (vmdk_pread (image, buf, GRAIN, 0, &error));
  has_lost_tables = true;
  others = write_first;
  is_slow = true;
  assert_done (vmdk_pread (image, buf, GRAIN, 0, &error));
  assert_false (is_slow);
  for (i = 0; i < GRAIN; ++i)
    assert_true (buf[i] == 'b' || buf[i] == 0);

  others = NULL;
  assert_done (vmdk_pwrite (image, data, sizeof data, GRAIN, 0, &error));
  assert_done (vmdk_pread (image, buf, GRAIN, 0, &error));
  assert_int_equal (buf[0], 0);
  assert_done (vmdk_end_writing (image, &error));
  vmdk_close (image);
  model_free (&m);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_session),
    cmocka_unit_test (test_next_session),
    cmocka_unit_test (test_tables_lost),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
