/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* create-text.c and create-kind.c: descriptors of new disks as sections 3.5,
 * 3.7, 3.9 and 6.4 of the format have them.
 */

#include <config.h>

#include <errno.h>

#include "unit.h"

#include "create-text.h"

#define MIB (UINT64_C (1) << 20)
#define GIB (UINT64_C (1) << 30)

static struct vmdk_error error;

static struct create_text
text_of (const char *kind, uint64_t size)
{
  struct create_text t = {
    .kind = create_find_kind (kind, &error), .file = "disk.vmdk",
    .size = size, .adapter = "lsilogic", .hwversion = 4,
  };
  uint8_t i;

  assert_non_null (t.kind);
  for (i = 0; i < 16; ++i) {
    t.id[i] = (uint8_t) (0xa0 + i);
    t.uuid[i] = i;
  }
  create_fit_ids (&t);
  return t;
}

static void
test_flat (void **state)
{
  const struct create_text t = text_of ("monolithic-flat", 2 * MIB);
  char *text = create_descriptor (&t);

  assert_string_equal (text,
    "# Disk DescriptorFile\n"
    "version=1\n"
    "encoding=\"UTF-8\"\n"
    "CID=acadaeaf\n"
    "parentCID=ffffffff\n"
    "createType=\"monolithicFlat\"\n"
    "\n"
    "# Extent description\n"
    "RW 4096 FLAT \"disk-flat.vmdk\" 0\n"
    "\n"
    "# The Disk Data Base \n"
    "#DDB\n"
    "\n"
    "ddb.adapterType = \"lsilogic\"\n"
    "ddb.geometry.cylinders = \"2\"\n"
    "ddb.geometry.heads = \"64\"\n"
    "ddb.geometry.sectors = \"32\"\n"
    "ddb.longContentID = \"a0a1a2a3a4a5a6a7a8a9aaabacadaeaf\"\n"
    "ddb.toolsVersion = \"2147483647\"\n"
    "ddb.uuid = \"60 00 C2 93 04 05 06 07-08 09 0a 0b 0c 0d 0e 0f\"\n"
    "ddb.virtualHWVersion = \"4\"\n");
  free (text);
}

static struct create_text
child_of (const char *kind)
{
  struct create_text t = text_of (kind, 2 * MIB);

  t.has_parent = true;
  t.parent_cid = 0x0172e8a4;
  t.parent_hint = "base.vmdk";
  t.adapter = NULL;
  t.hwversion = 0;
  return t;
}

/* A snapshot as ESX makes it has nothing but its content ID. */
static void
test_esx_snapshot (void **state)
{
  const struct create_text t = child_of ("vmfs-sparse");
  char *text = create_descriptor (&t);
  assert_string_equal (text,
    "# Disk DescriptorFile\n"
    "version=1\n"
    "encoding=\"UTF-8\"\n"
    "CID=acadaeaf\n"
    "parentCID=0172e8a4\n"
    "createType=\"vmfsSparse\"\n"
    "parentFileNameHint=\"base.vmdk\"\n"
    "\n"
    "# Extent description\n"
    "RW 4096 VMFSSPARSE \"disk-delta.vmdk\"\n"
    "\n"
    "# The Disk Data Base \n"
    "#DDB\n"
    "\n"
    "ddb.longContentID = \"a0a1a2a3a4a5a6a7a8a9aaabacadaeaf\"\n");
  free (text);
}

/* What a child says of the controller, the geometry or the serial number hides
 * what its base says: it says what it was told to, nothing else.
 */
static void
test_child_keeps_base (void **state)
{
  static const char *const kinds[] = {
    "monolithic-sparse", "split-sparse", "vmfs-sparse",
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (kinds); ++i) {
    struct create_text t = child_of (kinds[i]);
    char *text = create_descriptor (&t);
    const char *ddb = strstr (text, "#DDB\n");

    assert_non_null (ddb);
    assert_string_equal (ddb, "#DDB\n\n"
      "ddb.longContentID = \"a0a1a2a3a4a5a6a7a8a9aaabacadaeaf\"\n");
    free (text);

    t.adapter = "ide";
    t.hwversion = 11;
    text = create_descriptor (&t);
    ddb = strstr (text, "#DDB\n");
    assert_non_null (ddb);
    assert_string_equal (ddb, "#DDB\n\n"
      "ddb.adapterType = \"ide\"\n"
      "ddb.geometry.cylinders = \"4\"\n"
      "ddb.geometry.heads = \"16\"\n"
      "ddb.geometry.sectors = \"63\"\n"
      "ddb.longContentID = \"a0a1a2a3a4a5a6a7a8a9aaabacadaeaf\"\n"
      "ddb.virtualHWVersion = \"11\"\n");
    free (text);
  }
}

static void
test_extent_lines (void **state)
{
  static const struct {
    const char *kind, *file;
    uint64_t size;
    const char *lines;
  } cases[] = {
    { "monolithic-sparse", "a b.vmdk", 64 * MIB,
      "RW 131072 SPARSE \"a b.vmdk\"\n\n" },
    { "streamOptimized", "x", 64 * MIB, "RW 131072 SPARSE \"x\"\n\n" },
    { "vmfs-thin", "x.VMDK", 64 * MIB,
      "RW 131072 VMFS \"x-flat.vmdk\"\n\n" },
    { "split-sparse", "noext", 2047 * MIB,
      "RW 4192256 SPARSE \"noext-s001.vmdk\"\n\n" },
    { "split-sparse", "d.vmdk", 2047 * MIB + 512,
      "RW 4192256 SPARSE \"d-s001.vmdk\"\n"
      "RW 1 SPARSE \"d-s002.vmdk\"\n\n" },
    { "split-flat", "d.vmdk", 5 * GIB,
      "RW 4192256 FLAT \"d-f001.vmdk\" 0\n"
      "RW 4192256 FLAT \"d-f002.vmdk\" 0\n"
      "RW 2101248 FLAT \"d-f003.vmdk\" 0\n\n" },
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i) {
    struct create_text t = text_of (cases[i].kind, cases[i].size);
    char *text;

    t.file = cases[i].file;
    text = create_descriptor (&t);
    if (!strstr (text, cases[i].lines))
      fail_msg ("not there: %s\n%s", cases[i].lines, text);
    free (text);
  }
}

static void
test_geometry (void **state)
{
  static const struct {
    const char *adapter;
    uint64_t size;
    unsigned cylinders, heads, sectors;
  } cases[] = {
    { "lsilogic", 512, 1, 64, 32 },
    { "lsilogic", 4096 * 512, 2, 64, 32 },
    { "lsilogic", GIB - 512, 1023, 64, 32 },
    { "buslogic", GIB, 512, 128, 32 },
    { "lsilogic", 2 * GIB, 261, 255, 63 },
    { "lsilogic", UINT64_C (83886080) * 512, 5221, 255, 63 },
    { "pvscsi", UINT64_C (33554432) * 512, 2088, 255, 63 },
    { "lsilogic", UINT64_C (125829120) * 512, 7832, 255, 63 },
    { "ide", 64 * MIB, 130, 16, 63 },
    { "ide", 20 * GIB, 16383, 16, 63 },
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i) {
    struct create_text t = text_of ("monolithic-flat", cases[i].size);
    char wanted[200], *text;

    t.adapter = cases[i].adapter;
    snprintf (wanted, sizeof wanted, "ddb.adapterType = \"%s\"\n"
              "ddb.geometry.cylinders = \"%u\"\n"
              "ddb.geometry.heads = \"%u\"\n"
              "ddb.geometry.sectors = \"%u\"\n", cases[i].adapter,
              cases[i].cylinders, cases[i].heads, cases[i].sectors);
    text = create_descriptor (&t);
    if (!strstr (text, wanted))
      fail_msg ("not there: %s\n%s", wanted, text);
    free (text);
  }
}

/* No CID that means something else. */
static void
test_ids (void **state)
{
  static const uint32_t bad[] = { 0, 0xffffffff, 0xfffffffe };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (bad); ++i) {
    struct create_text t = { .kind = NULL };
    uint32_t cid;
    unsigned k;

    for (k = 0; k < 4; ++k)
      t.id[12 + k] = (uint8_t) (bad[i] >> (24 - 8 * k));
    memset (t.uuid, 0xff, sizeof t.uuid);
    create_fit_ids (&t);
    cid = (uint32_t) t.id[12] << 24 | (uint32_t) t.id[13] << 16 |
      (uint32_t) t.id[14] << 8 | t.id[15];
    assert_true (cid != 0 && cid < 0xfffffffe);
    assert_memory_equal (t.uuid, "\x60\x00\xc2\x9f", 4);
  }
}

static void
test_words (void **state)
{
  unsigned version, i;

  for (i = 0; vmdk_create_type (i); ++i) {
    const struct create_kind *k =
      create_find_kind (vmdk_create_type (i), &error);

    assert_non_null (k);
    assert_string_equal (k->name, vmdk_create_type (i));
    assert_string_equal (create_find_kind (k->create_type,
                                           &error)->create_type,
                         k->create_type);
  }
  assert_int_equal (i, 8);
  assert_string_equal (create_find_kind (NULL, &error)->name,
                       "monolithic-sparse");
  assert_string_equal (create_find_kind ("VMFSTHIN", &error)->name,
                       "vmfs-thin");
  assert_null (create_find_kind ("qcow2", &error));
  assert_error (&error, VMDK_ERROR_INVALID, EINVAL,
                "'qcow2' cannot be created; known are monolithic-sparse, "
                "monolithic-flat, split-sparse, split-flat, "
                "stream-optimized, vmfs-flat, vmfs-thin, vmfs-sparse");

  assert_string_equal (create_find_adapter (NULL, &error), "lsilogic");
  assert_string_equal (create_find_adapter ("scsi-buslogic", &error),
                       "buslogic");
  assert_null (create_find_adapter ("nvme", &error));
  assert_error (&error, VMDK_ERROR_INVALID, EINVAL, "known are ide");

  assert_int_equal (create_find_hwversion (NULL, &version, &error), 0);
  assert_int_equal (version, 4);
  assert_int_equal (create_find_hwversion ("esx65", &version, &error), 0);
  assert_int_equal (version, 13);
  assert_int_equal (create_find_hwversion ("21", &version, &error), 0);
  assert_int_equal (version, 21);
  assert_int_equal (create_find_hwversion ("2", &version, &error), -1);
  assert_int_equal (create_find_hwversion ("4x", &version, &error), -1);
  assert_int_equal (create_find_hwversion ("", &version, &error), -1);
  assert_error (&error, VMDK_ERROR_INVALID, EINVAL, "workstation5");
}

static void
test_sizes (void **state)
{
  const struct create_kind *k = create_find_kind ("vmfs-sparse", &error);
  const uint64_t max = (UINT64_C (2) << 40) - 512;

  assert_int_equal (create_check_size (k, max, &error), 0);
  assert_int_equal (create_check_size (k, max + 512, &error), -1);
  assert_error (&error, VMDK_ERROR_INVALID, EINVAL,
                "at most 2199023255040");
  assert_int_equal (create_check_size (k, 0, &error), -1);
  assert_error (&error, VMDK_ERROR_INVALID, EINVAL, "0 bytes");
  assert_int_equal (create_check_size (k, 1000, &error), -1);
  assert_error (&error, VMDK_ERROR_INVALID, EINVAL, "multiple of 512");
}

static void
test_names (void **state)
{
  assert_int_equal (create_check_name ("a b'$.vmdk", "it", &error), 0);
  assert_int_equal (create_check_name ("gr\xc3\xbc\xc3\x9f" "e", "it",
                                       &error), 0);
  assert_int_equal (create_check_name ("a\"b", "it", &error), -1);
  assert_error (&error, VMDK_ERROR_INVALID, EINVAL, "it has a quote");
  assert_int_equal (create_check_name ("a\nb", "it", &error), -1);
  assert_int_equal (create_check_name ("gr\xfc" "ble", "it", &error), -1);
  assert_error (&error, VMDK_ERROR_INVALID, EINVAL, "not UTF-8");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_flat),
    cmocka_unit_test (test_esx_snapshot),
    cmocka_unit_test (test_child_keeps_base),
    cmocka_unit_test (test_extent_lines),
    cmocka_unit_test (test_geometry),
    cmocka_unit_test (test_ids),
    cmocka_unit_test (test_words),
    cmocka_unit_test (test_sizes),
    cmocka_unit_test (test_names),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
