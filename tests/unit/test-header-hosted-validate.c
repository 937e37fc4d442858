/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The checks of the hosted sparse header: each field at the ends of
 * what is legal, and beyond them.
 */

#include <config.h>

#include <errno.h>

#include "header.h"
#include "unit.h"

/* A 64 MiB disk in a file of 1 MiB. */
static const struct hosted_header good = {
  .version = 1,
  .flags = HOSTED_NEWLINE_TEST | HOSTED_REDUNDANT,
  .capacity = 131072,
  .grain_size = 128,
  .descriptor_offset = 1,
  .descriptor_size = 20,
  .entries_per_table = 512,
  .rgd_offset = 21,
  .gd_offset = 30,
  .overhead = 128,
};

#define FILE_SIZE (UINT64_C (1) << 20)

static void
check_accepted (struct hosted_header h, uint64_t file_size,
                const char *file, int line)
{
  const struct hosted_header before = h;
  struct vmdk_error error;
  struct captured log;
  struct logger logger;

  captured_init (&log, &logger);
  if (hosted_validate (&h, file_size, "t.vmdk", &logger, &error) == -1) {
    print_error ("refused: %s\n", error.message);
    _fail (file, line);
  }
  /* Without damage nothing is said, and nothing changed. */
  check_logged (&log, 0, "", file, line);
  _assert_true (h.gd_offset == before.gd_offset &&
                h.rgd_offset == before.rgd_offset, "directories", file,
                line);
}

#define assert_accepted(h, file_size)                   \
  check_accepted (h, file_size, __FILE__, __LINE__)

static void
check_refused (struct hosted_header h, uint64_t file_size,
               enum vmdk_error_kind kind, const char *piece,
               const char *file, int line)
{
  struct vmdk_error error;
  struct captured log;
  struct logger logger;

  captured_init (&log, &logger);
  if (hosted_validate (&h, file_size, "t.vmdk", &logger, &error) != -1) {
    print_error ("accepted; expected: %s\n", piece);
    _fail (file, line);
  }
  check_error (&error, kind, 0, "t.vmdk: header: ", file, line);
  check_error (&error, kind, 0, piece, file, line);
}

#define assert_refused(h, file_size, kind, piece)                       \
  check_refused (h, file_size, kind, piece, __FILE__, __LINE__)

static void
test_good (void **state)
{
  assert_accepted (good, FILE_SIZE);
}

static void
test_version (void **state)
{
  static const uint32_t bad[] = { 0, 4, 0x7fffffff, UINT32_MAX };
  struct hosted_header h = good;
  size_t i;

  for (h.version = 1; h.version <= 3; ++h.version)
    assert_accepted (h, FILE_SIZE);
  for (i = 0; i < ARRAY_LENGTH (bad); ++i) {
    char piece[40];

    h.version = bad[i];
    snprintf (piece, sizeof piece, "version %" PRIu32, bad[i]);
    assert_refused (h, FILE_SIZE, VMDK_ERROR_UNSUPPORTED, piece);
  }
}

static void
test_newlines (void **state)
{
  struct hosted_header h = good;

  h.newlines_changed = true;
  assert_refused (h, FILE_SIZE, VMDK_ERROR_CORRUPT, "newline");
}

/* Unknown flags are refused in the upper half only. */
static void
test_flags (void **state)
{
  struct hosted_header h = good;
  unsigned bit;

  for (bit = 0; bit < 16; ++bit) {
    h.flags = good.flags | UINT32_C (1) << bit;
    assert_accepted (h, FILE_SIZE);
  }
  for (bit = 18; bit < 32; ++bit) {
    char piece[40];

    h.flags = good.flags | UINT32_C (1) << bit;
    snprintf (piece, sizeof piece, "flags 0x%" PRIx32, UINT32_C (1) << bit);
    assert_refused (h, FILE_SIZE, VMDK_ERROR_UNSUPPORTED, piece);
  }
}

/* The flag and the field must agree, and markers need compression. */
static void
test_compression (void **state)
{
  struct hosted_header h = good;

  h.compression = 1;
  assert_refused (h, FILE_SIZE, VMDK_ERROR_CORRUPT, "not compressed");
  h.flags = good.flags | HOSTED_COMPRESSED;
  assert_accepted (h, FILE_SIZE);
  h.flags = good.flags | HOSTED_COMPRESSED | HOSTED_MARKERS;
  assert_accepted (h, FILE_SIZE);
  h.compression = 0;
  assert_refused (h, FILE_SIZE, VMDK_ERROR_CORRUPT, "say compressed");
  h.flags = good.flags | HOSTED_MARKERS;
  assert_refused (h, FILE_SIZE, VMDK_ERROR_CORRUPT, "markers");
  h.compression = 1;
  assert_refused (h, FILE_SIZE, VMDK_ERROR_CORRUPT, "markers");

  h.flags = good.flags | HOSTED_COMPRESSED;
  h.compression = 2;
  assert_refused (h, FILE_SIZE, VMDK_ERROR_UNSUPPORTED, "algorithm 2");
  h.compression = 0xffff;
  assert_refused (h, FILE_SIZE, VMDK_ERROR_UNSUPPORTED, "algorithm 65535");
}

/* The directory of a stream may be anywhere. */
static void
test_stream_directory (void **state)
{
  struct hosted_header h = good;

  h.flags = HOSTED_NEWLINE_TEST | HOSTED_COMPRESSED | HOSTED_MARKERS;
  h.compression = 1;
  h.gd_offset = HOSTED_GD_AT_END;
  h.rgd_offset = 0;
  assert_accepted (h, FILE_SIZE);
  h.grain_size = 0;
  assert_refused (h, FILE_SIZE, VMDK_ERROR_CORRUPT, "grain size");
}

static void
test_grain_size (void **state)
{
  static const uint64_t bad[] = {
    0, 3, 127, 129, 0x10001, 0x20000, UINT64_C (1) << 32,
    (UINT64_C (1) << 32) + 128, UINT64_C (1) << 63, UINT64_MAX,
  };
  struct hosted_header h = good;
  size_t i;

  for (h.grain_size = 1; h.grain_size <= 0x10000; h.grain_size *= 2) {
    h.capacity = 1024 * h.grain_size;
    assert_accepted (h, FILE_SIZE);
  }
  h = good;
  for (i = 0; i < ARRAY_LENGTH (bad); ++i) {
    char piece[60];

    h.grain_size = bad[i];
    snprintf (piece, sizeof piece, "grain size of %" PRIu64 " sectors",
              bad[i]);
    assert_refused (h, FILE_SIZE, VMDK_ERROR_CORRUPT, piece);
  }
}

static void
test_entries_per_table (void **state)
{
  static const uint32_t bad[] = {
    0, 3, 511, 513, 0x10001, 0x20000, UINT32_C (1) << 31, UINT32_MAX,
  };
  struct hosted_header h = good;
  size_t i;

  for (h.entries_per_table = 1; h.entries_per_table <= 0x10000;
       h.entries_per_table *= 2)
    assert_accepted (h, FILE_SIZE);
  h = good;
  for (i = 0; i < ARRAY_LENGTH (bad); ++i) {
    char piece[60];

    h.entries_per_table = bad[i];
    snprintf (piece, sizeof piece, "%" PRIu32 " entries", bad[i]);
    assert_refused (h, FILE_SIZE, VMDK_ERROR_CORRUPT, piece);
  }
}

/* The file is said to be as large as the directory wants. */
static void
test_capacity (void **state)
{
  static const uint64_t bad[] = {
    MAX_SECTORS + 1, UINT64_C (1) << 63, UINT64_MAX,
  };
  struct hosted_header h = good;
  size_t i;

  h.capacity = 1;
  assert_accepted (h, FILE_SIZE);
  h.grain_size = MAX_GRAIN_SIZE;
  h.entries_per_table = MAX_TABLE_ENTRIES;
  h.rgd_offset = UINT64_C (1) << 21;
  h.capacity = MAX_SECTORS;
  assert_accepted (h, UINT64_C (1) << 40);
  for (i = 0; i < ARRAY_LENGTH (bad); ++i) {
    char piece[60];

    h.capacity = bad[i];
    snprintf (piece, sizeof piece, "capacity of %" PRIu64, bad[i]);
    assert_refused (h, UINT64_C (1) << 40, VMDK_ERROR_CORRUPT, piece);
  }

  h = good;
  h.capacity = 0;
  h.descriptor_offset = 0;
  assert_refused (h, FILE_SIZE, VMDK_ERROR_CORRUPT, "capacity of 0");
}

/* 32 Mi tables and not one more. */
static void
test_number_of_tables (void **state)
{
  struct hosted_header h = good;

  h.gd_offset = UINT64_C (1) << 20;
  h.rgd_offset = UINT64_C (1) << 21;
  h.capacity = (UINT64_C (32) << 20) * 512 * 128;
  assert_accepted (h, UINT64_C (1) << 40);
  h.capacity++;
  assert_refused (h, UINT64_C (1) << 40, VMDK_ERROR_CORRUPT,
                  "more than 33554432 grain tables");
}

static void
test_descriptor (void **state)
{
  struct hosted_header h = good;

  /* Up to the end of the file, also when that is not a whole sector. */
  h.descriptor_offset = 2048 - 20;
  assert_accepted (h, FILE_SIZE);
  assert_accepted (h, FILE_SIZE + 511);
  h.descriptor_offset++;
  assert_refused (h, FILE_SIZE, VMDK_ERROR_CORRUPT, "descriptor at sector");
  assert_refused (h, FILE_SIZE + 511, VMDK_ERROR_CORRUPT,
                  "descriptor at sector 2029 is not in the file");
  h.descriptor_offset = UINT64_MAX;
  assert_refused (h, FILE_SIZE, VMDK_ERROR_CORRUPT, "descriptor at sector");
  h.descriptor_offset = UINT64_C (1) << 55;     /* 0 when in bytes */
  assert_refused (h, FILE_SIZE, VMDK_ERROR_CORRUPT, "descriptor at sector");

  /* At most 1 MiB of it. */
  h = good;
  h.descriptor_size = 2048;
  assert_accepted (h, FILE_SIZE + 512);
  h.descriptor_size = 2049;
  assert_refused (h, FILE_SIZE * 2, VMDK_ERROR_CORRUPT,
                  "descriptor of 2049 sectors");
  h.descriptor_size = UINT64_MAX;
  assert_refused (h, FILE_SIZE, VMDK_ERROR_CORRUPT, "too large");
  h.descriptor_size = UINT64_C (1) << 55;
  assert_refused (h, FILE_SIZE, VMDK_ERROR_CORRUPT, "too large");
  h.descriptor_size = 0;
  assert_accepted (h, FILE_SIZE);

  /* Without an offset the size means nothing. */
  h.descriptor_offset = 0;
  h.descriptor_size = UINT64_MAX;
  assert_accepted (h, FILE_SIZE);
}

/* A wrapper has nothing but a descriptor. */
static void
test_wrapper (void **state)
{
  struct hosted_header h = good;

  h.capacity = h.grain_size = h.gd_offset = h.rgd_offset = 0;
  h.entries_per_table = 0;
  assert_accepted (h, FILE_SIZE);
  h.descriptor_offset = 5000;
  assert_refused (h, FILE_SIZE, VMDK_ERROR_CORRUPT, "descriptor at sector");
  h = good;
  h.capacity = 0;
  h.version = 4;
  assert_refused (h, FILE_SIZE, VMDK_ERROR_UNSUPPORTED, "version 4");
}

/* Read by anybody: such a file was being written when its writer was
 * stopped.
 */
static void
test_unclean_and_overhead (void **state)
{
  struct hosted_header h = good;

  h.unclean = true;
  assert_accepted (h, FILE_SIZE);
  h.overhead = UINT64_MAX;
  assert_accepted (h, FILE_SIZE);
}

/* Whatever is accepted keeps what hosted_validate promises. */
static void
test_random_fields (void **state)
{
  static const uint64_t edges[] = {
    0, 1, 2, 127, 128, 512, 2047, 2048, 65536, 65537, UINT32_MAX,
    UINT64_C (1) << 32, UINT64_C (1) << 54, UINT64_C (1) << 55,
    UINT64_C (1) << 63, UINT64_MAX,
  };
  uint64_t seed = 3;
  unsigned i, accepted = 0;

  for (i = 0; i < 200000; ++i) {
    const struct logger logger = { .log = NULL };
    struct hosted_header h = good;
    struct vmdk_error error;
    uint64_t *const fields[] = {
      &h.capacity, &h.grain_size, &h.descriptor_offset,
      &h.descriptor_size, &h.rgd_offset, &h.gd_offset,
    };
    unsigned j;

    for (j = 0; j < 3; ++j)
      *fields[random_below (&seed, ARRAY_LENGTH (fields))] =
        edges[random_below (&seed, ARRAY_LENGTH (edges))];
    if (random_below (&seed, 4) == 0)
      h.entries_per_table =
        (uint32_t) edges[random_below (&seed, ARRAY_LENGTH (edges))];
    if (hosted_validate (&h, FILE_SIZE, "t.vmdk", &logger, &error) == -1)
      continue;
    accepted++;
    if (h.descriptor_offset != 0)
      assert_true (h.descriptor_offset <= 2048 &&
                   h.descriptor_offset + h.descriptor_size <= 2048);
    if (hosted_is_wrapper (&h))
      continue;
    assert_in_range (h.grain_size, 1, 65536);
    assert_in_range (h.entries_per_table, 1, 65536);
    assert_in_range (h.capacity, 1, MAX_SECTORS);
    assert_true (h.gd_offset != 0 || h.rgd_offset != 0);
    for (j = 4; j < 6; ++j)
      if (*fields[j] != 0)
        assert_true (*fields[j] <= 2048 && *fields[j] * 512 +
                     hosted_nr_tables (&h) * 4 <= FILE_SIZE);
  }
  assert_in_range (accepted, 1000, 199000);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_good),
    cmocka_unit_test (test_version),
    cmocka_unit_test (test_newlines),
    cmocka_unit_test (test_flags),
    cmocka_unit_test (test_compression),
    cmocka_unit_test (test_stream_directory),
    cmocka_unit_test (test_grain_size),
    cmocka_unit_test (test_entries_per_table),
    cmocka_unit_test (test_capacity),
    cmocka_unit_test (test_number_of_tables),
    cmocka_unit_test (test_descriptor),
    cmocka_unit_test (test_wrapper),
    cmocka_unit_test (test_unclean_and_overhead),
    cmocka_unit_test (test_random_fields),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
