/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Which CIDs are chosen. */

#include <config.h>

#include "descriptor-edit.h"
#include "unit.h"

static void
test_fit_cid (void **state)
{
  static const struct {
    const char *text;
    uint32_t cid, expected;
  } cases[] = {
    { "CID=12345678\n", 0x89abcdef, 0x89abcdef },
    { "CID=8abb323\n", 0x89abcdef, 0x9abcdef },
    { "CID=123456\n", 0x89abcdef, 0xabcdef },
    { "CID=12345\n", 0x89abcdef, 0xbcdef },
    { "CID=1234\n", 0x89abcdef, 0xcdef },
    { "CID=123\n", 0x89abcdef, 0x89abcdef },
    { "CID=\n", 0x89abcdef, 0x89abcdef },
    { "CID=x2345\n", 0x89abcdef, 0x89abcdef },
    { "", 0x89abcdef, 0x89abcdef },
    /* The numbers that it must not be. */
    { "CID=12345678\n", 0, 0x11111111 },
    { "CID=12345678\n", 0xfffffffe, 0x1111110f },
    { "CID=12345678\n", 0xffffffff, 0x11111110 },
    { "CID=12345678\n", 0x12345678, 0x23456789 },
    { "CID=fffffffd\n", 0xfffffffd, 0x33333330 },
    { "CID=00000001\n", 0xffffffff, 0x22222221 },
    { "CID=1234\n", 0x55551234, 0x2345 },
    { "CID=1234\n", 0x55550000, 0x1111 },
    { "CID=0001\n", 0x55550000, 0x1111 },
    { "CID=ffff\n", 0x5555ffff, 0x1110 },
    { "CID=1234\n", 0xffffffff, 0xffff },
    { "CID=0012\n", 0x12, 0x1123 },
    { "CID=12\n", 0x12, 0x11111123 },
    { "", 0, 0x11111111 },
    /* Nor may some of their digits with some of the old ones be. */
    { "CID=ffff1234\n", 0x1234ffff, 0x23461110 },
    { "CID=1fffffff\n", 0xf0000003, 0x01111114 },
    { "CID=10000000\n", 0x01234567, 0x12345678 },
    { "CID=0012\n", 0x1200, 0x2311 },
    /* But what the disk has already. */
    { "CID=00000000\n", 0x12340000, 0x12340000 },
    { "parentCID=2\n#CID=1234\nCID=12345\n", 0x89abcdef, 0xbcdef },
  };
  size_t i;

  for (i = 0; i < ARRAY_LENGTH (cases); ++i) {
    const uint32_t cid = descriptor_fit_cid (cases[i].text,
                                             strlen (cases[i].text),
                                             cases[i].cid);

    if (cid != cases[i].expected)
      fail_msg ("%s %" PRIx32 " gave %" PRIx32, cases[i].text, cases[i].cid,
                cid);
  }
}

/* Digits that make reserved numbers, and others. */
static uint32_t
odd_cid (uint64_t *random)
{
  static const uint32_t digits[] = { 0, 0, 1, 14, 15, 15 };
  uint32_t cid = 0;
  size_t i;

  for (i = 0; i < 8; ++i)
    cid = cid << 4 | digits[random_below (random, ARRAY_LENGTH (digits))];
  return cid;
}

static bool
is_reserved (uint32_t cid)
{
  return cid == 0 || cid >= UINT32_C (0xfffffffe);
}

/* The digits may lie in two sectors, of which one is written. */
static void
test_torn (void **state)
{
  uint64_t random = 5;
  unsigned i, split, would_be = 0;

  for (i = 0; i < 200000; ++i) {
    const uint32_t wanted = odd_cid (&random);
    const int digits = 4 + (int) random_below (&random, 5);
    const uint32_t old =
      odd_cid (&random) & UINT32_MAX >> (32 - 4 * (unsigned) digits);
    char text[32], new_text[16];
    uint32_t cid;

    snprintf (text, sizeof text, "CID=%0*" PRIx32 "\n", digits, old);
    cid = descriptor_fit_cid (text, strlen (text), wanted);
    assert_false (cid == old || is_reserved (cid));
    snprintf (new_text, sizeof new_text, "%0*" PRIx32, digits, cid);
    assert_int_equal (strlen (new_text), digits);
    for (split = 1; split < (unsigned) digits; ++split) {
      char torn[16];
      uint32_t first, second;

      memcpy (torn, text + 4, 9);
      memcpy (torn, new_text, split);
      first = (uint32_t) strtoul (torn, NULL, 16);
      memcpy (torn, new_text, 9);
      memcpy (torn, text + 4, split);
      second = (uint32_t) strtoul (torn, NULL, 16);
      if ((is_reserved (first) && first != old) ||
          (is_reserved (second) && second != old))
        fail_msg ("%s and %s, split at %u", text, new_text, split);
    }
    would_be += digits == 8 && cid != wanted && wanted != old &&
      !is_reserved (wanted);
  }
  /* It was needed. */
  assert_true (would_be > 50);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_fit_cid),
    cmocka_unit_test (test_torn),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
