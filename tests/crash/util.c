/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "util.h"

void
die (const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  fputs ("harness: ", stderr);
  vfprintf (stderr, fmt, args);
  fputc ('\n', stderr);
  va_end (args);
  exit (2);
}

void *
must_alloc (size_t size)
{
  void *p = __real_calloc (1, size ? size : 1);

  if (!p)
    die ("out of memory");
  return p;
}

void *
must_realloc (void *p, size_t size)
{
  p = __real_realloc (p, size ? size : 1);
  if (!p)
    die ("out of memory");
  return p;
}

char *
must_print (const char *fmt, ...)
{
  va_list args;
  char *s;
  int r;

  va_start (args, fmt);
  r = vasprintf (&s, fmt, args);
  va_end (args);
  if (r == -1)
    die ("out of memory");
  return s;
}

uint64_t
next_random (uint64_t *state)
{
  uint64_t z = *state += UINT64_C (0x9e3779b97f4a7c15);

  z = (z ^ z >> 30) * UINT64_C (0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C (0x94d049bb133111eb);
  return z ^ z >> 31;
}

uint64_t
random_below (uint64_t *state, uint64_t n)
{
  return next_random (state) % n;
}

uint64_t
mix (uint64_t a, uint64_t b)
{
  uint64_t state = a * UINT64_C (0xd6e8feb86659fd93) ^ b;

  return next_random (&state);
}

uint32_t
get32 (const uint8_t *p)
{
  return (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 |
    (uint32_t) p[3] << 24;
}

uint64_t
get64 (const uint8_t *p)
{
  return get32 (p) | (uint64_t) get32 (p + 4) << 32;
}

void
put32 (uint8_t *p, uint32_t v)
{
  int i;

  for (i = 0; i < 4; ++i)
    p[i] = (uint8_t) (v >> 8 * i);
}

void
put64 (uint8_t *p, uint64_t v)
{
  put32 (p, (uint32_t) v);
  put32 (p + 4, (uint32_t) (v >> 32));
}

/* The number of the operation in the upper half, and of the eight bytes in
 * the lower.
 */
void
fill_pattern (uint8_t *buf, uint64_t count, uint64_t offset, uint32_t number)
{
  uint64_t i = 0;

  while (i < count) {
    const uint64_t in_word = (offset + i) % 8;
    uint8_t word[8];

    put32 (word, (uint32_t) ((offset + i) / 8));
    put32 (word + 4, number);
    if (in_word == 0 && count - i >= 8) {
      memcpy (buf + i, word, 8);
      i += 8;
    }
    else
      buf[i++] = word[in_word];
  }
}

void
describe_sector (const uint8_t *sector, char *text, size_t size)
{
  static const uint8_t zero[SECTOR];
  const uint8_t *first = sector, *last = sector + SECTOR - 8;

  if (memcmp (sector, zero, SECTOR) == 0)
    snprintf (text, size, "zeroes");
  else
    snprintf (text, size, "operation %" PRIu32 " of sector %" PRIu32
              " to operation %" PRIu32 " of sector %" PRIu32,
              get32 (first + 4), get32 (first) / (SECTOR / 8),
              get32 (last + 4), get32 (last) / (SECTOR / 8));
}

char *
make_folder (const char *program)
{
  const char *tmpdir = getenv ("TMPDIR");
  char *path = must_print ("%s/%s-XXXXXX", tmpdir ? tmpdir : "/tmp", program);

  if (!mkdtemp (path))
    die ("%s: %s", path, strerror (errno));
  return path;
}

static int
remove_entry (const char *path, const struct stat *st, int type,
              struct FTW *walk)
{
  (void) st;
  (void) type;
  (void) walk;
  if (remove (path) == -1)
    die ("%s: %s", path, strerror (errno));
  return 0;
}

void
remove_folder (const char *path)
{
  if (nftw (path, remove_entry, 8, FTW_DEPTH | FTW_PHYS) == -1 &&
      errno != ENOENT)
    die ("%s: %s", path, strerror (errno));
}
