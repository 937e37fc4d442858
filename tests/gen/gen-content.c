/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* What is in a sector.  The bytes depend on the link's seed and the
 * sector's number only, every sector begins with both, and so no two
 * sectors of a chain are alike and none is zero: a sector that turns up
 * in the wrong place is always noticed.
 */

#include <config.h>

#include <string.h>

#include "gen.h"

/* Enough words to compress about as well as a log file does. */
static const char words[64][12] = {
  "the ", "of ", "and ", "to ", "in ", "a ", "is ", "that ", "for ", "it ",
  "as ", "was ", "with ", "be ", "by ", "on ", "not ", "he ", "this ",
  "are ", "or ", "his ", "from ", "at ", "which ", "but ", "have ", "an ",
  "had ", "they ", "you ", "were ", "their ", "one ", "all ", "we ",
  "can ", "her ", "has ", "there ", "been ", "if ", "more ", "when ",
  "will ", "would ", "who ", "so ", "no ", "kernel: ", "started ",
  "stopped ", "failed\n", "session ", "device ", "error ", "info ",
  "client ", "server ", "0x7f ", "127 ", "65536 ", "done\n", "daemon ",
};

static void
hex16 (uint8_t *p, uint64_t v)
{
  static const char digits[] = "0123456789abcdef";
  int i;

  for (i = 15; i >= 0; i--, v >>= 4)
    p[i] = (uint8_t) digits[v & 15];
}

static void
fill_text (uint64_t seed, uint64_t sector, uint8_t *p)
{
  uint64_t state = prng_hash (seed, sector);
  uint64_t bits = 0;
  size_t i = 40, left = 0;

  memcpy (p, "seed ", 5);
  hex16 (p + 5, seed);
  memcpy (p + 21, " s ", 3);
  hex16 (p + 24, sector);
  while (i < SECTOR) {
    const char *w;
    size_t len;

    if (left == 0) {
      bits = prng (&state);
      left = 10;
    }
    w = words[bits & 63];
    bits >>= 6;
    left--;
    len = strlen (w);
    if (len > SECTOR - i)
      len = SECTOR - i;
    memcpy (p + i, w, len);
    i += len;
  }
}

static void
fill_random (uint64_t seed, uint64_t sector, uint8_t *p)
{
  uint64_t state = prng_hash (seed, sector);
  size_t i;

  for (i = 16; i < SECTOR; i += 8) {
    uint64_t v = prng (&state);

    memcpy (p + i, &v, 8);
  }
  memcpy (p, "RND\1", 4);
  put_le64 (p + 4, seed);
  put_le32 (p + 12, (uint32_t) sector);
  put_le32 (p + 16, (uint32_t) (sector >> 32));
}

/* Records, as in an index or a table of a file system. */
static void
fill_records (uint64_t seed, uint64_t sector, uint8_t *p)
{
  uint64_t state = prng_hash (seed, sector);
  size_t i;

  for (i = 0; i < SECTOR; i += 32) {
    put_le64 (p + i, seed + 1);
    put_le64 (p + i + 8, sector);
    put_le64 (p + i + 16, prng (&state) & 0xffff);
    put_le64 (p + i + 24, i);
  }
}

void
content_fill (const struct content *c, uint64_t sector, uint64_t n,
              uint8_t *buf)
{
  if (c->from) {
    file_read (c->from, buf, (size_t) n * SECTOR, sector * SECTOR);
    return;
  }
  for (; n > 0; n--, sector++, buf += SECTOR) {
    enum data_class class = c->class;

    /* Change the class of the content every 32 KiB. */
    if (class == DATA_MIXED)
      switch (prng_hash (c->seed ^ 1, sector >> 6) % 4) {
      case 0:
        fill_records (c->seed, sector, buf);
        continue;
      case 1:
        class = DATA_RANDOM;
        break;
      default:
        class = DATA_TEXT;
      }
    if (class == DATA_RANDOM)
      fill_random (c->seed, sector, buf);
    else
      fill_text (c->seed, sector, buf);
  }
}
