/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Where the two grain directories may be, and what is done if one of
 * them is not there.
 */

#include <config.h>

#include "header.h"
#include "unit.h"

/* Three sectors of directory: 300 tables. */
#define FILE_SECTORS UINT64_C (1000)
#define FILE_SIZE (FILE_SECTORS * SECTOR_SIZE)

static const struct hosted_header good = {
  .version = 1,
  .flags = HOSTED_NEWLINE_TEST | HOSTED_REDUNDANT,
  .capacity = UINT64_C (300) * 65536,
  .grain_size = 128,
  .entries_per_table = 512,
  .rgd_offset = 21,
  .gd_offset = 30,
};

struct outcome {
  struct hosted_header h;
  struct vmdk_error error;
  struct captured log;
  int r;
};

static void
validate (struct outcome *o, uint64_t gd, uint64_t rgd, uint64_t file_size)
{
  struct logger logger;

  captured_init (&o->log, &logger);
  o->h = good;
  o->h.gd_offset = gd;
  o->h.rgd_offset = rgd;
  o->r = hosted_validate (&o->h, file_size, "t.vmdk", &logger, &o->error);
}

/* 1200 bytes from the first byte behind the header to the last one of
 * the file.
 */
static void
test_both (void **state)
{
  struct outcome o;

  validate (&o, 1, FILE_SECTORS - 3, FILE_SIZE);
  assert_int_equal (o.r, 0);
  assert_int_equal (o.h.gd_offset, 1);
  assert_int_equal (o.h.rgd_offset, FILE_SECTORS - 3);
  assert_logged (&o.log, 0, "");

  /* The last sector need not be whole. */
  validate (&o, FILE_SECTORS - 3, 1, FILE_SIZE - 1536 + 1200);
  assert_int_equal (o.r, 0);
  assert_int_equal (o.h.gd_offset, FILE_SECTORS - 3);
  assert_logged (&o.log, 0, "");
}

static void
test_overlap (void **state)
{
  /* Of three sectors each; the descriptor has sectors 1 to 20. */
  static const struct {
    uint64_t gd, rgd;
    bool overlap;
  } cases[] = {
    { 21, 24, false }, { 24, 21, false }, { 21, 0, false }, { 0, 21, false },
    { 21, 23, true }, { 23, 21, true }, { 21, 21, true }, { 20, 24, true },
    { 24, 20, true }, { 1, 24, true }, { 0, 18, true }, { 20, 0, true },
  };
  struct hosted_header h = good;
  size_t i;

  (void) state;
  for (i = 0; i < ARRAY_LENGTH (cases); ++i) {
    h.gd_offset = cases[i].gd;
    h.rgd_offset = cases[i].rgd;
    h.descriptor_offset = 1;
    h.descriptor_size = 20;
    assert_int_equal (hosted_directories_overlap (&h), cases[i].overlap);
    /* Without one only the directories count. */
    h.descriptor_offset = 0;
    assert_int_equal (hosted_directories_overlap (&h),
                      cases[i].gd != 0 && cases[i].rgd != 0 &&
                      cases[i].gd + 3 > cases[i].rgd &&
                      cases[i].rgd + 3 > cases[i].gd);
  }
}

static const uint64_t outside[] = {
  0, FILE_SECTORS - 2, FILE_SECTORS, UINT64_C (1) << 32,
  UINT64_C (1) << 55, (UINT64_C (1) << 55) + 30, UINT64_C (1) << 63,
  UINT64_MAX,
};

static void
test_primary_outside (void **state)
{
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (outside); ++i) {
    struct outcome o;
    char piece[60];

    validate (&o, outside[i], 21, FILE_SIZE);
    assert_int_equal (o.r, 0);
    assert_int_equal (o.h.gd_offset, 0);
    assert_int_equal (o.h.rgd_offset, 21);
    snprintf (piece, sizeof piece, "directory at sector %" PRIu64,
              outside[i]);
    assert_logged (&o.log, 1, piece);
    assert_logged (&o.log, 1, "t.vmdk: ");
  }
}

static void
test_redundant_outside (void **state)
{
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (outside); ++i) {
    struct outcome o;
    char piece[60];

    validate (&o, 30, outside[i], FILE_SIZE);
    assert_int_equal (o.r, 0);
    assert_int_equal (o.h.gd_offset, 30);
    assert_int_equal (o.h.rgd_offset, 0);
    snprintf (piece, sizeof piece, "redundant grain directory at sector %"
              PRIu64, outside[i]);
    assert_logged (&o.log, 1, piece);
    assert_logged (&o.log, 1, "t.vmdk: ");
  }
}

static void
test_both_outside (void **state)
{
  size_t i, j;

  for (i = 0; i < ARRAY_LENGTH (outside); ++i)
    for (j = 0; j < ARRAY_LENGTH (outside); ++j) {
      struct outcome o;
      char piece[60];

      validate (&o, outside[i], outside[j], FILE_SIZE);
      assert_int_equal (o.r, -1);
      snprintf (piece, sizeof piece, "1200 bytes at sector %" PRIu64 ",",
                outside[i]);
      assert_error (&o.error, VMDK_ERROR_CORRUPT, 0,
                    "t.vmdk: header: the grain directory");
      assert_error (&o.error, VMDK_ERROR_CORRUPT, 0, piece);
    }
}

/* One byte of the file is missing. */
static void
test_cut_by_a_byte (void **state)
{
  struct outcome o;

  validate (&o, FILE_SECTORS - 3, 0, FILE_SIZE - 1536 + 1199);
  assert_int_equal (o.r, -1);
  assert_error (&o.error, VMDK_ERROR_CORRUPT, 0, "is not in the file of");
}

/* Two names of one directory are no redundancy. */
static void
test_same_place (void **state)
{
  struct outcome o;

  validate (&o, 30, 30, FILE_SIZE);
  assert_int_equal (o.r, 0);
  assert_int_equal (o.h.gd_offset, 30);
  assert_int_equal (o.h.rgd_offset, 0);
  assert_logged (&o.log, 1, "redundant");
}

/* Without the flag a missing redundant directory is nothing to tell. */
static void
test_not_redundant (void **state)
{
  struct hosted_header h = good;
  struct vmdk_error error;
  struct captured log;
  struct logger logger;

  captured_init (&log, &logger);
  h.flags = HOSTED_NEWLINE_TEST;
  h.rgd_offset = 0;
  assert_int_equal (hosted_validate (&h, FILE_SIZE, "t.vmdk", &logger,
                                     &error), 0);
  assert_int_equal (h.gd_offset, 30);
  assert_logged (&log, 0, "");
  assert_string_equal (log.text, "");

  /* One that is named nevertheless must be usable. */
  h.rgd_offset = UINT64_MAX;
  assert_int_equal (hosted_validate (&h, FILE_SIZE, "t.vmdk", &logger,
                                     &error), 0);
  assert_int_equal (h.rgd_offset, 0);
  assert_logged (&log, 1, "not usable");

  h.gd_offset = HOSTED_GD_AT_END;
  assert_int_equal (hosted_validate (&h, FILE_SIZE, "t.vmdk", &logger,
                                     &error), -1);
  assert_error (&error, VMDK_ERROR_CORRUPT, 0, "directory");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_both),
    cmocka_unit_test (test_overlap),
    cmocka_unit_test (test_primary_outside),
    cmocka_unit_test (test_redundant_outside),
    cmocka_unit_test (test_both_outside),
    cmocka_unit_test (test_cut_by_a_byte),
    cmocka_unit_test (test_same_place),
    cmocka_unit_test (test_not_redundant),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
