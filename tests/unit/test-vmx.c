/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Which disks the configuration of a virtual machine has. */

#include <config.h>

#include "unit.h"
#include "vmx.h"

struct parsed {
  struct name_list list;
  struct vmdk_error error;
  struct captured log;
  int r;
};

/* The text is copied to memory of its own size, so that a checker of memory
 * sees a byte too many being read.
 */
static void
parse (struct parsed *p, const char *text, size_t len)
{
  char *copy = malloc (len + 1);
  struct logger logger;

  assert_non_null (copy);
  memcpy (copy + 1, text, len);
  captured_init (&p->log, &logger);
  p->r = vmx_parse (copy + 1, len, "t.vmx", &logger, &p->list, &p->error);
  free (copy);
}

/* The names, each with a semicolon behind it. */
static void
check_names (const char *text, const char *wanted, const char *file, int line)
{
  struct parsed p;
  char names[1024] = "";
  size_t i;

  parse (&p, text, strlen (text));
  if (p.r == -1) {
    print_error ("%s\nwas refused: %s\n", text, p.error.message);
    _fail (file, line);
  }
  for (i = 0; i < p.list.nr; ++i) {
    strcat (names, p.list.disks[i].name);
    strcat (names, ";");
  }
  if (strcmp (names, wanted) != 0) {
    print_error ("%s\nhas %s, not %s\n", text, names, wanted);
    _fail (file, line);
  }
  name_list_free (&p.list);
}

#define assert_names(text, wanted)                      \
  check_names (text, wanted, __FILE__, __LINE__)

static void
check_refused (const char *text, enum vmdk_error_kind kind, const char *piece,
               const char *file, int line)
{
  struct parsed p;

  parse (&p, text, strlen (text));
  if (p.r == 0) {
    print_error ("%s\nwas accepted\n", text);
    _fail (file, line);
  }
  check_error (&p.error, kind, 0, piece, file, line);
  assert_int_equal (p.list.nr, 0);
  assert_null (p.list.disks);
}

#define assert_refused(text, kind, piece)                       \
  check_refused (text, kind, piece, __FILE__, __LINE__)

#define DISK(where, file)                               \
  where ".present = \"TRUE\"\n" where ".fileName = \"" file "\"\n"

static void
test_order (void **state)
{
  assert_names (DISK ("ide0:1", "i1.vmdk")
                DISK ("nvme0:0", "n.vmdk")
                DISK ("scsi1:0", "s10.vmdk")
                DISK ("scsi0:10", "s010.vmdk")
                DISK ("sata0:3", "a.vmdk")
                DISK ("scsi0:2", "s02.vmdk")
                DISK ("ide0:0", "i0.vmdk")
                DISK ("scsi10:0", "s100.vmdk")
                DISK ("scsi2:0", "s20.vmdk"),
                "s02.vmdk;s010.vmdk;s10.vmdk;s20.vmdk;s100.vmdk;a.vmdk;"
                "n.vmdk;i0.vmdk;i1.vmdk;");
}

/* As other programs write it: blanks, cases, comments, line ends. */
static void
test_syntax (void **state)
{
  assert_names ("\xef\xbb\xbf#!/usr/bin/vmware\r\n"
                ".encoding = \"UTF-8\"\r\n"
                "# scsi0:1.present = \"TRUE\"\r\n"
                "  SCSI0:0.Present=\"true\"\r\n"
                "scsi0:0.FILENAME\t=\t\"a.vmdk\"   # the first\r\n"
                "scsi0:0.fileName.x = \"b.vmdk\"\r\n"
                "scsi0:1.fileName = \"c.vmdk\"", "a.vmdk;");
  assert_names ("scsi0:0.present = TRUE\n"
                "scsi0:0.fileName = with space.vmdk\n", "with space.vmdk;");
  assert_names ("scsi0:0.present = \"TRUE\"\n"
                "scsi0:0.fileName = \"open.vmdk\n", "open.vmdk;");
  /* The last line counts. */
  assert_names (DISK ("scsi0:0", "old.vmdk") DISK ("scsi0:0", "new.vmdk"),
                "new.vmdk;");
  /* Nothing counts behind a NUL. */
  {
    static const char text[] =
      DISK ("scsi0:0", "a.vmdk") "\0" DISK ("scsi0:1", "b.vmdk");
    struct parsed p;

    parse (&p, text, sizeof text - 1);
    assert_int_equal (p.r, 0);
    assert_int_equal (p.list.nr, 1);
    name_list_free (&p.list);
  }
}

static void
test_names (void **state)
{
  assert_names (DISK ("scsi0:0", "a|22b|7cc|7C22.vmdk"),
                "a\"b|c|22.vmdk;");
  assert_names (DISK ("scsi0:0", "a|2.vmdk") DISK ("scsi0:1", "b.VMDK"),
                "a|2.vmdk;b.VMDK;");
  assert_names (DISK ("scsi0:0", "C:\\VMs\\x.vmdk")
                DISK ("scsi0:1", "/vmfs/volumes/1/x.vmdk")
                DISK ("scsi0:2", "../x.vmdk"),
                "C:\\VMs\\x.vmdk;/vmfs/volumes/1/x.vmdk;../x.vmdk;");
  assert_names (".encoding = \"windows-1252\"\n"
                DISK ("scsi0:0", "gr\xfcn.vmdk"), "gr\xc3\xbcn.vmdk;");
  assert_names (DISK ("scsi0:0", "gr\xfcn.vmdk") DISK ("scsi0:1", "a.vmdk"),
                "a.vmdk;");
  assert_names (DISK ("scsi0:0", "a|0ab.vmdk") DISK ("scsi0:1", "a|1b.vmdk")
                DISK ("scsi0:2", "a|00b.vmdk") DISK ("scsi0:3", "a|7f.vmdk")
                DISK ("scsi0:4", "a\xc2\x9b.vmdk") DISK ("scsi0:5", "b.vmdk"),
                "b.vmdk;");
  /* One name, one export. */
  assert_names (DISK ("scsi0:0", "a.vmdk") DISK ("ide0:0", "a.vmdk"),
                "a.vmdk;");
}

static void
test_no_disks (void **state)
{
  static const char disk[] = DISK ("scsi0:9", "d.vmdk");
  char text[1024];
  static const char *const others[] = {
    DISK ("scsi0:0", "a.iso"),
    DISK ("scsi0:0", ""),
    DISK ("scsi0:0", ".vmdk"),
    DISK ("ide1:0", "auto detect"),
    "scsi0:0.present = \"TRUE\"\n",
    "scsi0:0.fileName = \"a.vmdk\"\n",
    "scsi0:0.present = \"FALSE\"\nscsi0:0.fileName = \"a.vmdk\"\n",
    "scsi1.present = \"FALSE\"\n" DISK ("scsi1:0", "a.vmdk"),
    DISK ("scsi0:0", "a.vmdk") "scsi0:0.deviceType = \"cdrom-image\"\n",
    DISK ("scsi0:0", "a.vmdk") "scsi0:0.deviceType = \"atapi-cdrom\"\n",
    DISK ("ide0:0", "a.vmdk") "ide0:0.deviceType = \"rawDisk\"\n",
    DISK ("scsi0:0", "a.vmdk") "scsi0:0.deviceType = \"scsi-passthru\"\n",
    DISK ("floppy0", "a.vmdk"),
    DISK ("scsi0", "a.vmdk"),
    DISK ("scsi0:", "a.vmdk"),
    DISK ("scsi:0", "a.vmdk"),
    DISK ("scsi0:0x", "a.vmdk"),
    DISK ("scsi100:0", "a.vmdk"),
    DISK ("scsi0:1000", "a.vmdk"),
    DISK ("scsi-1:0", "a.vmdk"),
    DISK ("xscsi0:0", "a.vmdk"),
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (others); ++i) {
    snprintf (text, sizeof text, "%s%s", others[i], disk);
    assert_names (text, "d.vmdk;");
    assert_refused (others[i], VMDK_ERROR_UNSUPPORTED, "has no disks");
  }
  assert_names (DISK ("scsi0:0", "a.vmdk")
                "scsi0:0.deviceType = \"scsi-hardDisk\"\n"
                "scsi0.present = \"TRUE\"\n" DISK ("ide0:0", "b.vmdk")
                "ide0:0.deviceType = \"ata-hardDisk\"\n"
                DISK ("sata0:0", "c.vmdk") "sata0:0.deviceType = \"disk\"\n",
                "a.vmdk;c.vmdk;b.vmdk;");
}

static void
test_no_machine (void **state)
{
  assert_refused ("", VMDK_ERROR_CORRUPT, "t.vmx: not the configuration");
  assert_refused ("KDMV\1\2\3", VMDK_ERROR_CORRUPT, "not the configuration");
  assert_refused ("# a = \"b\"\n", VMDK_ERROR_CORRUPT,
                  "not the configuration");
}

static void
test_too_many (void **state)
{
  char *text = malloc (VMX_MAX_SIZE), *p = text;
  struct parsed parsed;
  unsigned i;

  assert_non_null (text);
  for (i = 0; i < VMX_MAX_DEVICES; ++i)
    p += sprintf (p, "scsi%u:%u.present = \"TRUE\"\n"
                  "scsi%u:%u.fileName = \"%u.vmdk\"\n",
                  i / 64, i % 64, i / 64, i % 64, i);
  parse (&parsed, text, (size_t) (p - text));
  assert_int_equal (parsed.r, 0);
  assert_int_equal (parsed.list.nr, VMX_MAX_DEVICES);
  assert_string_equal (parsed.list.disks[77].name, "77.vmdk");
  name_list_free (&parsed.list);

  strcpy (p, "ide0:0.present = \"FALSE\"\n");
  assert_refused (text, VMDK_ERROR_UNSUPPORTED, "more than 1024 devices");
  free (text);
}

/* Any bytes: the result is a list that can be told, or an error. */
static void
test_random (void **state)
{
  static const char pieces[][20] = {
    "scsi0:0", "ide1:1", ".present", ".fileName", ".deviceType", "=", "\"",
    "TRUE", "x.vmdk", "\n", "|22", "|", ".encoding", "\xff", "#", ":", "0",
    "\r", " ", "FALSE", "|00", "scsi", "\xc3\xbc",
  };
  uint64_t random = 1;
  char text[256];
  unsigned i;

  for (i = 0; i < 20000; ++i) {
    size_t len = 0, j;
    struct parsed p;

    while (len < sizeof text - 20) {
      const char *piece;

      random = random * UINT64_C (6364136223846793005) + 1;
      piece = pieces[(random >> 33) % ARRAY_LENGTH (pieces)];
      memcpy (text + len, piece, strlen (piece));
      len += strlen (piece);
      if ((random >> 20) % 64 == 0)
        break;
    }
    parse (&p, text, len);
    if (p.r == -1)
      assert_true (p.error.err != 0);
    for (j = 0; p.r == 0 && j < p.list.nr; ++j)
      assert_true (name_can_be_told (p.list.disks[j].name));
    name_list_free (&p.list);
  }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_order),
    cmocka_unit_test (test_syntax),
    cmocka_unit_test (test_names),
    cmocka_unit_test (test_no_disks),
    cmocka_unit_test (test_no_machine),
    cmocka_unit_test (test_too_many),
    cmocka_unit_test (test_random),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
