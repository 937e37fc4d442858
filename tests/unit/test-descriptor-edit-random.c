/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Descriptors that are edited, and read, whatever they are. */

#include <config.h>

#include "edit.h"

/* The second change and all later ones keep the length, and so each
 * mixture of old and new bytes can be parsed.
 */
static void
test_again (void **state)
{
  static const char *const texts[] = {
    vmware, qemu, virtualbox, "version=3\nchangeTrackPath=\"x\"\n",
    "CID=1\nddb.longContentID=\"1\"\n", "CID=12345\n",
  };
  uint64_t random = 11;
  size_t i, j;

  for (i = 0; i < ARRAY_LENGTH (texts); ++i) {
    size_t len = strlen (texts[i]);
    char *text = strdup (texts[i]);

    assert_non_null (text);
    for (j = 0; j < 50; ++j) {
      struct descriptor_change c;
      struct vmdk_error error;
      struct parsed p;
      char *edited;
      size_t edited_len, k;

      fill_change (&c, descriptor_fit_cid (text, len, (uint32_t)
                                           (next_random (&random) >> 20)),
                   &random);
      assert_int_equal (edit (text, len, j == 0 ? SIZE_MAX : len, &c,
                              &edited, &edited_len, &error), 0);
      check_meaning (text, len, edited, edited_len, c.cid);
      if (j > 0) {
        assert_int_equal (edited_len, len);
        for (k = 0; k < len; ++k)
          if (next_random (&random) & UINT64_C (1) << 40)
            text[k] = edited[k];
        parse_bytes (&p, text, len);
        assert_int_equal (p.r, 0);
        descriptor_free (&p.d);
      }
      free (text);
      text = edited;
      len = edited_len;
    }
    free (text);
  }
}

/* What moves is all old or all new, each other byte either: the meaning
 * must be that of either text.
 */
static void
check_mixture (const char *old, size_t len, const struct edited_descriptor *e,
               uint64_t *random)
{
  const bool new = random_below (random, 2);
  char *text = malloc (e->len);
  struct parsed o, m;
  size_t i;

  assert_non_null (text);
  for (i = 0; i < e->len; ++i) {
    const bool moves = e->moved <= i && i < e->moved_end;

    text[i] = (moves ? new : random_below (random, 2)) ? e->text[i] :
      i < len ? old[i] : '\0';
  }
  parse_bytes (&o, old, len);
  parse_bytes (&m, text, e->len);
  assert_int_equal (o.r, 0);
  if (m.r == -1)
    fail_msg ("%s", m.error.message);
  assert_true (m.d.parent_cid == o.d.parent_cid);
  assert_int_equal (m.d.nr_extents, o.d.nr_extents);
  check_same_string (m.d.create_type, o.d.create_type);
  check_same_string (m.d.parent_hint, o.d.parent_hint);
  descriptor_free (&o.d);
  descriptor_free (&m.d);
  free (text);
}

/* Damage a text, and edit it.  What was parsed must be parsed again. */
static void
test_random (void **state)
{
  static const char *const pieces[] = {
    "\n", "\r\n", "CID=", "CID=12\n", "\nversion=3\n", "\"", "#", " #", "=",
    "\nchangeTrackPath=\"CID=7\"\n", "RW ", "\nRW 8 ZERO\n", "\t", " ",
    "\nddb.longContentID = \"123\"\n", "\xef\xbb\xbf", "parentCID=5\n",
  };
  static const char *const texts[] = { vmware, qemu, virtualbox };
  uint64_t random = 1;
  unsigned i, parsed = 0, moved = 0;

  for (i = 0; i < 6000; ++i) {
    char text[1024] = "";
    struct edited_descriptor e;
    struct descriptor_change c;
    struct vmdk_error error;
    struct parsed p;
    size_t len, room;
    uint64_t n = 1 + random_below (&random, 4);
    int r;

    strcpy (text, texts[i % ARRAY_LENGTH (texts)]);
    len = strlen (text);
    while (n-- > 0) {
      const char *piece =
        pieces[random_below (&random, ARRAY_LENGTH (pieces))];
      /* Most of what matters is at the top. */
      const size_t at = (size_t)
        random_below (&random, random_below (&random, 2) ? 80 : len);

      switch (random_below (&random, 4)) {
      case 0:
        text[at] = (char) next_random (&random);
        break;
      case 1:
        memmove (text + at, text + at + 1, len - at);
        len--;
        break;
      case 2:
        text[at] ^= 0x20;
        break;
      default:
        if (len + strlen (piece) >= sizeof text)
          break;
        memmove (text + at + strlen (piece), text + at, len - at + 1);
        memcpy (text + at, piece, strlen (piece));
        len += strlen (piece);
      }
    }
    if (i % 5 == 0)
      len += (size_t) random_below (&random, sizeof text - len);
    room = i % 2 == 0 ? SIZE_MAX : len;

    fill_change (&c, descriptor_fit_cid (text, len, (uint32_t)
                                         (next_random (&random) >> 20)),
                 &random);
    parse_bytes (&p, text, len);
    r = edit_whole (text, len, room, &c, &e, &error);
    if (p.r == 0) {
      descriptor_free (&p.d);
      if (r == -1 && room == SIZE_MAX)
        fail_msg ("round %u: %s", i, error.message);
      if (r == 0 && text[0] != '\0') {
        check_meaning (text, len, e.text, e.len, c.cid);
        check_mixture (text, len, &e, &random);
        moved += e.moved != e.moved_end;
      }
      parsed++;
    }
    if (r == 0) {
      assert_true (e.len >= len && (e.len == len || e.len <= room));
      free (e.text);
    }
  }
  /* Not too much was refused for this to be a test. */
  assert_true (parsed > 1000);
  assert_true (moved > 100);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_again),
    cmocka_unit_test (test_random),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
