/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <ctype.h>
#include <iconv.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "charset.h"
#include "vmdkcore.h"

size_t
charset_utf8_length (const char *str, size_t left)
{
  const uint8_t *s = (const uint8_t *) str;
  const uint8_t c = s[0];
  /* The range of the second byte excludes overlong forms, surrogates
   * and what lies beyond U+10FFFF (RFC 3629, section 4).
   */
  uint8_t low = 0x80, high = 0xbf;
  size_t len, i;

  if (c < 0x80)
    return 1;
  else if (c >= 0xc2 && c <= 0xdf)
    len = 2;
  else if (c >= 0xe0 && c <= 0xef) {
    len = 3;
    if (c == 0xe0)
      low = 0xa0;
    else if (c == 0xed)
      high = 0x9f;
  }
  else if (c >= 0xf0 && c <= 0xf4) {
    len = 4;
    if (c == 0xf0)
      low = 0x90;
    else if (c == 0xf4)
      high = 0x8f;
  }
  else
    return 0;

  if (left < len || s[1] < low || s[1] > high)
    return 0;
  for (i = 2; i < len; ++i)
    if (s[i] < 0x80 || s[i] > 0xbf)
      return 0;
  return len;
}

bool
charset_is_control (const char *str, size_t len)
{
  const uint8_t *s = (const uint8_t *) str;

  switch (len) {
  case 0:
  case 1:
    return s[0] < 0x20 || (s[0] >= 0x7f && s[0] <= 0x9f);
  case 2:
    return s[0] == 0xc2 && s[1] <= 0x9f;
  case 3:
    return s[0] == 0xe2 && ((s[1] == 0x80 && s[2] >= 0xa8 && s[2] <= 0xae) ||
                            (s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9));
  default:
    return false;
  }
}

bool
charset_is_utf8 (const char *s, size_t len)
{
  const char *end = s + len;

  while (s < end) {
    const size_t n = charset_utf8_length (s, (size_t) (end - s));

    if (n == 0)
      return false;
    s += n;
  }
  return true;
}

void
vmdk_make_utf8 (char *text)
{
  size_t left = strlen (text);

  while (left > 0) {
    size_t n = charset_utf8_length (text, left);

    if (n == 0) {
      *text = '?';
      n = 1;
    }
    text += n;
    left -= n;
  }
}

/* Open a converter.  The name comes from the image: only what can be
 * the name of a character set gets to iconv, which gives a meaning to
 * other characters.
 */
static iconv_t
open_converter (const char *encoding)
{
  char name[48];
  size_t i;

  if (strncasecmp (encoding, "windows-", 8) == 0)
    snprintf (name, sizeof name, "CP%s", encoding + 8);
  else
    snprintf (name, sizeof name, "%s", encoding);
  if (name[0] == '\0' || strlen (encoding) >= sizeof name)
    return (iconv_t) -1;
  for (i = 0; name[i]; ++i)
    if (!isalnum ((unsigned char) name[i]) && !strchr ("-_.:", name[i]))
      return (iconv_t) -1;
  return iconv_open ("UTF-8", name);
}

char *
charset_to_utf8 (const char *encoding, const char *s, size_t len)
{
  const iconv_t cd = open_converter (encoding);
  /* No charset needs more than 4 bytes of UTF-8 for one of its own,
   * beside a few that combine: they fail here and are used as is.
   */
  size_t space = 4 * len;
  char *in = (char *) s, *result, *out;

  if (cd == (iconv_t) -1)
    return NULL;
  result = out = malloc (space + 1);
  if (result) {
    if (iconv (cd, &in, &len, &out, &space) == (size_t) -1 || len != 0 ||
        iconv (cd, NULL, NULL, &out, &space) == (size_t) -1) {
      free (result);
      result = NULL;
    }
    else
      *out = '\0';
  }
  iconv_close (cd);
  return result;
}
