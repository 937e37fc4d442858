/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "descriptor-text.h"

static const struct {
  const char *word;
  enum extent_access access;
} access_words[] = {
  { "RW", ACCESS_RW },
  { "RDONLY", ACCESS_RDONLY },
  { "NOACCESS", ACCESS_NOACCESS },
};

bool
text_is_blank (char c)
{
  return c == ' ' || c == '\t' || c == '\r';
}

struct span
span_trim (struct span s)
{
  while (s.len > 0 && text_is_blank (s.p[0]))
    s.p++, s.len--;
  while (s.len > 0 && text_is_blank (s.p[s.len-1]))
    s.len--;
  return s;
}

bool
span_is (struct span s, const char *word)
{
  return s.len == strlen (word) && strncasecmp (s.p, word, s.len) == 0;
}

bool
span_starts (struct span s, const char *word)
{
  return s.len >= strlen (word) && strncasecmp (s.p, word, strlen (word)) == 0;
}

struct span
text_body (const char *text, size_t len)
{
  struct span s = { text, strnlen (text, len) };

  if (s.len >= 3 && memcmp (s.p, "\xef\xbb\xbf", 3) == 0)
    s.p += 3, s.len -= 3;
  return s;
}

bool
text_next_line (struct span *text, struct span *line)
{
  const char *lf;

  if (text->len == 0)
    return false;
  lf = memchr (text->p, '\n', text->len);
  line->p = text->p;
  line->len = lf ? (size_t) (lf - text->p) : text->len;
  text->p += line->len + (lf != NULL);
  text->len -= line->len + (lf != NULL);
  *line = span_trim (*line);
  return true;
}

struct span
text_next_word (struct span *line)
{
  struct span word;

  *line = span_trim (*line);
  word.p = line->p;
  word.len = 0;
  while (word.len < line->len && !text_is_blank (word.p[word.len]))
    word.len++;
  line->p += word.len;
  line->len -= word.len;
  return word;
}

bool
text_split_extent (struct span line, enum extent_access *access,
                   struct span *rest)
{
  const struct span word = text_next_word (&line);
  size_t i;

  *rest = line;
  for (i = 0; i < sizeof access_words / sizeof access_words[0]; ++i)
    if (rest->len > 0 && span_is (word, access_words[i].word)) {
      *access = access_words[i].access;
      return true;
    }
  return false;
}

bool
text_split_pair (struct span line, struct span *key, struct span *value)
{
  const char *eq = memchr (line.p, '=', line.len);
  size_t i;

  if (!eq)
    return false;
  key->p = line.p;
  key->len = (size_t) (eq - line.p);
  *key = span_trim (*key);
  value->p = eq + 1;
  value->len = line.len - (size_t) (eq + 1 - line.p);
  *value = span_trim (*value);
  for (i = 0; i < key->len; ++i)
    if (!isalnum ((unsigned char) key->p[i]) && !strchr ("._-", key->p[i]))
      return false;
  return key->len > 0;
}

struct span
text_cut_value (struct span value, bool *is_closed)
{
  const char *quote;
  size_t i;

  *is_closed = true;
  if (value.len > 0 && value.p[0] == '"') {
    value.p++, value.len--;
    quote = memchr (value.p, '"', value.len);
    *is_closed = quote != NULL;
    if (quote)
      value.len = (size_t) (quote - value.p);
    return value;
  }
  for (i = 1; i < value.len; ++i)
    if (value.p[i] == '#' && text_is_blank (value.p[i-1]))
      value.len = i;
  return span_trim (value);
}

bool
text_parse_cid (struct span s, uint32_t *cid)
{
  size_t i;

  if (s.len == 0 || s.len > 8)
    return false;
  *cid = 0;
  for (i = 0; i < s.len; ++i) {
    const int c = tolower ((unsigned char) s.p[i]);

    if (!isxdigit (c))
      return false;
    *cid = *cid << 4 | (uint32_t) (isdigit (c) ? c - '0' : c - 'a' + 10);
  }
  return true;
}
