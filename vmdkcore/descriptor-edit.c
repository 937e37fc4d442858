/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Only the values that must change are overwritten: the text may come
 * from any writer, and holds things that only that writer knows.  What is
 * a line, a key and a value is what descriptor.c says.
 */

#include <config.h>

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bytes.h"
#include "descriptor-edit.h"
#include "descriptor.h"

/* With fewer digits there are too few CIDs to tell contents apart. */
#define MIN_CID_DIGITS 4

/* A piece of the text: from 'start' up to, not including, 'end'. */
struct piece {
  size_t start, end;
};

static inline size_t
length (struct piece p)
{
  return p.end - p.start;
}

struct line {
  struct piece whole;           /* without the LF */
  struct piece key, value;      /* of a pair */
  bool is_pair;
  bool has_lf;
};

/* Where the things are.  The first occurrence of a key counts. */
struct places {
  size_t text_end;
  struct piece cid, version, long_content_id;   /* values */
  bool has_cid, has_version, has_long_content_id, has_tracking;
  struct line before_cid;       /* that a missing CID goes behind */
  bool has_before_cid;
};

static bool
is_blank (char c)
{
  return c == ' ' || c == '\t' || c == '\r';
}

static struct piece
trim (const char *text, struct piece p)
{
  while (p.start < p.end && is_blank (text[p.start]))
    p.start++;
  while (p.start < p.end && is_blank (text[p.end-1]))
    p.end--;
  return p;
}

static bool
piece_is (const char *text, struct piece p, const char *word)
{
  return length (p) == strlen (word) &&
    strncasecmp (text + p.start, word, length (p)) == 0;
}

/* Is this an extent, whatever its name holds? */
static bool
is_extent (const char *text, struct piece p)
{
  struct piece word = { p.start, p.start };

  while (word.end < p.end && !is_blank (text[word.end]))
    word.end++;
  return word.end < p.end &&
    (piece_is (text, word, "RW") || piece_is (text, word, "RDONLY") ||
     piece_is (text, word, "NOACCESS"));
}

/* The value itself, of what is behind the equals sign. */
static struct piece
cut_value (const char *text, struct piece p)
{
  size_t i;

  p = trim (text, p);
  if (p.start < p.end && text[p.start] == '"') {
    p.start++;
    for (i = p.start; i < p.end; ++i)
      if (text[i] == '"')
        p.end = i;
    return p;
  }
  for (i = p.start + 1; i < p.end; ++i)
    if (text[i] == '#' && is_blank (text[i-1]))
      p.end = i;
  return trim (text, p);
}

static void
split_pair (const char *text, struct line *line)
{
  const struct piece p = trim (text, line->whole);
  const char *eq;
  size_t i;

  line->is_pair = false;
  if (length (p) == 0 || text[p.start] == '#' || is_extent (text, p))
    return;
  eq = memchr (text + p.start, '=', length (p));
  if (!eq)
    return;
  line->key = (struct piece) { p.start, (size_t) (eq - text) };
  line->key = trim (text, line->key);
  for (i = line->key.start; i < line->key.end; ++i)
    if (!isalnum ((unsigned char) text[i]) && !strchr ("._-", text[i]))
      return;
  line->value = (struct piece) { (size_t) (eq + 1 - text), p.end };
  line->value = cut_value (text, line->value);
  line->is_pair = length (line->key) > 0;
}

/* Find the line that begins at *next, and move that to the next one.
 * Returns false at the end of the text.
 */
static bool
next_line (const char *text, size_t text_end, size_t *next,
           struct line *line)
{
  const char *lf;

  if (*next == text_end)
    return false;
  lf = memchr (text + *next, '\n', text_end - *next);
  line->has_lf = lf != NULL;
  line->whole.start = *next;
  line->whole.end = lf ? (size_t) (lf - text) : text_end;
  *next = line->whole.end + line->has_lf;
  split_pair (text, line);
  return true;
}

static bool
is_tracking (const char *text, const struct line *line)
{
  return line->is_pair && piece_is (text, line->key, "changeTrackPath");
}

static void
keep_first (bool *has, struct piece *place, struct piece value)
{
  if (!*has)
    *place = value;
  *has = true;
}

static size_t
skip_byte_order_mark (const char *text, size_t text_end)
{
  return text_end >= 3 && memcmp (text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

static void
find_places (const char *text, size_t len, struct places *places)
{
  struct line line;
  size_t next;

  *places = (struct places) { .text_end = strnlen (text, len) };
  next = skip_byte_order_mark (text, places->text_end);
  while (next_line (text, places->text_end, &next, &line)) {
    const bool is_version =
      line.is_pair && piece_is (text, line.key, "version");

    if (!places->has_before_cid || (is_version && !places->has_version))
      places->before_cid = line;
    places->has_before_cid = true;
    if (is_version)
      keep_first (&places->has_version, &places->version, line.value);
    else if (line.is_pair && piece_is (text, line.key, "CID"))
      keep_first (&places->has_cid, &places->cid, line.value);
    else if (line.is_pair && piece_is (text, line.key, "ddb.longContentID"))
      keep_first (&places->has_long_content_id, &places->long_content_id,
                  line.value);
    else if (is_tracking (text, &line))
      places->has_tracking = true;
  }
}

/* Parse 1 to 8 hex digits and nothing else. */
static bool
parse_cid (const char *text, struct piece p, uint32_t *cid)
{
  char digits[9] = "";
  size_t i;

  if (length (p) == 0 || length (p) > 8)
    return false;
  for (i = p.start; i < p.end; ++i)
    if (!isxdigit ((unsigned char) text[i]))
      return false;
  memcpy (digits, text + p.start, length (p));
  *cid = (uint32_t) strtoul (digits, NULL, 16);
  return true;
}

/* The largest number of so many hex digits. */
static uint32_t
max_cid (size_t digits)
{
  return digits < 8 ? (UINT32_C (1) << 4 * digits) - 1 : UINT32_MAX;
}

uint32_t
descriptor_fit_cid (const char *text, size_t len, uint32_t cid)
{
  struct places places;
  uint32_t mask = UINT32_MAX, present = 0;

  find_places (text, len, &places);
  if (places.has_cid && parse_cid (text, places.cid, &present) &&
      length (places.cid) >= MIN_CID_DIGITS)
    mask = max_cid (length (places.cid));
  cid &= mask;
  while (cid == 0 || cid >= UINT32_C (0xfffffffe) || cid == present)
    cid = (cid + 1) & mask;
  return cid;
}

/* Fill a piece with the last digits of a number, or with zeroes before
 * its first one.
 */
static void
write_digits (char *text, struct piece p, const char *digits)
{
  const size_t n = strlen (digits), len = length (p);

  memset (text + p.start, '0', len);
  if (len >= n)
    memcpy (text + p.end - n, digits, n);
  else
    memcpy (text + p.start, digits + n - len, len);
}

static void
write_long_content_id (char *text, struct piece p, const uint8_t *id)
{
  char digits[2 * 16 + 1];
  size_t i;

  for (i = 0; i < 16; ++i)
    snprintf (digits + 2 * i, 3, "%02x", id[i]);
  write_digits (text, p, digits);
}

/* Does the version say that changes are tracked? */
static bool
is_version_3 (const char *text, struct piece p)
{
  while (p.start < p.end && text[p.start] == '0')
    p.start++;
  return piece_is (text, p, "3");
}

/* Do what keeps the length: the lines become comments, as VMware's own
 * software puts nothing else in their place.
 */
static void
drop_tracking (char *text, const struct places *places)
{
  struct line line;
  size_t next = skip_byte_order_mark (text, places->text_end);

  if (!places->has_tracking &&
      !(places->has_version && is_version_3 (text, places->version)))
    return;
  if (places->has_version)
    write_digits (text, places->version, "1");
  while (next_line (text, places->text_end, &next, &line))
    if (is_tracking (text, &line))
      text[line.key.start] = '#';
}

/* What stands in the place of the old CID, or is put where there is none,
 * and where.  'new' must have room for a line.
 */
static int
place_cid (const char *text, const struct places *places, uint32_t cid,
           struct piece *old, char *new, size_t size,
           struct vmdk_error *error)
{
  const struct line *before = &places->before_cid;
  uint32_t present;
  size_t digits;

  if (places->has_cid) {
    *old = places->cid;
    digits = length (*old);
    if (!parse_cid (text, *old, &present))
      return error_set (error, VMDK_ERROR_CORRUPT, EINVAL,
                        "the descriptor's CID is not 1 to 8 hex digits");
    if (digits < MIN_CID_DIGITS || cid > max_cid (digits))
      digits = 8;
    snprintf (new, size, "%0*" PRIx32, (int) digits, cid);
  }
  else if (before->has_lf) {
    const size_t end = before->whole.end;
    const bool cr = end > before->whole.start && text[end-1] == '\r';

    old->start = old->end = end + 1;
    snprintf (new, size, "CID=%08" PRIx32 "%s", cid, cr ? "\r\n" : "\n");
  }
  else {
    old->start = old->end = places->text_end;
    snprintf (new, size, "\nCID=%08" PRIx32 "\n", cid);
  }
  return 0;
}

int
descriptor_edit (const char *text, size_t len, size_t room,
                 const struct descriptor_change *change, char **edited,
                 size_t *edited_len, struct vmdk_error *error)
{
  struct places places;
  struct piece old;
  char new[32], *copy;
  size_t new_len, text_end, copy_len;

  find_places (text, len, &places);
  if (places.text_end == 0) {
    /* An area that was reserved, and never used. */
    new[0] = '\0';
    old = (struct piece) { 0, 0 };
  }
  else if (place_cid (text, &places, change->cid, &old, new, sizeof new,
                      error) == -1)
    return -1;
  new_len = strlen (new);
  text_end = places.text_end + new_len - length (old);
  copy_len = text_end > len ? text_end : len;
  if (copy_len > len && (copy_len > room || copy_len > DESCRIPTOR_MAX_SIZE))
    return error_set (error, VMDK_ERROR_UNSUPPORTED, ENOTSUP,
                      "the descriptor has no room for a longer CID: "
                      "%zu bytes are needed, there are %zu", text_end,
                      room < DESCRIPTOR_MAX_SIZE ? room
                      : (size_t) DESCRIPTOR_MAX_SIZE);

  copy = malloc (copy_len + 1);  /* not 0 bytes */
  if (!copy)
    return error_nomem (error);
  memcpy (copy, text, len);

  /* First what stays in its place. */
  if (places.has_long_content_id)
    write_long_content_id (copy, places.long_content_id,
                           change->long_content_id);
  drop_tracking (copy, &places);

  memmove (copy + old.start + new_len, copy + old.end,
           places.text_end - old.end);
  memcpy (copy + old.start, new, new_len);

  /* The text must not run on into something behind its NUL. */
  if (text_end > places.text_end)
    memset (copy + text_end, 0, copy_len - text_end);
  *edited = copy;
  *edited_len = copy_len;
  return 0;
}
