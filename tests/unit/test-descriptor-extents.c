/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The extent lines that are read: every word, spacing and case. */

#include <config.h>

#include "parse.h"

struct expected {
  const char *text;
  enum extent_access access;
  enum extent_type type;
  uint64_t sectors, offset;
  const char *name;
};

static const struct expected cases[] = {
  /* Each type and each access. */
  { "RW 4192256 SPARSE \"test-s001.vmdk\"",
    ACCESS_RW, EXTENT_SPARSE, 4192256, 0, "test-s001.vmdk" },
  { "RW 1048576 FLAT \"test-f001.vmdk\" 0",
    ACCESS_RW, EXTENT_FLAT, 1048576, 0, "test-f001.vmdk" },
  { "RW 4096 VMFS \"disk-flat.vmdk\"",
    ACCESS_RW, EXTENT_VMFS, 4096, 0, "disk-flat.vmdk" },
  { "RW 4096 VMFSSPARSE \"disk-000001-delta.vmdk\"",
    ACCESS_RW, EXTENT_VMFSSPARSE, 4096, 0, "disk-000001-delta.vmdk" },
  { "RW 41943040 SESPARSE \"disk-000001-sesparse.vmdk\"",
    ACCESS_RW, EXTENT_SESPARSE, 41943040, 0,
    "disk-000001-sesparse.vmdk" },
  { "RW 4096 VMFSRDM \"disk-rdm.vmdk\"",
    ACCESS_RW, EXTENT_VMFSRDM, 4096, 0, "disk-rdm.vmdk" },
  { "RW 4096 VMFSRAW \"disk-raw.vmdk\"",
    ACCESS_RW, EXTENT_VMFSRAW, 4096, 0, "disk-raw.vmdk" },
  { "RDONLY 33554432 SPARSE \"generated-stream.vmdk\"",
    ACCESS_RDONLY, EXTENT_SPARSE, 33554432, 0, "generated-stream.vmdk" },
  { "NOACCESS 63 FLAT \"pt.vmdk\" 0",
    ACCESS_NOACCESS, EXTENT_FLAT, 63, 0, "pt.vmdk" },
  { "RW 102400 ZERO",
    ACCESS_RW, EXTENT_ZERO, 102400, 0, NULL },
  { "NOACCESS 102400 ZERO ",
    ACCESS_NOACCESS, EXTENT_ZERO, 102400, 0, NULL },
  { "RDONLY 1 ZERO # a gap",
    ACCESS_RDONLY, EXTENT_ZERO, 1, 0, NULL },

  /* Case and white space. */
  { "rw 8 flat \"A.VMDK\" 1",
    ACCESS_RW, EXTENT_FLAT, 8, 1, "A.VMDK" },
  { "Rdonly 8 SeSparse \"a\"",
    ACCESS_RDONLY, EXTENT_SESPARSE, 8, 0, "a" },
  { "noAccess\t8\tVmfsSparse\t\"a\"",
    ACCESS_NOACCESS, EXTENT_VMFSSPARSE, 8, 0, "a" },
  { " \t RW \t 8   FLAT \t \"a\" \t 7 \t ",
    ACCESS_RW, EXTENT_FLAT, 8, 7, "a" },
  { "RW 8 FLAT \"a\" 7\r",
    ACCESS_RW, EXTENT_FLAT, 8, 7, "a" },

  /* Names. */
  { "RW 8 FLAT \"my disk  2.vmdk\" 7",
    ACCESS_RW, EXTENT_FLAT, 8, 7, "my disk  2.vmdk" },
  { "RW 8 FLAT \" a \" 7",
    ACCESS_RW, EXTENT_FLAT, 8, 7, " a " },
  { "RW 8 FLAT \"disk #1.vmdk\" 7",
    ACCESS_RW, EXTENT_FLAT, 8, 7, "disk #1.vmdk" },
  { "RW 8 FLAT \"a=b\" 7",
    ACCESS_RW, EXTENT_FLAT, 8, 7, "a=b" },
  { "RW 8 FLAT \"CID=12345678\" 7",
    ACCESS_RW, EXTENT_FLAT, 8, 7, "CID=12345678" },
  { "RW 8 SPARSE \"gr\xc3\xb6\xc3\x9f" "e.vmdk\"",
    ACCESS_RW, EXTENT_SPARSE, 8, 0, "gr\xc3\xb6\xc3\x9f" "e.vmdk" },
  { "RW 8 FLAT \"'a'\"",
    ACCESS_RW, EXTENT_FLAT, 8, 0, "'a'" },
  { "RW 8 FLAT \"C:\\VMs\\new disk\\n.vmdk\" 0",
    ACCESS_RW, EXTENT_FLAT, 8, 0, "C:\\VMs\\new disk\\n.vmdk" },
  { "RW 8 SPARSE name.vmdk",
    ACCESS_RW, EXTENT_SPARSE, 8, 0, "name.vmdk" },
  { "RW 8 FLAT name.vmdk 9",
    ACCESS_RW, EXTENT_FLAT, 8, 9, "name.vmdk" },

  /* What may follow a name. */
  { "RW 8 FLAT \"a\" 9 # 10",
    ACCESS_RW, EXTENT_FLAT, 8, 9, "a" },
  { "RW 8 FLAT \"a\" # 10",
    ACCESS_RW, EXTENT_FLAT, 8, 0, "a" },
  { "RW 8 FLAT \"a\" #10",
    ACCESS_RW, EXTENT_FLAT, 8, 0, "a" },
  { "RW 1953520002 FLAT \"\\\\.\\PhysicalDrive0\" 63 partitionUUID dev=1",
    ACCESS_RW, EXTENT_FLAT, 1953520002, 63, "\\\\.\\PhysicalDrive0" },

  /* The largest numbers whose bytes can be counted. */
  { "RW 18014398509481983 ZERO",
    ACCESS_RW, EXTENT_ZERO, MAX_SECTORS, 0, NULL },
  { "RW 18014398509481983 FLAT \"a\" 18014398509481983",
    ACCESS_RW, EXTENT_FLAT, MAX_SECTORS, MAX_SECTORS, "a" },
  { "RW 0000000000000000000000000000008 FLAT \"a\" 000",
    ACCESS_RW, EXTENT_FLAT, 8, 0, "a" },
};

static void
check (const struct extent_line *got, const struct expected *expected,
       unsigned line)
{
  assert_int_equal (got->access, expected->access);
  assert_int_equal (got->type, expected->type);
  assert_true (got->sectors == expected->sectors);
  assert_true (got->offset == expected->offset);
  if (expected->name) {
    assert_non_null (got->name);
    assert_string_equal (got->name, expected->name);
  }
  else
    assert_null (got->name);
  assert_null (got->utf8_name);
  assert_int_equal (got->line, line);
}

/* Each of them alone, with each kind of line end. */
static void
test_lines (void **state)
{
  static const char *const ends[] = { "", "\n", "\r\n", " \t\r\n\r\n" };
  size_t i, j;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i)
    for (j = 0; j < ARRAY_LENGTH (ends); ++j) {
      struct parsed p;
      char text[256];

      snprintf (text, sizeof text, "%s%s", cases[i].text, ends[j]);
      assert_parses (&p, text);
      if (p.d.nr_extents != 1)
        fail_msg ("%zu extents of: %s", p.d.nr_extents, text);
      check (&p.d.extents[0], &cases[i], 1);
      assert_string_equal (p.log.text, "");
      descriptor_free (&p.d);
    }
}

/* All of them together keep their order and know their lines. */
static void
test_order (void **state)
{
  char text[8192] = "";
  struct parsed p;
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i) {
    strcat (text, cases[i].text);
    strcat (text, "\n");
  }
  assert_parses (&p, text);
  assert_int_equal (p.d.nr_extents, ARRAY_LENGTH (cases));
  for (i = 0; i < ARRAY_LENGTH (cases); ++i)
    check (&p.d.extents[i], &cases[i], (unsigned) i + 1);
  descriptor_free (&p.d);
}

/* VirtualBox writes this into an empty descriptor. */
static void
test_zero_sectors_of_zero (void **state)
{
  struct parsed p;

  assert_parses (&p, "NOACCESS 0 ZERO \nRW 8 FLAT \"a\"\n");
  assert_int_equal (p.d.nr_extents, 1);
  assert_int_equal (p.d.extents[0].line, 2);
  descriptor_free (&p.d);
}

/* The name ends at the next quote. */
static void
test_second_quote (void **state)
{
  struct parsed p;

  assert_parses (&p, "RW 8 FLAT \"a\"7 \"b\"\n");
  assert_int_equal (p.d.nr_extents, 1);
  assert_string_equal (p.d.extents[0].name, "a");
  assert_int_equal (p.d.extents[0].offset, 7);
  descriptor_free (&p.d);
}

/* Exactly as many as are allowed. */
static void
test_most_extents (void **state)
{
  static const char line[] = "RW 1 FLAT a\n";
  const size_t len = strlen (line);
  char *text = malloc ((DESCRIPTOR_MAX_EXTENTS + 1) * len + 1);
  struct parsed p;
  size_t i;

  assert_non_null (text);
  for (i = 0; i <= DESCRIPTOR_MAX_EXTENTS; ++i)
    memcpy (text + i * len, line, len + 1);
  assert_int_equal (DESCRIPTOR_MAX_EXTENTS, 65536);
  parse_bytes (&p, text, DESCRIPTOR_MAX_EXTENTS * len);
  assert_int_equal (p.r, 0);
  assert_int_equal (p.d.nr_extents, 65536);
  assert_int_equal (p.d.extents[65535].line, 65536);
  descriptor_free (&p.d);

  assert_refused (text, VMDK_ERROR_CORRUPT,
                  "line 65537: more than 65536 extents");
  free (text);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_lines),
    cmocka_unit_test (test_order),
    cmocka_unit_test (test_zero_sectors_of_zero),
    cmocka_unit_test (test_second_quote),
    cmocka_unit_test (test_most_extents),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
