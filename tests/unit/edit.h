/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Editing a descriptor in a test. */

#ifndef VMDK_TESTS_EDIT_H
#define VMDK_TESTS_EDIT_H

#include <errno.h>

#include "descriptor-edit.h"
#include "parse.h"

#define NEW_CID 0x0badcafe
#define NEW_LONG "00112233445566778899aabb0badcafe"

static const struct descriptor_change edit_change = {
  NEW_CID,
  { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb,
    0x0b, 0xad, 0xca, 0xfe },
};

static const char vmware[] =
  "# Disk DescriptorFile\n"
  "version=1\n"
  "encoding=\"UTF-8\"\n"
  "CID=0172e8a4\n"
  "parentCID=ffffffff\n"
  "createType=\"vmfs\"\n"
  "\n"
  "# Extent description\n"
  "RW 4096 VMFS \"vmfs_thick-flat.vmdk\"\n"
  "\n"
  "# The Disk Data Base \n"
  "#DDB\n"
  "\n"
  "ddb.adapterType = \"lsilogic\"\n"
  "ddb.longContentID = \"c493b057f416b9534001df440172e8a4\"\n"
  "ddb.uuid = \"60 00 C2 98 5d 08 de f2-a0 14 2e 05 94 9d d8 38\"\n"
  "ddb.virtualHWVersion = \"14\"\n";

static const char virtualbox[] =
  "# Disk DescriptorFile\n"
  "version=1\n"
  "CID=2a3cf8b1\n"
  "parentCID=ffffffff\n"
  "createType=\"monolithicSparse\"\n"
  "\n"
  "# Extent description\n"
  "RW 4096 SPARSE \"box.vmdk\"\n"
  "\n"
  "# The disk Data Base \n"
  "#DDB\n"
  "\n"
  "ddb.virtualHWVersion = \"4\"\n"
  "ddb.adapterType=\"ide\"\n"
  "ddb.uuid.image=\"b0a4cc3e-7c1b-4b06-8d2e-0a3d57a3e5f8\"\n"
  "ddb.uuid.modification=\"00000000-0000-0000-0000-000000000000\"\n"
  "ddb.comment=\"CID=5\\n\"\n";

/* QEMU does not pad. */
static const char qemu[] =
  "# Disk DescriptorFile\n"
  "version=1\n"
  "CID=8abb323\n"
  "parentCID=ffffffff\n"
  "createType=\"monolithicSparse\"\n"
  "\n"
  "# Extent description\n"
  "RW 2048 SPARSE \"qemu.vmdk\"\n"
  "\n"
  "# The Disk Data Base\n"
  "#DDB\n"
  "\n"
  "ddb.virtualHWVersion = \"4\"\n"
  "ddb.geometry.cylinders = \"2\"\n";

/* Edit a text in memory of its own size, so that a checker of memory sees
 * a byte too many being read.
 */
static inline int
edit_whole (const char *text, size_t len, size_t room,
            const struct descriptor_change *c, struct edited_descriptor *e,
            struct vmdk_error *error)
{
  char *copy = malloc (len + 1);
  int r;

  assert_non_null (copy);
  memcpy (copy + 1, text, len);
  memset (error, 0, sizeof *error);
  r = descriptor_edit (copy + 1, len, room, c, e, error);
  free (copy);
  return r;
}

/* The same for those to whom it does not matter what has moved. */
static inline int
edit (const char *text, size_t len, size_t room,
      const struct descriptor_change *c, char **edited, size_t *edited_len,
      struct vmdk_error *error)
{
  struct edited_descriptor e = { 0 };
  const int r = edit_whole (text, len, room, c, &e, error);

  *edited = e.text;
  *edited_len = e.len;
  return r;
}

static inline void
check_same_string (const char *a, const char *b)
{
  assert_int_equal (a != NULL, b != NULL);
  if (a)
    assert_string_equal (a, b);
}

/* The new descriptor must say what the old one did, but for the CID and
 * version 3, which may have become 1.
 */
static inline void
check_meaning (const char *old, size_t old_len, const char *new,
               size_t new_len, uint32_t cid)
{
  struct parsed o, n;
  size_t i;

  parse_bytes (&o, old, old_len);
  assert_int_equal (o.r, 0);
  parse_bytes (&n, new, new_len);
  if (n.r != 0)
    print_error ("%s\n", n.error.message);
  assert_int_equal (n.r, 0);
  assert_true (n.d.has_cid);
  assert_true (n.d.cid == cid);
  if (n.d.version != o.d.version)
    assert_int_equal (n.d.version, 1);
  assert_true (o.d.parent_cid == n.d.parent_cid);
  check_same_string (o.d.parent_hint, n.d.parent_hint);
  check_same_string (o.d.parent_hint_utf8, n.d.parent_hint_utf8);
  check_same_string (o.d.create_type, n.d.create_type);
  check_same_string (o.d.encoding, n.d.encoding);
  check_same_string (o.d.transformed_by, n.d.transformed_by);
  assert_int_equal (o.d.nr_extents, n.d.nr_extents);
  for (i = 0; i < o.d.nr_extents; ++i) {
    const struct extent_line *a = &o.d.extents[i], *b = &n.d.extents[i];

    assert_int_equal (a->access, b->access);
    assert_int_equal (a->type, b->type);
    assert_true (a->sectors == b->sectors && a->offset == b->offset);
    check_same_string (a->name, b->name);
    check_same_string (a->utf8_name, b->utf8_name);
  }
  descriptor_free (&o.d);
  descriptor_free (&n.d);
}

/* Editing 'text' must give 'expected', with as much room as it wants,
 * and without any if the length stays.
 */
static inline void
check_edit (const char *text, const char *expected, const char *file,
            int line)
{
  const size_t len = strlen (text), expected_len = strlen (expected);
  struct vmdk_error error;
  char *edited;
  size_t edited_len;

  if (edit (text, len, len == expected_len ? len : SIZE_MAX, &edit_change,
            &edited, &edited_len, &error) == -1) {
    print_error ("%s\nwas not edited: %s\n", text, error.message);
    _fail (file, line);
  }
  if (edited_len != expected_len ||
      memcmp (edited, expected, edited_len) != 0) {
    print_error ("%s\nbecame\n%.*s\nnot\n%s\n", text, (int) edited_len,
                 edited, expected);
    _fail (file, line);
  }
  check_meaning (text, len, edited, edited_len, NEW_CID);
  free (edited);
}

#define assert_edit(text, expected)                     \
  check_edit (text, expected, __FILE__, __LINE__)

/* A copy of 'text' in which the first 'old' is 'new', to be freed. */
static inline char *
replaced (const char *text, const char *old, const char *new)
{
  const char *at = strstr (text, old);
  char *r = malloc (strlen (text) + strlen (new) + 1);

  assert_non_null (at);
  assert_non_null (r);
  sprintf (r, "%.*s%s%s", (int) (at - text), text, new,
           at + strlen (old));
  return r;
}

static inline void
assert_no_edit (const char *text, size_t len, size_t room,
                enum vmdk_error_kind kind, const char *piece)
{
  struct vmdk_error error;
  char *edited = NULL;
  size_t edited_len;

  assert_int_equal (edit (text, len, room, &edit_change, &edited, &edited_len,
                          &error), -1);
  assert_error (&error, kind, 0, piece);
  assert_null (edited);
}

static inline void
fill_change (struct descriptor_change *c, uint32_t cid, uint64_t *random)
{
  size_t i;

  c->cid = cid;
  for (i = 0; i < 12; ++i)
    c->long_content_id[i] = (uint8_t) next_random (random);
  for (i = 0; i < 4; ++i)
    c->long_content_id[12 + i] = (uint8_t) (cid >> (24 - 8 * i));
}

#endif /* VMDK_TESTS_EDIT_H */
