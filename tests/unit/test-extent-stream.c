/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Streams as extents: where their tables and grains are found, and grains
 * that are damaged.
 */

#include <config.h>

#include "stream-extent.h"

#define NO_MARKERS (HOSTED_NEWLINE_TEST | HOSTED_COMPRESSED)

static void
test_whole (void **state)
{
  make_stream ();
  open_stream ();
  assert_int_equal (o.extent->grain_size, GRAIN_BYTES);
  assert_all_right ();
  assert_read (&o, 5 * GRAIN_BYTES + 100, f.disk + 5 * GRAIN_BYTES + 100,
               1000);
  assert_map (&o, 0, 9999, RUN_COMPRESSED, GRAIN_BYTES, f.where[0]);
  assert_map (&o, 700, 9999, RUN_COMPRESSED, GRAIN_BYTES - 700,
              f.where[0]);
  assert_map (&o, 700, 50, RUN_COMPRESSED, 50, f.where[0]);
  assert_map (&o, 2 * GRAIN_BYTES, 99999, RUN_HOLE, 3 * GRAIN_BYTES, 0);
  assert_map (&o, 6 * GRAIN_BYTES, 33 * GRAIN_BYTES, RUN_HOLE,
              27 * GRAIN_BYTES, 0);
  assert_allocation (&o, 0, 99999, RUN_COMPRESSED, 2 * GRAIN_BYTES);
  assert_allocation (&o, 39 * GRAIN_BYTES, 1536, RUN_COMPRESSED, 1536);
  assert_logged (&o.log, 0, "");
}

/* An entry of 1 is a zero. */
static void
test_zero (void **state)
{
  make_stream ();
  store_le32 (stream_entry (&f, 2), 1);
  open_stream ();
  assert_map (&o, 2 * GRAIN_BYTES, 99999, RUN_ZERO, GRAIN_BYTES, 0);
  assert_all_right ();
}

/* The footer is found in the last MiB, by whole sectors. */
static void
test_trailing_garbage (void **state)
{
  static const struct {
    size_t more;
    bool found;
  } cases[] = {
    { 1, true }, { 511, true }, { 512, true }, { 700, true },
    { 100 * 512, true }, { 2045 * 512, true }, { 2046 * 512 - 1, true },
    { 2046 * 512, false }, { 3000 * 512, false },
  };
  struct vmdk_error error;
  size_t i;

  make_stream ();
  for (i = 0; i < ARRAY_LENGTH (cases); ++i) {
    if (!try_open (159, cases[i].more, &error))
      fail_msg ("%zu: %s", cases[i].more, error.message);
    assert_all_right ();
    if (cases[i].found)
      assert_logged (&o.log, 0, "");
    else
      assert_logged (&o.log, 1, "no footer; the grains are found by their "
                     "markers");
  }
}

/* Garbage of zeroes, and without the end marker. */
static void
test_trailing_zeroes (void **state)
{
  make_stream ();
  f.sectors += 10;
  open_stream ();
  assert_all_right ();
  assert_logged (&o.log, 0, "");
  f.sectors -= 11;
  open_stream ();
  assert_all_right ();
  assert_logged (&o.log, 0, "");
}

/* With a directory in the header, the footer knows better. */
static void
test_header_and_footer (void **state)
{
  make_stream ();
  store_le64 (f.data + 56, f.directory - 1);
  open_stream ();
  assert_all_right ();
  assert_logged (&o.log, 0, "");
}

/* One that is not this disk's does not count. */
static void
test_foreign_footer (void **state)
{
  static const unsigned fields[] = { 12, 20, 44 };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (fields); ++i) {
    uint8_t *footer;

    make_stream ();
    footer = f.data + (f.sectors - 2) * SECTOR_SIZE;
    store_le64 (f.data + 56, f.directory);
    store_le64 (footer + 56, 3);
    store_le32 (footer + fields[i], 8);
    open_stream ();
    assert_all_right ();
    assert_logged (&o.log, 0, "");
  }

  /* Nor does one that does not know, or is none. */
  make_stream ();
  store_le64 (f.data + (f.sectors - 2) * SECTOR_SIZE + 56, UINT64_MAX);
  open_stream ();
  assert_all_right ();
  assert_logged (&o.log, 1, "no footer");
  make_stream ();
  store_le32 (f.data + (f.sectors - 3) * SECTOR_SIZE + 12, STREAM_PROGRESS);
  store_le64 (f.data + (f.sectors - 3) * SECTOR_SIZE, 0);
  store_le32 (f.data + (f.sectors - 2) * SECTOR_SIZE + 8, 0);
  store_le32 (f.data + (f.sectors - 2) * SECTOR_SIZE + 12, 4);
  assert_refused ("no footer");
}

/* The tables are right in form, but name the wrong grains. */
static void
test_wrong_grain (void **state)
{
  uint8_t *a, *b;

  make_stream ();
  a = stream_entry (&f, 1);
  b = stream_entry (&f, 5);
  store_le32 (a, f.where[5]);
  store_le32 (b, f.where[1]);
  open_stream ();
  assert_all_right ();
  assert_logged (&o.log, 1, "found by their markers");

  /* A hole that names a grain has none elsewhere. */
  make_stream ();
  store_le32 (stream_entry (&f, 2), f.where[1]);
  open_stream ();
  assert_damaged (2, "is that of sector 4 with");

  /* Metadata is no grain. */
  make_stream ();
  store_le32 (stream_entry (&f, 2), (uint32_t) f.sectors - 1);
  open_stream ();
  assert_damaged (2, "sector 0 with 0 bytes");
}

static void
test_bad_data (void **state)
{
  uint8_t *p;
  uint32_t size;

  make_stream ();
  p = f.data + f.where[1] * SECTOR_SIZE;
  size = load_le32 (p + 8);
  p[12 + size - 1] ^= 1;        /* of the checksum */
  open_stream ();
  assert_damaged (1, "compressed data are damaged");
  assert_read (&o, 0, f.disk, GRAIN_BYTES);

  make_stream ();
  p[12] ^= 0x0f;                /* no zlib */
  open_stream ();
  assert_damaged (1, "compressed data are damaged");

  make_stream ();
  p[12 + size / 2] ^= 0xff;
  open_stream ();
  assert_damaged (1, "grain 1");

  make_stream ();
  store_le32 (p + 8, size - 1);
  open_stream ();
  assert_damaged (1, "at offset ");

  /* More than there is does not matter, if it is in the file. */
  make_stream ();
  store_le32 (p + 8, size + 3);
  open_stream ();
  assert_all_right ();
}

static void
test_inflated_size (void **state)
{
  struct vmdk_error error;
  uint8_t byte;

  /* The last grain need not go on behind the end of the disk. */
  make_grains ();
  memset (f.disk + 39 * GRAIN_BYTES + 1536, 0, 512);
  stream_add_bytes (&f, 39, 1536, 6);
  stream_end (&f);
  open_stream ();
  assert_all_right ();
  assert_logged (&o.log, 0, "");

  stream_begin (&f, 159);
  stream_fill (&f, 39, GRAIN_BYTES);
  stream_add_bytes (&f, 39, 1535, 6);
  stream_fill (&f, 3, GRAIN_BYTES);
  stream_add_bytes (&f, 3, GRAIN_BYTES - 1, 6);
  stream_fill (&f, 7, GRAIN_BYTES);
  stream_fill (&f, 8, GRAIN_BYTES);
  stream_add_bytes (&f, 7, GRAIN_BYTES + 1, 6);
  stream_end (&f);
  open_stream ();
  assert_int_equal (one_read (&o, 39 * GRAIN_BYTES, &byte, 1, &error), -1);
  assert_error (&error, VMDK_ERROR_CORRUPT, EIO, "inflates to 1535");
  assert_damaged (3, "inflates to 2047 bytes instead of 2048");
  assert_damaged (7, "inflates to more than a grain");
}

/* Stored data are larger than the grain. */
static void
test_stored (void **state)
{
  stream_begin (&f, 159);
  stream_fill (&f, 2, GRAIN_BYTES);
  stream_add_bytes (&f, 2, GRAIN_BYTES, 0);
  assert_true (load_le32 (f.data + f.where[2] * SECTOR_SIZE + 8) >
               GRAIN_BYTES);
  stream_add (&f, 3);
  stream_end (&f);
  open_stream ();
  assert_all_right ();
  assert_logged (&o.log, 0, "");
}

/* A line longer than the disk by less than a grain. */
static void
test_length (void **state)
{
  struct vmdk_error error;

  stream_begin (&f, 157);
  stream_fill (&f, 39, 512);
  stream_add_bytes (&f, 39, 512, 6);
  stream_end (&f);
  assert_non_null (try_open (160, 0, &error));
  assert_logged (&o.log, 1, "reads as zeroes");
  assert_read (&o, 0, f.disk, 160 * 512);
  assert_null (try_open (161, 0, &error));
  assert_error (&error, VMDK_ERROR_CORRUPT, EINVAL, "161 sectors");
  assert_int_equal (o.io->refs, 1);
  assert_non_null (try_open (4, 0, &error));
  assert_int_equal (o.extent->length, 4 * 512);
}

/* Compressed grains without markers: with a size in front, or none. */
static void
test_markerless (void **state)
{
  static const uint64_t grains[] = { 0, 1, 5, 33, 39 };
  int with_size;
  size_t i;

  for (with_size = 0; with_size < 2; ++with_size) {
    make_stream ();
    store_le32 (f.data + 8, NO_MARKERS);
    store_le64 (f.data + 56, f.directory);
    for (i = 0; i < ARRAY_LENGTH (grains); ++i) {
      uint8_t *p = f.data + f.where[grains[i]] * SECTOR_SIZE;
      const uint32_t size = load_le32 (p + 8);

      if (with_size)
        memmove (p, p + 8, size + 4);
      else
        memmove (p, p + STREAM_GRAIN_DATA, size);
    }
    /* The footer is one without markers, too. */
    store_le32 (f.data + (f.sectors - 2) * SECTOR_SIZE + 8, NO_MARKERS);
    open_stream ();
    assert_all_right ();
    assert_logged (&o.log, 0, "");
  }

  /* Nothing else tells where its grains are. */
  store_le32 (stream_entry (&f, 5), (uint32_t) f.sectors);
  open_stream ();
  assert_bad (&o, 5 * GRAIN_BYTES, "damaged");
  f.sectors -= 3;
  store_le64 (f.data + 56, HOSTED_GD_AT_END);
  assert_refused ("no footer");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    TEST (test_whole),
    TEST (test_zero),
    TEST (test_trailing_garbage),
    TEST (test_trailing_zeroes),
    TEST (test_header_and_footer),
    TEST (test_foreign_footer),
    TEST (test_wrong_grain),
    TEST (test_bad_data),
    TEST (test_inflated_size),
    TEST (test_stored),
    TEST (test_length),
    TEST (test_markerless),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
