/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* How the new content ID gets into the file: no power cut and no call that
 * fails leaves a descriptor that does not open.
 */

#include <config.h>

#include <errno.h>

#include "content-id.h"
#include "parse.h"

#define FILE_SIZE 4096
#define AREA_START 512
#define AREA_SIZE 1536

/* A file that keeps what it was before the first change. */
struct file {
  struct io io;
  char data[FILE_SIZE], before[FILE_SIZE];
  unsigned nr_writes, nr_syncs, nr_replaces;
  unsigned bad_writes;          /* so many fail, in the middle */
  bool sync_fails, check_fails, replace_fails, replace_is_unsure;
};

static int
file_pread (struct io *io, void *buf, size_t count, uint64_t offset,
            struct vmdk_error *error)
{
  const struct file *f = (const struct file *) io;

  assert_true (offset + count <= io->size);
  memcpy (buf, f->data + offset, count);
  return 0;
}

static int
file_pwrite (struct io *io, const void *buf, size_t count, uint64_t offset,
             struct vmdk_error *error)
{
  struct file *f = (struct file *) io;
  const bool fails = f->bad_writes > 0;

  assert_true (offset + count <= io->size);
  f->nr_writes++;
  memcpy (f->data + offset, buf, fails ? count / 2 : count);
  if (!fails)
    return 0;
  f->bad_writes--;
  return error_set (error, VMDK_ERROR_IO, EIO, "test: pwrite");
}

static int
file_sync (struct io *io, struct vmdk_error *error)
{
  struct file *f = (struct file *) io;

  f->nr_syncs++;
  return f->sync_fails ?
    error_set (error, VMDK_ERROR_IO, EIO, "test: sync") : 0;
}

static int
file_check_replace (struct io *io, struct vmdk_error *error)
{
  const struct file *f = (const struct file *) io;

  return f->check_fails ?
    error_set (error, VMDK_ERROR_UNSUPPORTED, EROFS, "test: names") : 0;
}

static int
file_replace (struct io *io, const void *data, size_t count, bool *unsure,
              struct vmdk_error *error)
{
  struct file *f = (struct file *) io;

  f->nr_replaces++;
  *unsure = f->replace_is_unsure;
  if (f->replace_fails)
    return error_set (error, VMDK_ERROR_IO, EIO, "test: replace");
  assert_true (count <= FILE_SIZE);
  memset (f->data, 0, FILE_SIZE);
  memcpy (f->data, data, count);
  io->size = count;
  return 0;
}

static const struct io_ops file_ops = {
  .pread = file_pread,
  .pwrite = file_pwrite,
  .sync = file_sync,
  .check_replace = file_check_replace,
  .replace = file_replace,
};

static const struct io_ops file_ops_without_replace = {
  .pread = file_pread,
  .pwrite = file_pwrite,
  .sync = file_sync,
};

struct disk {
  struct file file;
  struct io *files[1];
  struct link link;
};

static char name[] = "t.vmdk";

/* A disk with a descriptor, which is a file of its own or in one. */
static void
make_disk (struct disk *d, bool separate, const char *text)
{
  memset (d, 0, sizeof *d);
  d->file.io.ops = &file_ops;
  d->file.io.name = name;
  d->file.io.size = separate ? strlen (text) : FILE_SIZE;
  d->files[0] = &d->file.io;
  d->link.files = d->files;
  d->link.nr_files = 1;
  d->link.name = name;
  d->link.descriptor_offset = separate ? 0 : AREA_START;
  d->link.descriptor_room = separate ? UINT64_MAX : AREA_SIZE;
  if (!separate) {
    memset (d->file.data, 'x', FILE_SIZE);
    memset (d->file.data + AREA_START, 0, AREA_SIZE);
  }
  memcpy (d->file.data + d->link.descriptor_offset, text, strlen (text));
  memcpy (d->file.before, d->file.data, FILE_SIZE);
}

static const char *
text_of (const struct disk *d)
{
  return d->file.data + d->link.descriptor_offset;
}

static void
assert_unchanged (const struct disk *d)
{
  assert_memory_equal (d->file.data, d->file.before, FILE_SIZE);
}

/* Change the ID, which works. */
static void
change (struct disk *d)
{
  struct vmdk_error error;
  struct parsed p;
  bool unsure = true;

  assert_int_equal (content_id_check (&d->link, &error), 0);
  assert_unchanged (d);
  assert_int_equal (content_id_change (&d->link, &unsure, &error), 0);
  assert_false (unsure);
  parse_bytes (&p, text_of (d), strlen (text_of (d)));
  assert_int_equal (p.r, 0);
  assert_true (p.d.has_cid && d->link.has_cid);
  assert_true (p.d.cid == d->link.cid);
  descriptor_free (&p.d);
}

/* Each state of the sectors that a power cut can leave opens, and is the
 * same disk.
 */
static void
check_torn (const struct disk *d)
{
  const unsigned sectors = FILE_SIZE / SECTOR_SIZE;
  unsigned states, i;

  for (states = 0; states < 1U << sectors; ++states) {
    char data[FILE_SIZE];
    struct parsed p;

    for (i = 0; i < sectors; ++i)
      memcpy (data + i * SECTOR_SIZE,
              (states & 1U << i ? d->file.data : d->file.before) +
              i * SECTOR_SIZE, SECTOR_SIZE);
    parse_bytes (&p, data + d->link.descriptor_offset,
                 (size_t) min_u64 (d->link.descriptor_room, d->file.io.size));
    assert_int_equal (p.r, 0);
    assert_int_equal (p.d.nr_extents, 1);
    assert_true (p.d.extents[0].sectors == 4096);
    assert_string_equal (p.d.create_type, "monolithicSparse");
    assert_true (!p.d.has_cid ||
                 (p.d.cid != 0 && p.d.cid < UINT32_C (0xfffffffe)));
    descriptor_free (&p.d);
  }
}

/* A descriptor with a comment of so many characters before and behind the
 * line with the CID.
 */
static const char *
make_text (const char *cid_line, int before, int behind)
{
  static char text[2048];

  snprintf (text, sizeof text, "#%0*d\n%s#%0*d\nparentCID=ffffffff\n"
            "createType=\"monolithicSparse\"\nRW 4096 SPARSE \"t.vmdk\"\n"
            "ddb.longContentID = \"c493b057f416b9534001df4412345678\"\n",
            before, 0, cid_line, behind, 0);
  return text;
}

/* The text keeps its length: it is changed in place, wherever it is. */
static void
test_in_place (void **state)
{
  int before;

  for (before = 1; before < 1100; before += before > 480 &&
         before < 530 ? 1 : 37) {
    const char *text = make_text ("CID=12345678\n", before, 1);
    bool separate;
    unsigned i;

    for (i = 0; i < 2; ++i) {
      struct disk d;

      separate = i == 0;
      make_disk (&d, separate, text);
      change (&d);
      assert_int_equal (strlen (text_of (&d)), strlen (text));
      assert_int_equal (d.file.nr_replaces, 0);
      assert_int_equal (d.file.nr_writes, 1);
      assert_int_equal (d.file.nr_syncs, 1);
      check_torn (&d);
    }
  }
}

/* In a file with more in it, what moves must lie in one sector. */
static void
test_embedded (void **state)
{
  static const char *const cid_lines[] = { "CID=1\n", "CID=123\n", "" };
  unsigned moved = 0, refused = 0;
  size_t i;
  int before, behind;

  for (i = 0; i < ARRAY_LENGTH (cid_lines); ++i)
    for (before = 1; before < 600; before += 7)
      for (behind = 1; behind < 600; behind += 211) {
        struct vmdk_error error;
        struct disk d;
        bool unsure = true;

        make_disk (&d, false, make_text (cid_lines[i], before, behind));
        if (content_id_check (&d.link, &error) == 0) {
          change (&d);
          assert_int_equal (d.file.nr_syncs, 1);
          check_torn (&d);
          moved++;
          continue;
        }
        assert_error (&error, VMDK_ERROR_UNSUPPORTED, EROFS,
                      "t.vmdk: is read-only because its content ID cannot "
                      "be changed: the descriptor must become longer, and "
                      "more than one sector of it would change");
        assert_int_equal (content_id_change (&d.link, &unsure, &error), -1);
        assert_false (unsure);
        assert_int_equal (d.file.nr_writes, 0);
        assert_unchanged (&d);
        refused++;
      }
  assert_true (moved > 50 && refused > 50);
}

/* A text that fills its sector ends with a NUL in the next one, where
 * something else may be.
 */
static void
test_end_of_sector (void **state)
{
  const char *text = make_text ("CID=1\n", 1, 1);
  const int fill = SECTOR_SIZE - (int) strlen (text);
  struct vmdk_error error;
  struct disk d;

  make_disk (&d, false, make_text ("CID=1\n", 1, 1 + fill - 8));
  change (&d);
  check_torn (&d);
  make_disk (&d, false, make_text ("CID=1\n", 1, 1 + fill - 7));
  memcpy (d.file.data + AREA_START + SECTOR_SIZE, "RW 8 ZERO\n", 10);
  assert_int_equal (content_id_check (&d.link, &error), -1);
}

/* A file of its own is replaced. */
static void
test_separate (void **state)
{
  static const char *const cid_lines[] = { "CID=1\n", "CID=123\n", "" };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cid_lines); ++i) {
    const char *text = make_text (cid_lines[i], 1, 600);
    struct disk d;

    make_disk (&d, true, text);
    change (&d);
    assert_int_equal (d.file.nr_replaces, 1);
    assert_int_equal (d.file.nr_writes, 0);
    assert_int_equal (d.file.io.size, strlen (text) + 13 -
                      strlen (cid_lines[i]));
  }
}

static void
test_not_replaced (void **state)
{
  const char *text = make_text ("CID=1\n", 1, 1);
  struct vmdk_error error;
  struct disk d;
  bool unsure = true;

  make_disk (&d, true, text);
  d.file.check_fails = true;
  assert_int_equal (content_id_check (&d.link, &error), -1);
  assert_error (&error, VMDK_ERROR_UNSUPPORTED, EROFS,
                "t.vmdk: is read-only because its content ID cannot be "
                "changed: the descriptor must become longer, and cannot be "
                "replaced: test: names");
  make_disk (&d, true, text);
  d.file.io.ops = &file_ops_without_replace;
  assert_int_equal (content_id_check (&d.link, &error), -1);
  assert_error (&error, VMDK_ERROR_UNSUPPORTED, EROFS,
                "cannot be replaced");
  assert_int_equal (content_id_change (&d.link, &unsure, &error), -1);
  assert_false (unsure);

  /* What keeps its length needs none of that. */
  make_disk (&d, true, make_text ("CID=1234\n", 1, 1));
  d.file.io.ops = &file_ops_without_replace;
  change (&d);
}

static void
test_replace_fails (void **state)
{
  struct vmdk_error error;
  struct disk d;
  bool unsure;
  int i;

  for (i = 0; i < 2; ++i) {
    make_disk (&d, true, make_text ("CID=1\n", 1, 1));
    d.file.replace_fails = true;
    d.file.replace_is_unsure = i == 1;
    assert_int_equal (content_id_change (&d.link, &unsure, &error), -1);
    assert_error (&error, VMDK_ERROR_IO, EIO, "t.vmdk: test: replace");
    assert_int_equal (unsure, i == 1);
    assert_false (d.link.has_cid);
  }
}

/* A write that fails in the middle leaves no text that has half moved. */
static void
test_write_fails (void **state)
{
  struct vmdk_error error;
  struct disk d;
  bool unsure;

  make_disk (&d, false, make_text ("CID=1\n", 1, 1));
  d.file.bad_writes = 1;
  assert_int_equal (content_id_change (&d.link, &unsure, &error), -1);
  assert_error (&error, VMDK_ERROR_IO, EIO, "t.vmdk: test: pwrite");
  assert_false (unsure);
  assert_unchanged (&d);
  change (&d);

  /* It cannot be put back. */
  make_disk (&d, false, make_text ("CID=1\n", 1, 1));
  d.file.bad_writes = 2;
  assert_int_equal (content_id_change (&d.link, &unsure, &error), -1);
  assert_true (unsure);
  assert_int_equal (d.file.nr_writes, 2);

  /* Nothing moves, and the next attempt succeeds. */
  make_disk (&d, false, make_text ("CID=12345678\n", 1, 1));
  d.file.bad_writes = 1;
  assert_int_equal (content_id_change (&d.link, &unsure, &error), -1);
  assert_false (unsure);
  assert_false (d.link.has_cid);
  check_torn (&d);
  memcpy (d.file.before, d.file.data, FILE_SIZE);
  change (&d);
}

static void
test_sync_fails (void **state)
{
  static const char *const cid_lines[] = { "CID=1\n", "CID=12345678\n" };
  struct vmdk_error error;
  struct disk d;
  bool unsure = false;
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cid_lines); ++i) {
    make_disk (&d, false, make_text (cid_lines[i], 1, 1));
    d.file.sync_fails = true;
    assert_int_equal (content_id_change (&d.link, &unsure, &error), -1);
    assert_error (&error, VMDK_ERROR_IO, EIO, "t.vmdk: test: sync");
    assert_true (unsure);
  }
}

/* An extent without a descriptor, or with an area that has none. */
static void
test_none (void **state)
{
  struct vmdk_error error;
  struct disk d;
  bool unsure;

  make_disk (&d, false, "");
  assert_int_equal (content_id_check (&d.link, &error), 0);
  assert_int_equal (content_id_change (&d.link, &unsure, &error), 0);
  assert_unchanged (&d);
  d.link.descriptor_room = 0;
  d.link.descriptor_offset = 0;
  assert_int_equal (content_id_check (&d.link, &error), 0);
  assert_int_equal (content_id_change (&d.link, &unsure, &error), 0);
  assert_unchanged (&d);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_in_place),
    cmocka_unit_test (test_embedded),
    cmocka_unit_test (test_end_of_sector),
    cmocka_unit_test (test_separate),
    cmocka_unit_test (test_not_replaced),
    cmocka_unit_test (test_replace_fails),
    cmocka_unit_test (test_write_fails),
    cmocka_unit_test (test_sync_fails),
    cmocka_unit_test (test_none),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
