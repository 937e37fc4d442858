/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* What happens before the first change of an image, and what does not: what
 * is refused, or only looked at, does not change a byte of a file.
 */

#include <config.h>

#include "image.h"
#include "../../vmdkcore/image.h"

/* Of a sparse file as sparse_write makes it, of one table. */
#define EXTENT_SECTORS 1000
#define REDUNDANT (2 * SECTOR_SIZE)     /* grain table */
#define PRIMARY (4 * SECTOR_SIZE)
#define UNCLEAN 72
#define NOWHERE UINT32_C (0xffffff00)

static struct model m;
static struct captured said;
static struct vmdk_error error;
static struct vmdk_image *image;
static bool interrupted;

static int
setup (void **state)
{
  (void) state;
  model_init (&m, 1);
  image = NULL;
  interrupted = false;
  return 0;
}

static int
teardown (void **state)
{
  (void) state;
  vmdk_close (image);
  model_free (&m);
  return 0;
}

static void
add_sparse (void)
{
  model_add_sparse (&m, EXTENT_SECTORS, 8, 128, true);
}

/* Backends of other abilities. */
static bool
cannot_punch (struct io *io)
{
  (void) io;
  return false;
}

static int
lock_nothing (struct io *io, enum io_lock lock, struct vmdk_error *e)
{
  (void) lock;
  (void) e;
  io->without_locks = true;
  return 0;
}

static struct io *
weaken (void *opaque, struct io *io, struct vmdk_error *e)
{
  static struct io_ops ops;

  (void) opaque;
  (void) e;
  ops = *io->ops;
  ops.can_punch = cannot_punch;
  ops.lock = lock_nothing;
  io->ops = &ops;
  return io;
}

static const struct io_hook weakening = { weaken, NULL };

static bool
may_be_interrupted (void *opaque)
{
  assert_ptr_equal (opaque, &said);
  return interrupted;
}

static void
open_hooked (const struct io_hook *hook)
{
  struct logger logger;
  struct vmdk_options options = {
    .writable = true, .interrupted = may_be_interrupted,
  };

  captured_init (&said, &logger);
  options.log = logger.log;
  options.opaque = logger.opaque;
  folder_write_text (&m.folder, "disk.vmdk", m.descriptor);
  image = image_open (folder_path (&m.folder, "disk.vmdk"), &options, hook,
                      &error);
  if (!image)
    fail_msg ("%s\n%s", m.descriptor, error.message);
}

static void
open_image (void)
{
  open_hooked (NULL);
}

/* Change a file behind the back of the library, or look at it. */
static void
poke (const char *name, uint64_t offset, uint32_t value, size_t size)
{
  FILE *fp = fopen (folder_path (&m.folder, name), "r+");
  uint8_t buf[4];

  assert_non_null (fp);
  store_le32 (buf, value);
  assert_int_equal (fseek (fp, (long) offset, SEEK_SET), 0);
  assert_int_equal (fwrite (buf, 1, size, fp), size);
  assert_int_equal (fclose (fp), 0);
}

static uint32_t
peek (const char *name, uint64_t offset)
{
  FILE *fp = fopen (folder_path (&m.folder, name), "r");
  uint8_t buf[4];

  assert_non_null (fp);
  assert_int_equal (fseek (fp, (long) offset, SEEK_SET), 0);
  assert_int_equal (fread (buf, 1, 4, fp), 4);
  fclose (fp);
  return load_le32 (buf);
}

/* All files of the folder that the tests have, summed up. */
static uint64_t
checksum (void)
{
  static const char *const names[] = {
    "disk.vmdk", "sparse0", "sparse1", "flat0", "flat1",
  };
  uint64_t sum = 1;
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (names); ++i) {
    FILE *fp = fopen (folder_path (&m.folder, names[i]), "r");
    int c;

    if (!fp)
      continue;
    while ((c = getc (fp)) != EOF)
      sum = sum * 31 + (uint64_t) c + 1;
    fclose (fp);
  }
  return sum;
}

/* Make the copies of the tables disagree in a grain that readers see as
 * a hole.  Returns its number.
 */
static uint64_t
lose_grain (const char *name)
{
  uint64_t i = 0;

  while (peek (name, PRIMARY + 4 * i) <= 1)
    ++i;
  assert_true (i < EXTENT_SECTORS / 8);
  poke (name, PRIMARY + 4 * i, 0, 4);
  memset (m.bytes + i * 4096, 0, 4096);
  memset (m.kinds + i * 8, SECTOR_HOLE, 8);
  return i;
}

static void
assert_reads_as_model (void)
{
  assert_true (model_read_is_right (&m, image, 0, m.sectors * SECTOR_SIZE));
}

#define assert_done(r)                                  \
  do {                                                  \
    if ((r) == -1)                                      \
      fail_msg ("%s", error.message);                   \
  } while (0)

/* What readers saw before the first change they see after it, whether or
 * not the file has the mark; who only connects changes nothing.
 */
static void
test_copies_disagree (void **state)
{
  const uint8_t byte = 0x55;
  unsigned unclean;

  for (unclean = 0; unclean < 2; ++unclean) {
    uint64_t grain, before;

    add_sparse ();
    grain = lose_grain ("sparse0");
    poke ("sparse0", UNCLEAN, unclean, 1);
    open_image ();
    before = checksum ();
    assert_done (vmdk_begin_writing (image, &error));
    assert_reads_as_model ();
    assert_done (vmdk_end_writing (image, &error));
    assert_int_equal (checksum (), before);
    assert_int_equal (said.warnings, 0);
    assert_non_null (strstr (said.text, "will be put right before the first"));
    assert_true (!strstr (said.text, "not closed cleanly") == !unclean);

    assert_done (vmdk_begin_writing (image, &error));
    assert_done (vmdk_pwrite (image, &byte, 1, 12345, 0, &error));
    m.bytes[12345] = byte;
    assert_logged (&said, 1, "have been put right");
    assert_reads_as_model ();
    assert_done (vmdk_end_writing (image, &error));
    assert_int_equal (peek ("sparse0", PRIMARY + 4 * grain),
                      peek ("sparse0", REDUNDANT + 4 * grain));
    teardown (state);
    setup (state);
  }
}

/* The first extent could be put right, the second cannot. */
static void
test_second_extent_damaged (void **state)
{
  uint64_t before;
  unsigned i;

  (void) state;
  add_sparse ();
  add_sparse ();
  lose_grain ("sparse0");
  poke ("sparse0", UNCLEAN, 1, 1);
  poke ("sparse1", UNCLEAN, 1, 1);
  poke ("sparse1", PRIMARY + 4 * 7, NOWHERE, 4);
  poke ("sparse1", REDUNDANT + 4 * 7, NOWHERE, 4);
  open_image ();
  before = checksum ();
  for (i = 0; i < 2; ++i) {
    assert_int_equal (vmdk_begin_writing (image, &error), -1);
    assert_error (&error, VMDK_ERROR_CORRUPT, EIO,
                  "sparse1: is damaged, and is not written: the entry of "
                  "grain 7");
    assert_int_equal (vmdk_pwrite (image, &i, 1, 0, 0, &error), -1);
    /* There is nothing to be flushed. */
    assert_done (vmdk_flush (image, &error));
    assert_done (vmdk_end_writing (image, &error));
  }
  assert_int_equal (checksum (), before);
}

/* It need not have the mark. */
static void
test_damaged (void **state)
{
  uint64_t before;

  (void) state;
  add_sparse ();
  poke ("sparse0", PRIMARY + 4 * 7, 9999, 4);
  poke ("sparse0", REDUNDANT + 4 * 7, 99999, 4);
  open_image ();
  before = checksum ();
  assert_int_equal (vmdk_begin_writing (image, &error), -1);
  assert_error (&error, VMDK_ERROR_CORRUPT, EIO, "grain 7");
  assert_int_equal (checksum (), before);
}

/* The tables are looked at once: while the files are locked nobody else
 * changes them.
 */
static void
test_checked_once (void **state)
{
  unsigned i;

  (void) state;
  add_sparse ();
  open_image ();
  for (i = 0; i < 3; ++i) {
    assert_done (vmdk_begin_writing (image, &error));
    assert_done (vmdk_end_writing (image, &error));
    poke ("sparse0", PRIMARY + 4 * 7, NOWHERE, 4);
    poke ("sparse0", REDUNDANT + 4 * 7, NOWHERE, 4);
  }
}

/* But where there are no locks anybody may have. */
static void
test_checked_again (void **state)
{
  (void) state;
  add_sparse ();
  open_hooked (&weakening);
  assert_done (vmdk_begin_writing (image, &error));
  assert_done (vmdk_end_writing (image, &error));
  poke ("sparse0", PRIMARY + 4 * 7, NOWHERE, 4);
  poke ("sparse0", REDUNDANT + 4 * 7, NOWHERE, 4);
  assert_int_equal (vmdk_begin_writing (image, &error), -1);
  assert_error (&error, VMDK_ERROR_CORRUPT, EIO, "grain 7");
}

/* Where there are no locks, another program may also have changed what has
 * been read before.
 */
static void
test_read_again (void **state)
{
  const uint8_t byte = 0x55;
  uint64_t grain, i, hole = 0;
  unsigned round;
  uint32_t place;

  (void) state;
  add_sparse ();
  open_hooked (&weakening);
  assert_reads_as_model ();
  for (round = 0; round < 2; ++round) {
    grain = 0;
    while (peek ("sparse0", PRIMARY + 4 * grain) <= 1)
      ++grain;
    place = peek ("sparse0", PRIMARY + 4 * grain);
    poke ("sparse0", PRIMARY + 4 * grain, 0, 4);
    poke ("sparse0", REDUNDANT + 4 * grain, 0, 4);
    memset (m.bytes + grain * 4096, 0, 4096);

    assert_done (vmdk_begin_writing (image, &error));
    while (hole == grain || peek ("sparse0", PRIMARY + 4 * hole) != 0)
      ++hole;
    assert_done (vmdk_pwrite (image, &byte, 1, hole * 4096, 0, &error));
    memset (m.bytes + hole * 4096, 0, 4096);
    m.bytes[hole * 4096] = byte;
    assert_reads_as_model ();
    assert_done (vmdk_end_writing (image, &error));
    assert_reads_as_model ();
    assert_int_equal (peek ("sparse0", PRIMARY + 4 * grain), 0);
    for (i = 0; i < EXTENT_SECTORS / 8; ++i)
      assert_true (i == hole ||
                   peek ("sparse0", PRIMARY + 4 * i) != place ||
                   peek ("sparse0", PRIMARY + 4 * hole) != place);
  }
}

static void
add_line (uint64_t sectors, const char *line)
{
  model_add (&m, "RW", sectors, line, SECTOR_DATA);
}

/* Two lines that share a file, but no byte, and two that share one. */
static void
test_overlapping_lines (void **state)
{
  static const struct {
    const char *first, *second;
    bool overlap;
  } cases[] = {
    { "FLAT \"raw\" 0", "FLAT \"raw\" 10", false },
    { "FLAT \"raw\" 10", "FLAT \"raw\" 0", false },
    { "FLAT \"raw\" 0", "FLAT \"raw\" 9", true },
    { "FLAT \"raw\" 9", "FLAT \"raw\" 0", true },
    { "FLAT \"raw\" 0", "VMFS \"raw\" 0", true },
    { "FLAT \"raw\" 0", "FLAT \"other\" 5", true },
    { "FLAT \"raw\" 0", "FLAT \"other\" 10", false },
  };
  static const uint8_t raw[20 * SECTOR_SIZE];
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i) {
    folder_write (&m.folder, "raw", raw, sizeof raw);
    assert_int_equal (link (folder_path (&m.folder, "raw"),
                            folder_path (&m.folder, "other")), 0);
    add_line (10, cases[i].first);
    add_line (3, "ZERO");
    add_line (10, cases[i].second);
    open_image ();
    if (cases[i].overlap) {
      assert_int_equal (vmdk_begin_writing (image, &error), -1);
      assert_error (&error, VMDK_ERROR_CORRUPT, EROFS,
                    "two lines of the descriptor have the same bytes of");
    }
    else
      assert_done (vmdk_begin_writing (image, &error));
    teardown (state);
    setup (state);
  }
}

/* Zeroes that would have to be written are refused to who wants them fast,
 * and not a byte has changed then, the content ID included.
 */
static void
test_fast_zero_refused (void **state)
{
  const uint64_t size = EXTENT_SECTORS * SECTOR_SIZE;
  uint64_t before;

  (void) state;
  add_sparse ();
  model_add_flat (&m, 100, "FLAT", 0);
  open_image ();
  before = checksum ();
  assert_done (vmdk_begin_writing (image, &error));

  /* Grains that must stay, a part of a grain, a file that must stay, and
   * more than one extent.
   */
  assert_int_equal (vmdk_zero (image, size, 0, VMDK_FAST, &error), -1);
  assert_error (&error, VMDK_ERROR_UNSUPPORTED, ENOTSUP, "");
  assert_int_equal (vmdk_zero (image, size - 1, 0, VMDK_FAST | VMDK_MAY_TRIM,
                               &error), -1);
  assert_error (&error, VMDK_ERROR_UNSUPPORTED, ENOTSUP, "");
  assert_int_equal (vmdk_zero (image, 512, size, VMDK_FAST, &error), -1);
  assert_error (&error, VMDK_ERROR_UNSUPPORTED, ENOTSUP, "");
  assert_int_equal (vmdk_zero (image, size + 512, 0,
                               VMDK_FAST | VMDK_MAY_TRIM, &error), -1);
  assert_error (&error, VMDK_ERROR_UNSUPPORTED, ENOTSUP, "");
  assert_int_equal (checksum (), before);
  assert_done (vmdk_end_writing (image, &error));
  assert_int_equal (checksum (), before);

  assert_done (vmdk_begin_writing (image, &error));
  assert_done (vmdk_zero (image, size, 0, VMDK_FAST | VMDK_MAY_TRIM,
                          &error));
  memset (m.bytes, 0, size);
  assert_reads_as_model ();
  assert_done (vmdk_end_writing (image, &error));
}

/* The same where no holes can be made in files. */
static void
test_fast_zero_without_holes (void **state)
{
  uint64_t before;

  (void) state;
  model_add_flat (&m, 100, "FLAT", 0);
  open_hooked (&weakening);
  before = checksum ();
  assert_done (vmdk_begin_writing (image, &error));
  assert_int_equal (vmdk_zero (image, 512, 0, VMDK_FAST | VMDK_MAY_TRIM,
                               &error), -1);
  assert_error (&error, VMDK_ERROR_UNSUPPORTED, ENOTSUP, "");
  assert_done (vmdk_end_writing (image, &error));
  assert_int_equal (checksum (), before);
}

/* The check is given up before anything has been changed, and another begins
 * anew.  The disk has two sparse files, of which the second wants mending.
 */
static void
test_interrupted (void **state)
{
  uint8_t data[512];
  uint64_t before;

  (void) state;
  memset (data, 0x5a, sizeof data);
  add_sparse ();
  add_sparse ();
  open_image ();
  poke ("sparse1", UNCLEAN, 1, 1);
  poke ("sparse1", REDUNDANT, 0, 4);
  vmdk_close (image);
  open_image ();
  before = checksum ();
  interrupted = true;
  assert_int_equal (vmdk_begin_writing (image, &error), -1);
  assert_error (&error, VMDK_ERROR_INTERRUPTED, EINTR,
                "checking the grain tables of all extents: was "
                "interrupted");

  /* The files were not left locked. */
  interrupted = false;
  assert_done (vmdk_begin_writing (image, &error));
  interrupted = true;
  assert_int_equal (vmdk_pwrite (image, data, sizeof data, 0, 0, &error), -1);
  assert_error (&error, VMDK_ERROR_INTERRUPTED, EINTR, "was interrupted");
  assert_int_equal (checksum (), before);
  assert_done (vmdk_flush (image, &error));

  interrupted = false;
  assert_reads_as_model ();
  assert_done (vmdk_pwrite (image, data, sizeof data, 0, 0, &error));
  memcpy (m.bytes, data, sizeof data);
  assert_done (vmdk_end_writing (image, &error));
  assert_reads_as_model ();
  assert_true (peek ("sparse1", REDUNDANT) != 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (test_copies_disagree, setup, teardown),
    cmocka_unit_test_setup_teardown (test_second_extent_damaged, setup,
                                     teardown),
    cmocka_unit_test_setup_teardown (test_damaged, setup, teardown),
    cmocka_unit_test_setup_teardown (test_checked_once, setup, teardown),
    cmocka_unit_test_setup_teardown (test_checked_again, setup, teardown),
    cmocka_unit_test_setup_teardown (test_read_again, setup, teardown),
    cmocka_unit_test_setup_teardown (test_interrupted, setup, teardown),
    cmocka_unit_test_setup_teardown (test_overlapping_lines, setup, teardown),
    cmocka_unit_test_setup_teardown (test_fast_zero_refused, setup, teardown),
    cmocka_unit_test_setup_teardown (test_fast_zero_without_holes, setup,
                                     teardown),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
