/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The limits of looking for parents. */

#include <config.h>

#include "links.h"

static struct folder folder;
static struct captured log_lines;

static int
setup (void **state)
{
  folder_new (&folder);
  folder_make_dir (&folder, "vm");
  return 0;
}

static int
teardown (void **state)
{
  folder_remove (&folder);
  return 0;
}

static const struct vmdk_options no_options;

#define assert_opens(name, drawing, nr_links)                           \
  links_check_opens (&folder, name, &no_options, &log_lines, drawing,   \
                     nr_links, __FILE__, __LINE__)

#define assert_refused(name, piece)                                     \
  links_check_refused (&folder, name, &no_options, &log_lines,          \
                       VMDK_ERROR_UNSUPPORTED, EINVAL, piece, __FILE__, \
                       __LINE__)

static void
write_deep (unsigned nr)
{
  unsigned i;

  for (i = 0; i < nr; ++i) {
    char name[32], hint[32];

    snprintf (name, sizeof name, "vm/%u.vmdk", i);
    snprintf (hint, sizeof hint, "%u.vmdk", i + 1);
    link_write (&folder, name, 1, i + 1 < nr ? 1 : UINT32_MAX,
                i + 1 < nr ? hint : NULL, i + 1 < nr ? ".." : "bb", 1);
  }
}

static void
test_depth (void **state)
{
  write_deep (255);
  assert_opens ("vm/0.vmdk", "bb", 255);
  write_deep (256);
  assert_opens ("vm/1.vmdk", "bb", 255);
  assert_refused ("vm/0.vmdk",
                  "0.vmdk: the chain of parents has more than 255 links");
}

/* A disk of 'nr' lines, one sector each, of which the last may be 'damaged'. */
static void
write_lines (const char *name, unsigned nr, bool damaged)
{
  static const char line[] = "RW 1 ZERO\n";
  char *text = malloc (100 + nr * strlen (line));
  unsigned i;
  int len;

  assert_non_null (text);
  len = sprintf (text, "# Disk DescriptorFile\nversion=1\nCID=1\n"
                 "parentCID=ffffffff\n");
  for (i = damaged; i < nr; ++i)
    len += sprintf (text + len, "%s", line);
  if (damaged)
    sprintf (text + len, "RW 1 FLAT \"gone\" 0\n");
  folder_write_text (&folder, name, text);
  free (text);
}

/* Beside a link is a damaged copy of its parent, four times.  To look at those
 * takes as long as to open the links, so there is a limit to all of them
 * together.
 */
static void
test_many_candidates (void **state)
{
  char in[32] = "vm", name[64], hint[16];
  unsigned i;

  for (i = 0; i < 5; ++i) {
    snprintf (hint, sizeof hint, "r\\%u.vmdk", i + 1);
    snprintf (name, sizeof name, "%s/%u.vmdk", in, i);
    link_write (&folder, name, 1, 1, hint, "..", 1);
    snprintf (name, sizeof name, "%s/%u.vmdk", in, i + 1);
    if (i < 4)
      write_lines (name, 65536 - (i == 0), true);
    strcat (in, "/r");
    folder_make_dir (&folder, in);
  }
  write_lines ("vm/r/r/r/r/r/5.vmdk", 1, false);
  assert_opens ("vm/0.vmdk", "..", 6);
  write_lines ("vm/1.vmdk", 65536, true);
  assert_refused ("vm/0.vmdk",
                  "4.vmdk: its parent: 5.vmdk: the links of the chain, and "
                  "files that were taken for one, have more than 262144 "
                  "extents");
}

/* Descriptors are read and understood before one can tell that the disk is
 * another.  They can be made so that this takes long, so there is a limit to
 * all of them together.
 */
static void
test_much_text (void **state)
{
  const size_t size = 1024 * 1024;
  char in[300] = "vm", name[320], hint[32], *text = malloc (size + 1);
  unsigned i;
  int len;

  assert_non_null (text);
  len = sprintf (text, "# Disk DescriptorFile\nversion=1\nCID=7\n"
                 "parentCID=ffffffff\nRW 1 ZERO\n#");
  memset (text + len, 'x', size - (size_t) len);
  text[size] = '\0';
  folder_write_text (&folder, "vm/text", text);
  free (text);
  for (i = 0; i < 120; ++i) {
    snprintf (hint, sizeof hint, "r\\%u.vmdk", i + 1);
    snprintf (name, sizeof name, "%s/%u.vmdk", in, i);
    link_write (&folder, name, 1, i < 119 ? 1 : UINT32_MAX, hint, "..", 1);
    snprintf (name, sizeof name, "%s/%u.vmdk", in, i + 1);
    folder_hard_link (&folder, "vm/text", name);
    strcat (in, "/r");
    folder_make_dir (&folder, in);
  }
  assert_refused ("vm/0.vmdk", "have more than 67108864 bytes");
}

#define TEST(t) cmocka_unit_test_setup_teardown (t, setup, teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    TEST (test_depth),
    TEST (test_many_candidates),
    TEST (test_much_text),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
