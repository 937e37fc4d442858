/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Decoding and checking the two headers of seSparse. */

#include <config.h>

#include <errno.h>

#include "header.h"
#include "unit.h"

#define FILE_SIZE (45088 * SECTOR_SIZE)

/* Offsets of fields. */
enum {
  FIELD_VERSION = 8, CAPACITY = 16, GRAIN_SIZE = 24, TABLE_SIZE = 32,
  FLAGS = 40,
  VOLATILE = 80, DIRECTORY = 128, DIRECTORY_SIZE = 136, TABLES = 144,
  TABLES_SIZE = 152, GRAINS = 192, GRAINS_SIZE = 200,
};

static uint8_t header[SESPARSE_HEADER_SIZE];

/* 64 MiB, as ESXi lays them out. */
static int
setup (void **state)
{
  static const uint64_t fields[] = {
    0xcafebabe, UINT64_C (0x200000001), 131072, 8, 64, 0, 0, 0, 0, 0,
    1, 1, 2, 2, 2048, 2048,     /* volatile and journal */
    4096, 2048, 6144, 2048,     /* directory and tables */
    8192, 2048, 10240, 2048,    /* bitmap and back map */
    12288, 131072,              /* grains */
  };
  size_t i;

  memset (header, 0, sizeof header);
  for (i = 0; i < ARRAY_LENGTH (fields); ++i)
    store_le64 (header + 8 * i, fields[i]);
  return 0;
}

static void
set (unsigned field, uint64_t value)
{
  store_le64 (header + field, value);
}

static struct sesparse_header
check_accepted (uint64_t file_size, const char *file, int line)
{
  struct vmdk_error error;
  struct sesparse_header h;

  memset (&h, 0xa5, sizeof h);
  if (sesparse_decode (header, file_size, "t.vmdk", &h, &error) == -1) {
    print_error ("refused: %s\n", error.message);
    _fail (file, line);
  }
  return h;
}

#define accepted(file_size) check_accepted (file_size, __FILE__, __LINE__)

static void
check_refused (uint64_t file_size, enum vmdk_error_kind kind,
               const char *piece, const char *file, int line)
{
  struct vmdk_error error;
  struct sesparse_header h;

  if (sesparse_decode (header, file_size, "t.vmdk", &h, &error) != -1) {
    print_error ("accepted; expected: %s\n", piece);
    _fail (file, line);
  }
  check_error (&error, kind, 0, "t.vmdk: header: ", file, line);
  check_error (&error, kind, 0, piece, file, line);
}

#define assert_refused(file_size, kind, piece)                  \
  check_refused (file_size, kind, piece, __FILE__, __LINE__)

static void
test_good (void **state)
{
  const struct sesparse_header h = accepted (FILE_SIZE);

  assert_int_equal (h.capacity, 131072);
  assert_int_equal (h.volatile_offset, 1);
  assert_int_equal (h.gd_offset, 4096);
  assert_int_equal (h.tables_offset, 6144);
  assert_int_equal (h.tables_size, 2048);
  assert_int_equal (h.grains_offset, 12288);
  assert_int_equal (h.grains_size, 131072);
}

static void
test_version (void **state)
{
  static const uint64_t bad[] = { 0, 1, 2, UINT64_C (0x200000000),
    UINT64_C (0x200000002), UINT64_C (0x100000001),
    UINT64_C (0x300000001), UINT64_MAX };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (bad); ++i) {
    char piece[60];

    set (FIELD_VERSION, bad[i]);
    snprintf (piece, sizeof piece, "version 0x%" PRIx64 " ", bad[i]);
    assert_refused (FILE_SIZE, VMDK_ERROR_UNSUPPORTED, piece);
  }
}

static void
test_sizes (void **state)
{
  static const uint64_t bad[] = { 0, 1, 7, 9, 16, 63, 65, 128,
    UINT64_C (0x100000008), UINT64_C (0x100000040), UINT64_MAX };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (bad); ++i) {
    setup (state);
    set (GRAIN_SIZE, bad[i]);
    assert_refused (FILE_SIZE, VMDK_ERROR_CORRUPT, "a grain of");
    setup (state);
    set (TABLE_SIZE, bad[i]);
    assert_refused (FILE_SIZE, VMDK_ERROR_CORRUPT, "a grain table of");
  }
}

/* The flags and the four reserved words. */
static void
test_flags (void **state)
{
  unsigned field, bit;

  for (field = FLAGS; field < VOLATILE; field += 8) {
    char piece[60];

    for (bit = 0; bit < 64; bit += 21) {
      setup (state);
      set (field, UINT64_C (1) << bit);
      snprintf (piece, sizeof piece, "0x%" PRIx64 " at offset %u",
                UINT64_C (1) << bit, field);
      assert_refused (FILE_SIZE, VMDK_ERROR_UNSUPPORTED, piece);
    }
  }
}

/* What is behind the fields: there a later version can have more of them. */
static void
test_padding (void **state)
{
  static const unsigned at[] = { 208, 300, 511 };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (at); ++i) {
    char piece[60];

    setup (state);
    header[at[i]] = 1;
    snprintf (piece, sizeof piece, "unknown data at offset %u", at[i]);
    assert_refused (FILE_SIZE, VMDK_ERROR_UNSUPPORTED, piece);
  }
}

/* What only a writer needs. */
static void
test_ignored (void **state)
{
  unsigned field;

  for (field = 88; field < 128; field += 8)
    set (field, UINT64_MAX);
  for (field = 160; field < 192; field += 8)
    set (field, UINT64_MAX);
  assert_int_equal (accepted (FILE_SIZE).gd_offset, 4096);
}

static void
test_capacity (void **state)
{
  set (CAPACITY, 0);
  assert_refused (FILE_SIZE, VMDK_ERROR_CORRUPT, "capacity of 0 ");
  set (CAPACITY, 1);
  assert_int_equal (accepted (FILE_SIZE).capacity, 1);
  set (CAPACITY, MAX_SECTORS + 1);
  assert_refused (FILE_SIZE, VMDK_ERROR_CORRUPT, "capacity of");
  set (CAPACITY, UINT64_MAX);
  assert_refused (FILE_SIZE, VMDK_ERROR_CORRUPT, "capacity of");
}

/* What the format is for: disks larger than 2 TiB. */
static void
test_large (void **state)
{
  const uint64_t capacity = UINT64_C (62) << 31;        /* 62 TiB */
  const uint64_t tables = capacity / 32768;
  const uint64_t gd_size = tables * 8 / 512;

  set (CAPACITY, capacity);
  assert_refused (FILE_SIZE, VMDK_ERROR_CORRUPT, "too short");
  set (DIRECTORY_SIZE, gd_size - 1);
  assert_refused (UINT64_C (1) << 40, VMDK_ERROR_CORRUPT, "too short");
  set (DIRECTORY_SIZE, gd_size);
  set (TABLES, 4096 + gd_size);
  set (TABLES_SIZE, tables * 64);
  set (GRAINS, 4096 + gd_size + tables * 64);
  set (GRAINS_SIZE, capacity);
  assert_true (accepted ((4096 + gd_size) * SECTOR_SIZE).capacity ==
               capacity);
  assert_refused ((4096 + gd_size) * SECTOR_SIZE - 1, VMDK_ERROR_CORRUPT,
                  "not in the file");

  /* The largest capacity is fine but for the size of its directory. */
  set (CAPACITY, MAX_SECTORS);
  assert_refused (UINT64_C (1) << 40, VMDK_ERROR_CORRUPT, "too short");
}

static void
test_directory (void **state)
{
  set (DIRECTORY, 0);
  assert_refused (FILE_SIZE, VMDK_ERROR_CORRUPT, "grain directory");
  set (DIRECTORY, 45088);
  assert_refused (FILE_SIZE, VMDK_ERROR_CORRUPT, "sector 45088");
  set (DIRECTORY, UINT64_MAX);
  assert_refused (FILE_SIZE, VMDK_ERROR_CORRUPT, "grain directory");
  set (DIRECTORY, UINT64_C (1) << 55);
  assert_refused (FILE_SIZE, VMDK_ERROR_CORRUPT, "grain directory");

  /* Only the four entries that are needed must be in the file. */
  setup (state);
  assert_int_equal (accepted (4096 * SECTOR_SIZE + 32).gd_offset, 4096);
  assert_refused (4096 * SECTOR_SIZE + 31, VMDK_ERROR_CORRUPT,
                  "not in the file");

  set (DIRECTORY_SIZE, 0);
  assert_refused (FILE_SIZE, VMDK_ERROR_CORRUPT, "too short");
  set (DIRECTORY_SIZE, 1);
  accepted (FILE_SIZE);
  set (DIRECTORY_SIZE, UINT64_MAX);
  assert_refused (FILE_SIZE, VMDK_ERROR_CORRUPT, "cannot be in a file");
}

static void
test_places (void **state)
{
  static const unsigned fields[] = { TABLES, TABLES_SIZE, GRAINS,
    GRAINS_SIZE, DIRECTORY_SIZE };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (fields); ++i) {
    setup (state);
    set (fields[i], MAX_SECTORS + 1);
    assert_refused (FILE_SIZE, VMDK_ERROR_CORRUPT, "cannot be in a file");
    set (fields[i], UINT64_MAX);
    assert_refused (FILE_SIZE, VMDK_ERROR_CORRUPT, "cannot be in a file");
  }
  /* Sector 1 would be taken for the code of a zero. */
  for (i = 0; i < 2; ++i) {
    setup (state);
    set (TABLES, i);
    assert_refused (FILE_SIZE, VMDK_ERROR_CORRUPT, "cannot be in a file");
    setup (state);
    set (GRAINS, i);
    assert_refused (FILE_SIZE, VMDK_ERROR_CORRUPT, "cannot be in a file");
  }

  /* Tables and grains are made on demand, so there may be none. */
  setup (state);
  set (TABLES_SIZE, 0);
  set (GRAINS_SIZE, 0);
  accepted (FILE_SIZE);
}

static void
test_overlaps (void **state)
{
  /* Directory 4096 to 6144, tables to 8192, grains from 12288 on. */
  static const struct {
    unsigned field;
    uint64_t good, bad;
  } cases[] = {
    { DIRECTORY_SIZE, 2048, 2049 },
    { TABLES, 6144, 6143 },
    { TABLES, 2048, 2049 },
    { TABLES_SIZE, 6144, 6145 },
    { GRAINS, 8192, 8191 },
    { GRAINS, 143360, 4096 },
    { DIRECTORY, 4096, 4097 },
    { DIRECTORY, 10240, 10241 },
    { DIRECTORY, 8192, 8191 },
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i) {
    setup (state);
    set (cases[i].field, cases[i].good);
    accepted (FILE_SIZE);
    set (cases[i].field, cases[i].bad);
    assert_refused (FILE_SIZE, VMDK_ERROR_CORRUPT, "overlap");
  }
}

static void
test_volatile_place (void **state)
{
  set (VOLATILE, 0);
  assert_refused (FILE_SIZE, VMDK_ERROR_CORRUPT, "volatile header at");
  set (VOLATILE, 45088);
  assert_refused (FILE_SIZE, VMDK_ERROR_CORRUPT, "volatile header at");
  set (VOLATILE, UINT64_MAX);
  assert_refused (FILE_SIZE, VMDK_ERROR_CORRUPT, "volatile header at");
  set (VOLATILE, 45087);
  assert_int_equal (accepted (FILE_SIZE).volatile_offset, 45087);
  assert_refused (FILE_SIZE - 1, VMDK_ERROR_CORRUPT, "volatile header at");
}

static void
test_volatile (void **state)
{
  static const uint64_t journals[] = { 1, 0x100, UINT64_C (1) << 63 };
  uint8_t p[SESPARSE_HEADER_SIZE] = { 0 };
  struct vmdk_error error;
  size_t i;

  assert_int_equal (sesparse_check_volatile (p, "t.vmdk", &error), -1);
  assert_error (&error, VMDK_ERROR_CORRUPT, EINVAL, "no magic");
  store_le64 (p, 0xcafebabe);
  assert_int_equal (sesparse_check_volatile (p, "t.vmdk", &error), -1);
  assert_error (&error, VMDK_ERROR_CORRUPT, EINVAL, "no magic");
  store_le64 (p, UINT64_C (0x1cafecafe));
  assert_int_equal (sesparse_check_volatile (p, "t.vmdk", &error), -1);
  assert_error (&error, VMDK_ERROR_CORRUPT, EINVAL, "no magic");

  store_le64 (p, 0xcafecafe);
  assert_int_equal (sesparse_check_volatile (p, "t.vmdk", &error), 0);
  store_le64 (p + 8, 17);
  store_le64 (p + 16, UINT64_MAX);
  assert_int_equal (sesparse_check_volatile (p, "t.vmdk", &error), 0);
  for (i = 0; i < ARRAY_LENGTH (journals); ++i) {
    store_le64 (p + 24, journals[i]);
    assert_int_equal (sesparse_check_volatile (p, "t.vmdk", &error), -1);
    assert_error (&error, VMDK_ERROR_UNSUPPORTED, ENOTSUP, "journal");
  }
}

static void
test_volatile_padding (void **state)
{
  static const unsigned at[] = { 32, 511 };
  uint8_t p[SESPARSE_HEADER_SIZE] = { 0 };
  struct vmdk_error error;
  size_t i;

  store_le64 (p, 0xcafecafe);
  for (i = 0; i < ARRAY_LENGTH (at); ++i) {
    char piece[80];

    p[at[i]] = 0x80;
    assert_int_equal (sesparse_check_volatile (p, "t.vmdk", &error), -1);
    snprintf (piece, sizeof piece,
              "t.vmdk: volatile header: unknown data at offset %u", at[i]);
    assert_error (&error, VMDK_ERROR_UNSUPPORTED, ENOTSUP, piece);
    p[at[i]] = 0;
  }
  assert_int_equal (sesparse_check_volatile (p, "t.vmdk", &error), 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup (test_good, setup),
    cmocka_unit_test_setup (test_version, setup),
    cmocka_unit_test_setup (test_sizes, setup),
    cmocka_unit_test_setup (test_flags, setup),
    cmocka_unit_test_setup (test_padding, setup),
    cmocka_unit_test_setup (test_ignored, setup),
    cmocka_unit_test_setup (test_capacity, setup),
    cmocka_unit_test_setup (test_large, setup),
    cmocka_unit_test_setup (test_directory, setup),
    cmocka_unit_test_setup (test_places, setup),
    cmocka_unit_test_setup (test_overlaps, setup),
    cmocka_unit_test_setup (test_volatile_place, setup),
    cmocka_unit_test (test_volatile),
    cmocka_unit_test (test_volatile_padding),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
