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

bool
charset_is_utf8 (const char *str, size_t len)
{
  const uint8_t *s = (const uint8_t *) str;
  const uint8_t *end = s + len;

  while (s < end) {
    const uint8_t c = *s++;
    /* The range of the second byte excludes overlong forms, surrogates
     * and what lies beyond U+10FFFF (RFC 3629, section 4).
     */
    uint8_t low = 0x80, high = 0xbf;
    size_t more;

    if (c < 0x80)
      continue;
    else if (c >= 0xc2 && c <= 0xdf)
      more = 1;
    else if (c >= 0xe0 && c <= 0xef) {
      more = 2;
      if (c == 0xe0)
        low = 0xa0;
      else if (c == 0xed)
        high = 0x9f;
    }
    else if (c >= 0xf0 && c <= 0xf4) {
      more = 3;
      if (c == 0xf0)
        low = 0x90;
      else if (c == 0xf4)
        high = 0x8f;
    }
    else
      return false;

    if ((size_t) (end - s) < more || *s < low || *s > high)
      return false;
    for (s++, more--; more > 0; s++, more--)
      if (*s < 0x80 || *s > 0xbf)
        return false;
  }
  return true;
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
