/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Decoding and checking COWD headers. */

#include <config.h>

#include <errno.h>

#include "header.h"
#include "unit.h"

#define FILE_SIZE (72 * SECTOR_SIZE)

static uint8_t header[COWD_HEADER_SIZE];

/* 64 MiB in grains of a sector, as ESX makes it. */
static void
make_header (void)
{
  memset (header, 0, sizeof header);
  memcpy (header, "COWD", 4);
  store_le32 (header + 4, 1);
  store_le32 (header + 8, 3);
  store_le32 (header + 12, 131072);
  store_le32 (header + 16, 1);
  store_le32 (header + 20, 4);
  store_le32 (header + 24, 32);
  store_le32 (header + 28, 72);
}

static int
setup (void **state)
{
  make_header ();
  return 0;
}

static struct cowd_header
check_accepted (uint64_t file_size, const char *file, int line)
{
  struct vmdk_error error;
  struct cowd_header h;

  memset (&h, 0xa5, sizeof h);
  if (cowd_decode (header, file_size, "t.vmdk", &h, &error) == -1) {
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
  struct cowd_header h;

  if (cowd_decode (header, file_size, "t.vmdk", &h, &error) != -1) {
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
  const struct cowd_header h = accepted (FILE_SIZE);

  assert_int_equal (h.version, 1);
  assert_int_equal (h.capacity, 131072);
  assert_int_equal (h.grain_size, 1);
  assert_int_equal (h.gd_offset, 4);
  assert_int_equal (h.nr_tables, 32);
  assert_int_equal (h.entries_per_table, 4096);
  assert_false (h.has_parent);
  assert_string_equal (h.parent_name, "");
}

/* The fields that a reader has no use for may be anything. */
static void
test_ignored (void **state)
{
  store_le32 (header + 8, UINT32_MAX);
  store_le32 (header + 28, UINT32_MAX);
  memset (header + 1056, 0xff, sizeof header - 1056);
  assert_int_equal (accepted (FILE_SIZE).entries_per_table, 4096);
}

static void
test_version (void **state)
{
  uint32_t i;

  for (i = 1; i <= 3; ++i) {
    store_le32 (header + 4, i);
    assert_int_equal (accepted (FILE_SIZE).version, i);
  }
  store_le32 (header + 4, 0);
  assert_refused (FILE_SIZE, VMDK_ERROR_UNSUPPORTED, "version 0");
  store_le32 (header + 4, 4);
  assert_refused (FILE_SIZE, VMDK_ERROR_UNSUPPORTED, "version 4");
  store_le32 (header + 4, UINT32_MAX);
  assert_refused (FILE_SIZE, VMDK_ERROR_UNSUPPORTED, "version 4294967295");
}

static void
test_grain_size (void **state)
{
  static const uint32_t bad[] = { 0, 3, 7, 2047, 2049, 4096, UINT32_MAX,
    UINT32_C (1) << 31 };
  size_t i;

  for (i = 1; i <= 2048; i *= 2) {
    store_le32 (header + 16, (uint32_t) i);
    assert_int_equal (accepted (FILE_SIZE).grain_size, i);
  }
  for (i = 0; i < ARRAY_LENGTH (bad); ++i) {
    char piece[40];

    store_le32 (header + 16, bad[i]);
    snprintf (piece, sizeof piece, "grain size of %" PRIu32 " ", bad[i]);
    assert_refused (FILE_SIZE, VMDK_ERROR_CORRUPT, piece);
  }
}

static void
test_capacity (void **state)
{
  store_le32 (header + 12, 0);
  assert_refused (FILE_SIZE, VMDK_ERROR_CORRUPT, "capacity is 0");
  store_le32 (header + 12, 1);
  assert_int_equal (accepted (FILE_SIZE).capacity, 1);

  /* The largest one needs a directory of 4 MiB. */
  store_le32 (header + 12, UINT32_MAX);
  assert_refused (FILE_SIZE, VMDK_ERROR_CORRUPT, "too few");
  store_le32 (header + 24, 1048576);
  assert_refused (FILE_SIZE, VMDK_ERROR_CORRUPT, "grain directory");
  assert_int_equal (accepted (2048 + 4194304).entries_per_table, 4096);
  assert_refused (2048 + 4194303, VMDK_ERROR_CORRUPT, "grain directory");
}

static void
test_directory (void **state)
{
  uint32_t i;

  for (i = 0; i < 4; ++i) {
    store_le32 (header + 20, i);
    assert_refused (FILE_SIZE, VMDK_ERROR_CORRUPT, "not in the file");
  }
  store_le32 (header + 20, 71);
  assert_int_equal (accepted (FILE_SIZE).gd_offset, 71);
  assert_int_equal (accepted (71 * SECTOR_SIZE + 128).gd_offset, 71);
  assert_refused (71 * SECTOR_SIZE + 127, VMDK_ERROR_CORRUPT,
                  "32 entries at sector 71");
  store_le32 (header + 20, 72);
  assert_refused (FILE_SIZE, VMDK_ERROR_CORRUPT, "not in the file");
  store_le32 (header + 20, UINT32_MAX);
  assert_refused (FILE_SIZE, VMDK_ERROR_CORRUPT, "sector 4294967295");

  /* More entries than are needed must be there, too. */
  store_le32 (header + 20, 4);
  store_le32 (header + 24, UINT32_MAX);
  assert_refused (FILE_SIZE, VMDK_ERROR_CORRUPT, "4294967295 entries");
}

/* How many entries a table has is seen from the numbers of grains and
 * tables; 0: refused.
 */
static void
test_entries (void **state)
{
  static const struct {
    uint32_t capacity, grain_size, nr_tables, entries;
  } cases[] = {
    { 131072, 1, 31, 0 },
    { 131072, 1, 32, 4096 },
    { 131072, 1, 33, 4096 },      /* a few more do not matter */
    { 131072, 1, 64, 4096 },      /* 64 of 512 entries are too few */
    { 131072, 1, 255, 4096 },
    { 131072, 1, 256, 512 },
    { 131072, 1, 511, 512 },
    { 131072, 1, 512, 4096 },
    { 131073, 1, 32, 0 },
    { 131073, 1, 33, 4096 },
    { 131073, 1, 256, 4096 },
    { 131073, 1, 257, 512 },
    { 32768, 1, 64, 512 },        /* full, as Workstation 3 had it */
    { 32769, 1, 64, 4096 },
    { 32768, 1, 8, 4096 },
    { 20480, 128, 64, 512 },      /* hardly used */
    { 262144, 128, 1, 4096 },
    { 262144, 128, 4, 512 },
    { 262144, 128, 64, 512 },
    { 512, 1, 1, 4096 },
    { 513, 1, 2, 512 },
    { 1, 2048, 1, 4096 },
    { 1, 2048, 0, 0 },
    { 4097, 1, 1, 0 },
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i) {
    struct vmdk_error error;
    struct cowd_header h;
    int r;

    store_le32 (header + 12, cases[i].capacity);
    store_le32 (header + 16, cases[i].grain_size);
    store_le32 (header + 24, cases[i].nr_tables);
    r = cowd_decode (header, FILE_SIZE, "t.vmdk", &h, &error);
    if (cases[i].entries == 0 ? r == -1 :
        r == 0 && h.entries_per_table == cases[i].entries)
      continue;
    fail_msg ("case %zu: result %d, %" PRIu32 " entries", i, r,
              r == 0 ? h.entries_per_table : 0);
  }
}

/* A name, not a geometry, begins with four bytes of text. */
static void
test_parent_name (void **state)
{
  struct cowd_header h;
  char *name = (char *) header + 32;

  strcpy (name, "base.vmdk");
  h = accepted (FILE_SIZE);
  assert_true (h.has_parent);
  assert_string_equal (h.parent_name, "base.vmdk");

  strcpy (name, "C:\\Disks\\\xc3\xa4.vmdk");
  h = accepted (FILE_SIZE);
  assert_true (h.has_parent);
  assert_string_equal (h.parent_name, "C:\\Disks\\\xc3\xa4.vmdk");

  /* One that is not terminated ends with its field. */
  memset (name, 'x', 1024);
  store_le32 (header + 1056, 0x79797979);
  h = accepted (FILE_SIZE);
  assert_true (h.has_parent);
  assert_int_equal (strlen (h.parent_name), 1024);
  assert_int_equal (strspn (h.parent_name, "x"), 1024);
}

static void
test_geometry (void **state)
{
  static const uint32_t cylinders[] = { 1, 130, 1024, 16383, 0x202020,
    0xffffff };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cylinders); ++i) {
    store_le32 (header + 32, cylinders[i]);
    store_le32 (header + 36, 16);
    store_le32 (header + 40, 63);
    assert_false (accepted (FILE_SIZE).has_parent);
    assert_string_equal (accepted (FILE_SIZE).parent_name, "");
  }
  memcpy (header + 32, "a\nbc", 4);
  assert_false (accepted (FILE_SIZE).has_parent);
  memcpy (header + 32, "abc\x7f", 4);
  assert_false (accepted (FILE_SIZE).has_parent);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup (test_good, setup),
    cmocka_unit_test_setup (test_ignored, setup),
    cmocka_unit_test_setup (test_version, setup),
    cmocka_unit_test_setup (test_grain_size, setup),
    cmocka_unit_test_setup (test_capacity, setup),
    cmocka_unit_test_setup (test_directory, setup),
    cmocka_unit_test_setup (test_entries, setup),
    cmocka_unit_test_setup (test_parent_name, setup),
    cmocka_unit_test_setup (test_geometry, setup),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
