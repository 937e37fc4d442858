/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Read loosely: case, blanks and line ends do not matter, what is not
 * known is passed over.  But nothing is passed over that could be an
 * extent, since everything behind it would be shifted.
 */

#include <config.h>

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "charset.h"
#include "descriptor-text.h"

struct parser {
  struct descriptor *d;
  const char *name;
  const struct logger *logger;
  struct vmdk_error *error;
  unsigned line;
  size_t allocated_extents;
  bool has_version, has_parent_cid;
  unsigned nr_noted;
};

/* Of how many odd lines a log tells: who made the text chose how many there
 * are.
 */
#define MAX_NOTED 100

/* Is one more to be told of? */
static bool
is_noted (struct parser *ps)
{
  if (ps->nr_noted > MAX_NOTED)
    return false;
  if (ps->nr_noted++ < MAX_NOTED)
    return true;
  logger_note (ps->logger, "%s: descriptor line %u: this and more lines are "
               "odd, and not told of", ps->name, ps->line);
  return false;
}

static const struct {
  const char *word;
  enum extent_type type;
} type_words[] = {
  { "FLAT", EXTENT_FLAT },
  { "SPARSE", EXTENT_SPARSE },
  { "ZERO", EXTENT_ZERO },
  { "VMFS", EXTENT_VMFS },
  { "VMFSSPARSE", EXTENT_VMFSSPARSE },
  { "SESPARSE", EXTENT_SESPARSE },
  { "VMFSRDM", EXTENT_VMFSRDM },
  { "VMFSRAW", EXTENT_VMFSRAW },
};

#define ARRAY_SIZE(a) (sizeof (a) / sizeof (a)[0])

static bool
is_digits (struct span s)
{
  size_t i;

  for (i = 0; i < s.len; ++i)
    if (!isdigit ((unsigned char) s.p[i]))
      return false;
  return s.len > 0;
}

/* Parse decimal digits and nothing else. */
static bool
parse_number (struct span s, uint64_t *r)
{
  size_t i;

  *r = 0;
  for (i = 0; i < s.len; ++i)
    if (!mul_u64 (*r, 10, r) || !add_u64 (*r, (uint64_t) (s.p[i] - '0'), r))
      return false;
  return is_digits (s);
}

static int __attribute__ ((format (printf, 2, 3)))
syntax_error (struct parser *ps, const char *fmt, ...)
{
  va_list args;
  char reason[256];

  va_start (args, fmt);
  vsnprintf (reason, sizeof reason, fmt, args);
  va_end (args);
  return error_set (ps->error, VMDK_ERROR_CORRUPT, EINVAL,
                    "%s: descriptor line %u: %s",
                    ps->name, ps->line, reason);
}

/* A span as arguments of "%.*s", not too long for a message. */
#define SPAN_ARGS(s) (int) min_u64 ((s).len, 100), (s).p

static char *
span_dup (struct parser *ps, struct span s)
{
  char *r = strndup (s.p, s.len);

  if (!r)
    error_nomem (ps->error);
  return r;
}

/* Parse the name and offset that follow an extent's type. */
static int
parse_file (struct parser *ps, struct span rest, struct extent_line *e)
{
  struct span name, word;

  rest = span_trim (rest);
  if (rest.len > 0 && rest.p[0] == '"') {
    const char *quote;

    name.p = rest.p + 1;
    quote = memchr (name.p, '"', rest.len - 1);
    if (!quote)
      return syntax_error (ps, "the quote before the file name "
                           "is not closed");
    name.len = (size_t) (quote - name.p);
    rest.p = quote + 1;
    rest.len -= name.len + 2;
  }
  else
    name = text_next_word (&rest);
  if (name.len == 0)
    return syntax_error (ps, "the extent names no file");

  /* Device extents may carry two more words, which mean nothing here. */
  word = text_next_word (&rest);
  if (word.len > 0 && word.p[0] != '#' && !parse_number (word, &e->offset))
    return syntax_error (ps, "'%.*s' is not an offset in sectors",
                         SPAN_ARGS (word));
  if (e->offset > MAX_SECTORS)
    return syntax_error (ps, "the offset %" PRIu64 " is too large",
                         e->offset);

  e->name = span_dup (ps, name);
  return e->name ? 0 : -1;
}

static int
append_extent (struct parser *ps, const struct extent_line *e)
{
  struct descriptor *d = ps->d;

  if (d->nr_extents == DESCRIPTOR_MAX_EXTENTS)
    return syntax_error (ps, "more than %d extents", DESCRIPTOR_MAX_EXTENTS);
  if (d->nr_extents == ps->allocated_extents) {
    const size_t n = ps->allocated_extents ? 2 * ps->allocated_extents : 16;
    struct extent_line *p = reallocarray (d->extents, n, sizeof *p);

    if (!p)
      return error_nomem (ps->error);
    d->extents = p;
    ps->allocated_extents = n;
  }
  d->extents[d->nr_extents++] = *e;
  return 0;
}

static int
parse_extent (struct parser *ps, enum extent_access access,
              struct span rest)
{
  struct extent_line e = { .access = access, .line = ps->line };
  const struct span sectors = text_next_word (&rest);
  const struct span type = text_next_word (&rest);
  size_t i;

  if (!parse_number (sectors, &e.sectors) || e.sectors > MAX_SECTORS)
    return syntax_error (ps, "'%.*s' is not a number of sectors",
                         SPAN_ARGS (sectors));
  for (i = 0; i < ARRAY_SIZE (type_words); ++i)
    if (span_is (type, type_words[i].word))
      break;
  if (i == ARRAY_SIZE (type_words))
    return syntax_error (ps, "'%.*s' is not a known type of extent",
                         SPAN_ARGS (type));
  e.type = type_words[i].type;

  if (e.type == EXTENT_ZERO) {
    /* VirtualBox writes "NOACCESS 0 ZERO" into an empty descriptor. */
    return e.sectors == 0 ? 0 : append_extent (ps, &e);
  }
  if (e.sectors == 0)
    return syntax_error (ps, "the extent has no sectors");
  if (parse_file (ps, rest, &e) == -1)
    return -1;
  if (append_extent (ps, &e) == -1) {
    free (e.name);
    return -1;
  }
  /* NOLINTNEXTLINE(clang-analyzer-*): the name is in the list now */
  return 0;
}

/* Does a key say that the extents hold something else than the plain
 * sectors of the disk?
 */
static bool
is_transforming (struct span key, struct span value)
{
  if (span_is (key, "isNativeSnapshot"))
    return span_is (value, "yes");
  if (value.len == 0)
    return false;
  return span_starts (key, "encryption") ||
    span_starts (key, "ddb.encryption") ||
    span_starts (key, "ddb.crypto") ||
    span_is (key, "ddb.iofilters") ||
    span_is (key, "ddb.sidecars") ||
    span_starts (key, "ddb.native") ||
    span_is (key, "ddb.objectParentUri");
}

static void
say_duplicate (struct parser *ps, const char *key)
{
  if (is_noted (ps))
    logger_note (ps->logger, "%s: descriptor line %u: %s appears again; "
                 "the first one counts", ps->name, ps->line, key);
}

static int
set_string (struct parser *ps, char **s, const char *key,
            struct span value)
{
  if (*s) {
    say_duplicate (ps, key);
    return 0;
  }
  *s = span_dup (ps, value);
  return *s ? 0 : -1;
}

static int
set_cid (struct parser *ps, bool *has, uint32_t *cid, const char *key,
         struct span value)
{
  if (*has) {
    say_duplicate (ps, key);
    return 0;
  }
  if (!text_parse_cid (value, cid))
    return syntax_error (ps, "%s '%.*s' is not 1 to 8 hex digits", key,
                         SPAN_ARGS (value));
  *has = true;
  return 0;
}

static int
set_version (struct parser *ps, struct span value)
{
  uint64_t n;

  if (ps->has_version) {
    say_duplicate (ps, "version");
    return 0;
  }
  if (!parse_number (value, &n) || n < 1 || n > 3)
    return error_set (ps->error, VMDK_ERROR_UNSUPPORTED, ENOTSUP,
                      "%s: descriptor version '%.*s' is not supported "
                      "(1 to 3 are)", ps->name, SPAN_ARGS (value));
  ps->d->version = (unsigned) n;
  ps->has_version = true;
  return 0;
}

/* The size of the sectors that the guest shall see.  It has no influence on
 * the files.
 */
static void
set_sector_size (struct parser *ps, struct span value)
{
  uint64_t n;

  if (ps->d->sector_size != 0)
    say_duplicate (ps, "ddb.logicalSectorSize");
  else if (!parse_number (value, &n) || n < SECTOR_SIZE || n > 65536 ||
           (n & (n - 1)) != 0) {
    if (is_noted (ps))
      logger_note (ps->logger, "%s: descriptor line %u: ignored, a sector "
                   "does not have '%.*s' bytes",
                   ps->name, ps->line, SPAN_ARGS (value));
  }
  else
    ps->d->sector_size = (uint32_t) n;
}

static int
parse_pair (struct parser *ps, struct span key, struct span value)
{
  struct descriptor *d = ps->d;
  bool is_closed;

  value = text_cut_value (value, &is_closed);
  if (!is_closed && is_noted (ps))
    logger_note (ps->logger, "%s: descriptor line %u: "
                 "the quote is not closed", ps->name, ps->line);

  if (!d->transformed_by && is_transforming (key, value)) {
    d->transformed_by = span_dup (ps, key);
    return d->transformed_by ? 0 : -1;
  }
  if (span_is (key, "version"))
    return set_version (ps, value);
  if (span_is (key, "CID"))
    return set_cid (ps, &d->has_cid, &d->cid, "CID", value);
  if (span_is (key, "parentCID"))
    return set_cid (ps, &ps->has_parent_cid, &d->parent_cid, "parentCID",
                    value);
  if (span_is (key, "createType"))
    return set_string (ps, &d->create_type, "createType", value);
  if (span_is (key, "parentFileNameHint"))
    return set_string (ps, &d->parent_hint, "parentFileNameHint", value);
  if (span_is (key, "encoding"))
    return set_string (ps, &d->encoding, "encoding", value);
  if (span_is (key, "ddb.logicalSectorSize"))
    set_sector_size (ps, value);
  return 0;
}

static int
parse_line (struct parser *ps, struct span line)
{
  enum extent_access access;
  struct span rest, word, key, value;

  if (line.len == 0 || line.p[0] == '#')
    return 0;
  if (text_split_extent (line, &access, &rest))
    return parse_extent (ps, access, rest);
  if (text_split_pair (line, &key, &value))
    return parse_pair (ps, key, value);

  /* Anything of the shape of an extent must not be dropped. */
  rest = line;
  word = text_next_word (&rest);
  if (is_digits (text_next_word (&rest)))
    return syntax_error (ps, "'%.*s' is not a known access word",
                         SPAN_ARGS (word));
  if (is_noted (ps))
    logger_note (ps->logger, "%s: descriptor line %u: "
                 "ignored, it is neither a key nor an extent",
                 ps->name, ps->line);
  return 0;
}

/* Names that are not UTF-8 are in the encoding that the descriptor
 * states, which may come after them.
 */
static char *
convert_name (const struct descriptor *d, const char *name)
{
  if (!name || !d->encoding || charset_is_utf8 (name, strlen (name)))
    return NULL;
  return charset_to_utf8 (d->encoding, name, strlen (name));
}

static void
convert_names (struct descriptor *d)
{
  size_t i;

  d->parent_hint_utf8 = convert_name (d, d->parent_hint);
  for (i = 0; i < d->nr_extents; ++i)
    d->extents[i].utf8_name = convert_name (d, d->extents[i].name);
}

int
descriptor_parse (const char *text, size_t len, const char *name,
                  const struct logger *logger,
                  struct descriptor *descriptor, struct vmdk_error *error)
{
  struct parser ps = {
    .d = descriptor, .name = name, .logger = logger, .error = error,
  };
  struct span rest = text_body (text, len), line;

  *descriptor = (struct descriptor) {
    .version = 1, .parent_cid = DESCRIPTOR_NO_PARENT,
  };
  while (text_next_line (&rest, &line)) {
    ps.line++;
    if (parse_line (&ps, line) == -1) {
      descriptor_free (descriptor);
      return -1;
    }
  }
  convert_names (descriptor);
  return 0;
}

void
descriptor_free (struct descriptor *d)
{
  size_t i;

  for (i = 0; i < d->nr_extents; ++i) {
    free (d->extents[i].name);
    free (d->extents[i].utf8_name);
  }
  free (d->extents);
  free (d->create_type);
  free (d->parent_hint);
  free (d->parent_hint_utf8);
  free (d->encoding);
  free (d->transformed_by);
  *d = (struct descriptor) { 0 };
}

/* Is this one of the first lines that every writer of VMware's school
 * uses?
 */
static bool
is_title (struct span line)
{
  static const char *const titles[] = {
    "# Disk DescriptorFile",
    "# Disk Descriptor File",
    "#Disk Descriptor File",
    "#Disk DescriptorFile",
  };
  size_t i;

  for (i = 0; i < ARRAY_SIZE (titles); ++i)
    if (span_is (line, titles[i]))
      return true;
  return false;
}

bool
descriptor_is_text (const char *text, size_t len)
{
  struct span rest = text_body (text, min_u64 (len, 10 * 1024)), line;
  struct span key, value, behind;
  enum extent_access access;
  bool first = true, has_version = false, has_extent = false;
  size_t i;

  for (i = 0; i < rest.len; ++i)
    if ((unsigned char) rest.p[i] < 0x20 && !strchr ("\t\r\n", rest.p[i]))
      return false;
  while (text_next_line (&rest, &line)) {
    if (first && is_title (line))
      return true;
    first = false;
    if (text_split_pair (line, &key, &value) && span_is (key, "version"))
      has_version = true;
    if (text_split_extent (line, &access, &behind))
      has_extent = true;
  }
  return has_version && has_extent;
}
