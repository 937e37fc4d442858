/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Only the values that must change are overwritten: the text may come
 * from any writer, and holds things that only that writer knows.  What is
 * a line, a key and a value is what descriptor-text.c says.
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "descriptor-edit.h"
#include "descriptor-text.h"

/* With fewer digits there are too few CIDs to tell contents apart. */
#define MIN_CID_DIGITS 4

/* Where the things are.  The first occurrence of a key counts. */
struct places {
  size_t text_end;
  struct span cid, version, long_content_id;    /* values */
  bool has_cid, has_version, has_long_content_id, has_tracking;

  /* The end, with the LF, of the line that a missing CID goes behind; 0 if
   * there is no line.
   */
  size_t before_cid;
};

/* Find the next line that is a pair or, with an empty key, something else.
 * Returns false at the end of the text.
 */
static bool
next_pair (struct span *text, struct span *key, struct span *value)
{
  enum extent_access access;
  struct span line, rest;
  bool is_closed;

  if (!text_next_line (text, &line))
    return false;
  if ((line.len > 0 && line.p[0] == '#') ||
      text_split_extent (line, &access, &rest) ||
      !text_split_pair (line, key, value))
    *key = *value = (struct span) { line.p, 0 };
  *value = text_cut_value (*value, &is_closed);
  return true;
}

static void
keep_first (bool *has, struct span *place, struct span value)
{
  if (!*has)
    *place = value;
  *has = true;
}

static void
find_places (const char *text, size_t len, struct places *places)
{
  struct span rest = text_body (text, len), key, value;

  *places = (struct places) { .text_end = strnlen (text, len) };
  while (next_pair (&rest, &key, &value)) {
    const bool is_version = span_is (key, "version");

    if (places->before_cid == 0 || (is_version && !places->has_version))
      places->before_cid = (size_t) (rest.p - text);
    if (is_version)
      keep_first (&places->has_version, &places->version, value);
    else if (span_is (key, "CID"))
      keep_first (&places->has_cid, &places->cid, value);
    else if (span_is (key, "ddb.longContentID"))
      keep_first (&places->has_long_content_id, &places->long_content_id,
                  value);
    else if (span_is (key, "changeTrackPath"))
      places->has_tracking = true;
  }
}

/* The largest number of so many hex digits. */
static uint32_t
max_cid (size_t digits)
{
  return digits < 8 ? (UINT32_C (1) << 4 * digits) - 1 : UINT32_MAX;
}

/* Has this CID a meaning of its own? */
static bool
is_reserved (uint32_t cid)
{
  return cid == 0 || cid >= UINT32_C (0xfffffffe);
}

/* Can some of the digits of each make such a CID, which the disk has not
 * had before?  With 0xffffffff its snapshots would seem to have no parent.
 */
static bool
can_be_torn (uint32_t old, uint32_t new)
{
  unsigned digits;

  for (digits = 1; digits < 8; ++digits) {
    const uint32_t low = max_cid (digits);
    const uint32_t new_low = (old & ~low) | (new & low);
    const uint32_t new_high = (new & ~low) | (old & low);

    if ((new_low != old && is_reserved (new_low)) ||
        (new_high != old && is_reserved (new_high)))
      return true;
  }
  return false;
}

uint32_t
descriptor_fit_cid (const char *text, size_t len, uint32_t cid)
{
  struct places places;
  uint32_t mask = UINT32_MAX, present = 0;
  bool in_place = false;

  find_places (text, len, &places);
  if (places.has_cid && text_parse_cid (places.cid, &present) &&
      places.cid.len >= MIN_CID_DIGITS) {
    mask = max_cid (places.cid.len);
    in_place = true;
  }
  cid &= mask;
  /* Each step changes each digit.  A new CID is torn into one with a
   * meaning only if its first or its last digit is 0, e or f, so that
   * there are few steps.
   */
  while (is_reserved (cid) || cid == present ||
         (in_place && can_be_torn (present, cid)))
    cid = (cid + mask / 15) & mask;
  return cid;
}

/* Fill a place with the last digits of a number, or with zeroes before
 * its first one.
 */
static void
write_digits (char *to, size_t len, const char *digits)
{
  const size_t n = strlen (digits);

  memset (to, '0', len);
  if (len >= n)
    memcpy (to + len - n, digits, n);
  else
    memcpy (to, digits + n - len, len);
}

static void
write_long_content_id (char *to, size_t len, const uint8_t *id)
{
  char digits[2 * 16 + 1];
  size_t i;

  for (i = 0; i < 16; ++i)
    snprintf (digits + 2 * i, 3, "%02x", id[i]);
  write_digits (to, len, digits);
}

/* Does the version say that changes are tracked? */
static bool
is_version_3 (struct span version)
{
  while (version.len > 0 && version.p[0] == '0')
    version.p++, version.len--;
  return span_is (version, "3");
}

/* Do in 'copy' what keeps the length: the lines become comments, as
 * VMware's own software puts nothing else in their place.
 */
static void
drop_tracking (const char *text, const struct places *places, char *copy)
{
  struct span rest = text_body (text, places->text_end), key, value;

  if (!places->has_tracking &&
      !(places->has_version && is_version_3 (places->version)))
    return;
  if (places->has_version)
    write_digits (copy + (places->version.p - text), places->version.len,
                  "1");
  while (next_pair (&rest, &key, &value))
    if (span_is (key, "changeTrackPath"))
      copy[key.p - text] = '#';
}

/* What stands in the place of the old CID, or is put where there is none,
 * and where.  'new' must have room for a line.
 */
static int
place_cid (const char *text, const struct places *places, uint32_t cid,
           struct span *old, char *new, size_t size,
           struct vmdk_error *error)
{
  const size_t end = places->before_cid;
  uint32_t present;
  size_t digits;

  if (places->has_cid) {
    *old = places->cid;
    digits = old->len;
    if (!text_parse_cid (*old, &present))
      return error_set (error, VMDK_ERROR_CORRUPT, EINVAL,
                        "the descriptor's CID is not 1 to 8 hex digits");
    if (digits < MIN_CID_DIGITS || cid > max_cid (digits))
      digits = 8;
    snprintf (new, size, "%0*" PRIx32, (int) digits, cid);
  }
  else if (end > 0 && text[end-1] == '\n') {
    const bool cr = end > 1 && text[end-2] == '\r';

    *old = (struct span) { text + end, 0 };
    snprintf (new, size, "CID=%08" PRIx32 "%s", cid, cr ? "\r\n" : "\n");
  }
  else {
    *old = (struct span) { text + places->text_end, 0 };
    snprintf (new, size, "\nCID=%08" PRIx32 "\n", cid);
  }
  return 0;
}

int
descriptor_edit (const char *text, size_t len, size_t room,
                 const struct descriptor_change *change,
                 struct edited_descriptor *edited, struct vmdk_error *error)
{
  struct places places;
  struct span old;
  char new[32], *copy;
  size_t new_len, at, text_end, copy_len;

  find_places (text, len, &places);
  if (places.text_end == 0) {
    /* An area that was reserved, and never used. */
    new[0] = '\0';
    old = (struct span) { text, 0 };
  }
  else if (place_cid (text, &places, change->cid, &old, new, sizeof new,
                      error) == -1)
    return -1;
  new_len = strlen (new);
  at = (size_t) (old.p - text);
  text_end = places.text_end + new_len - old.len;
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
    write_long_content_id (copy + (places.long_content_id.p - text),
                           places.long_content_id.len,
                           change->long_content_id);
  drop_tracking (text, &places, copy);

  memmove (copy + at + new_len, copy + at + old.len,
           places.text_end - at - old.len);
  memcpy (copy + at, new, new_len);

  *edited = (struct edited_descriptor) { .text = copy, .len = copy_len };
  if (text_end > places.text_end) {
    /* The text must not run on into something behind its NUL. */
    memset (copy + text_end, 0, copy_len - text_end);
    edited->moved = at;
    edited->moved_end = text_end + (text_end < copy_len);
  }
  return 0;
}
