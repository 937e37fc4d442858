/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Changes of a descriptor: of its lines, numbers and words. */

#include <config.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "mutate.h"

static const char *const words[] = {
  "RW", "RDONLY", "NOACCESS", "SPARSE", "FLAT", "ZERO", "VMFS", "VMFSSPARSE",
  "VMFSRDM", "VMFSRAW", "SESPARSE", "version", "encoding", "CID", "parentCID",
  "createType", "parentFileNameHint", "isNativeSnapshot", "changeTrackPath",
  "ddb.longContentID", "ddb.adapterType", "ddb.nativeParentCID",
  "ddb.geometry.sectors", "ddb.deletable", "ffffffff", "0", "1", "\"", "=",
  "#", "\r\n", "\n", " ", "..", "/", "\\", "-s001.vmdk", "-flat.vmdk",
  "UTF-8", "windows-1252", "GBK", "Shift_JIS", "UTF-16", "%s", "\xff", "\t",
};

#define NR_WORDS (sizeof words / sizeof words[0])

/* Replace the bytes from 'at' up to 'end' by others, which may lie in the
 * text.  Returns the new size; nothing happens if there is no room.
 */
static size_t
replace (uint8_t *p, size_t size, size_t max_size, size_t at, size_t end,
         const void *other, size_t count)
{
  uint8_t *copy;

  if (size - (end - at) + count > max_size)
    return size;
  copy = malloc (count + 1);
  if (!copy)
    abort ();
  memcpy (copy, other, count);
  memmove (p + at + count, p + end, size - end);
  memcpy (p + at, copy, count);
  free (copy);
  return size - (end - at) + count;
}

/* A piece of text between places where 'is_end' holds. */
struct span {
  size_t at, end;
};

static bool
is_newline (uint8_t c)
{
  return c == '\n';
}

static bool
is_separator (uint8_t c)
{
  return c <= ' ' || c == '=' || c == '"';
}

static struct span
choose_span (const uint8_t *p, size_t size, bool (*is_end) (uint8_t c))
{
  struct span s;

  s.at = random_below (size);
  while (s.at > 0 && !is_end (p[s.at - 1]))
    s.at--;
  for (s.end = s.at; s.end < size && !is_end (p[s.end]);)
    s.end++;
  return s;
}

static size_t
change_decimal (uint8_t *p, size_t size, size_t max_size, struct span word,
                const struct hints *hints)
{
  uint8_t number[8] = { 0 };
  char text[24];
  size_t i;
  uint64_t v = 0;

  for (i = word.at; i < word.end && p[i] >= '0' && p[i] <= '9'; ++i)
    v = v * 10 + p[i] - '0';
  if (i == word.at)
    return size;
  store_le64 (number, v);
  change_number (number, sizeof number, hints);
  snprintf (text, sizeof text, "%" PRIu64, load_le64 (number));
  return replace (p, size, max_size, word.at, i, text, strlen (text));
}

size_t
change_text (uint8_t *p, size_t size, size_t max_size,
             const struct hints *hints)
{
  const char *word = words[random_below (NR_WORDS)];
  struct span a, b;

  if (size == 0)
    return 0;
  if (random_below (3) == 0) {
    a = choose_span (p, size, is_newline);
    b = choose_span (p, size, is_newline);
    if (a.end < size)
      a.end++;
    switch (random_below (3)) {
    case 0:
      return replace (p, size, max_size, a.at, a.end, "", 0);
    case 1:
      return replace (p, size, max_size, b.at, b.at, p + a.at, a.end - a.at);
    default:
      return replace (p, size, max_size, b.at, b.end, p + a.at,
                      a.end - a.at);
    }
  }
  a = choose_span (p, size, is_separator);
  b = choose_span (p, size, is_separator);
  switch (random_below (5)) {
  case 0:
    return replace (p, size, max_size, a.at, a.end, word, strlen (word));
  case 1:
    return replace (p, size, max_size, a.end, a.end, word, strlen (word));
  case 2:
    return replace (p, size, max_size, a.at, a.end, p + b.at, b.end - b.at);
  default:
    return change_decimal (p, size, max_size, a, hints);
  }
}
