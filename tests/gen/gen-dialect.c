/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Dialects: the same descriptor as other writers, or other hands, would
 * have written it.  All of them must be understood.
 */

#include <config.h>

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen.h"

/* A line of the descriptor, without its line end. */
enum line_type { LINE_COMMENT, LINE_PAIR, LINE_EXTENT, LINE_EMPTY };

static enum line_type
line_type (const char *line)
{
  if (*line == '\0')
    return LINE_EMPTY;
  if (*line == '#')
    return LINE_COMMENT;
  if (strncmp (line, "RW ", 3) == 0 || strncmp (line, "RDONLY ", 7) == 0 ||
      strncmp (line, "NOACCESS ", 9) == 0)
    return LINE_EXTENT;
  return LINE_PAIR;
}

/* Send every line through a function that writes it anew. */
typedef void line_fn (const struct link *l, enum line_type type,
                      const char *line, struct buf *out);

static void
each_line (const struct link *l, struct buf *text, line_fn *fn)
{
  struct buf out = { .len = 0 };
  char *rest = text->data, *line;

  while ((line = strsep (&rest, "\n")) != NULL && rest != NULL)
    fn (l, line_type (line), line, &out);
  buf_free (text);
  *text = out;
}

static bool
has_key (const char *line, const char *key)
{
  size_t len = strlen (key);

  return strncmp (line, key, len) == 0 && line[len] == '=';
}

/* Put TEXT in front of the line that begins with PREFIX. */
static void
insert_before (struct buf *t, const char *prefix, const char *text)
{
  char *at = t->data, *next;

  while (strncmp (at, prefix, strlen (prefix)) != 0) {
    next = strchr (at, '\n');
    if (next == NULL)
      die ("the descriptor has no line '%s'", prefix);
    at = next + 1;
  }
  buf_splice (t, (size_t) (at - t->data), 0, text);
}

static void
replace_first_line (struct buf *t, const char *text)
{
  buf_splice (t, 0, (size_t) (strchr (t->data, '\n') - t->data), text);
}

/* What cannot be said in the table below. */

static void
line_crlf (const struct link *l, enum line_type type, const char *line,
           struct buf *out)
{
  (void) l;
  (void) type;
  buf_printf (out, "%s\r\n", line);
}

static void
line_uppercase_keys (const struct link *l, enum line_type type,
                     const char *line, struct buf *out)
{
  bool key = type == LINE_PAIR;

  (void) l;
  for (; *line; line++) {
    char c = *line;

    if (c == '=')
      key = false;
    if (key)
      c = (char) toupper ((unsigned char) c);
    buf_add (out, &c, 1);
  }
  buf_printf (out, "\n");
}

/* Up to the first quote or equals sign: the words that are not names. */
static void
line_mixed_case (const struct link *l, enum line_type type,
                 const char *line, struct buf *out)
{
  bool word = type == LINE_PAIR || type == LINE_EXTENT;
  size_t i;

  (void) l;
  for (i = 0; line[i]; i++) {
    char c = line[i];

    if (c == '=' || c == '"')
      word = false;
    if (word)
      c = (char) (i % 2 ? tolower ((unsigned char) c)
                  : toupper ((unsigned char) c));
    buf_add (out, &c, 1);
  }
  buf_printf (out, "\n");
}

static void
line_lower_case_access (const struct link *l, enum line_type type,
                        const char *line, struct buf *out)
{
  bool word = type == LINE_EXTENT;

  (void) l;
  for (; *line; line++) {
    char c = *line;

    if (c == '"')
      word = false;
    if (word)
      c = (char) tolower ((unsigned char) c);
    buf_add (out, &c, 1);
  }
  buf_printf (out, "\n");
}

/* White space of the kind GAP wherever it may stand. */
static void
respace (enum line_type type, const char *line, const char *gap,
         struct buf *out)
{
  bool quoted = false, equals = false;

  if (type == LINE_PAIR || type == LINE_EXTENT)
    buf_printf (out, "%s", gap);
  for (; *line; line++) {
    if (*line == '"')
      quoted = !quoted;
    if (type == LINE_EXTENT && *line == ' ' && !quoted)
      buf_printf (out, "%s", gap);
    else if (type == LINE_PAIR && *line == '=' && !equals) {
      buf_printf (out, "%s=%s", gap, gap);
      equals = true;
    }
    else if (type != LINE_PAIR || *line != ' ' || quoted)
      buf_add (out, line, 1);
  }
  if (type == LINE_PAIR || type == LINE_EXTENT)
    buf_printf (out, "%s", gap);
  buf_printf (out, "\n");
}

static void
line_tabs (const struct link *l, enum line_type type, const char *line,
           struct buf *out)
{
  (void) l;
  respace (type, line, "\t", out);
}

static void
line_extra_spaces (const struct link *l, enum line_type type,
                   const char *line, struct buf *out)
{
  (void) l;
  respace (type, line, "   ", out);
}

static void
no_final_newline (const struct link *l, struct buf *t)
{
  (void) l;
  t->data[--t->len] = '\0';
}

static void
line_trailing_comment (const struct link *l, enum line_type type,
                       const char *line, struct buf *out)
{
  (void) l;
  buf_printf (out, "%s%s\n", line, type == LINE_PAIR ? " # \"note\"" : "");
}

static void
line_trailing_blank (const struct link *l, enum line_type type,
                     const char *line, struct buf *out)
{
  (void) l;
  (void) type;
  buf_printf (out, "%s \n", line);
}

static void
pad_with_nul (struct buf *t)
{
  do
    buf_add (t, "", 1);
  while (t->len % SECTOR != 0);
}

static void
nul_padded (const struct link *l, struct buf *t)
{
  (void) l;
  pad_with_nul (t);
}

static void
text_after_nul (const struct link *l, struct buf *t)
{
  (void) l;
  buf_add (t, "", 1);
  buf_printf (t, "CID=12345678\nparentCID=12345678\n"
              "parentFileNameHint=\"after-nul.vmdk\"\n"
              "RW 2048 FLAT \"after-nul-flat.vmdk\" 0\n");
}

static void
bom (const struct link *l, struct buf *t)
{
  (void) l;
  buf_splice (t, 0, 0, "\xef\xbb\xbf");
}

static void
no_ddb (const struct link *l, struct buf *t)
{
  char *at = strstr (t->data, "\n# The Disk Data Base");

  (void) l;
  if (at) {
    t->len = (size_t) (at - t->data);
    *at = '\0';
  }
}

static void
no_first_line (const struct link *l, struct buf *t)
{
  (void) l;
  buf_splice (t, 0, (size_t) (strchr (t->data, '\n') + 1 - t->data), "");
}

static void
encoding_first (const struct link *l, struct buf *t)
{
  char *line = xasprintf ("encoding=\"%s\"\n",
                          l->opt->encoding ? l->opt->encoding : "UTF-8");

  buf_splice (t, 0, 0, line);
  free (line);
}

static void
line_no_encoding (const struct link *l, enum line_type type,
                  const char *line, struct buf *out)
{
  (void) l;
  (void) type;
  if (!has_key (line, "encoding"))
    buf_printf (out, "%s\n", line);
}

static void
line_uppercase_cid (const struct link *l, enum line_type type,
                    const char *line, struct buf *out)
{
  (void) type;
  if (has_key (line, "CID"))
    buf_printf (out, "CID=%08" PRIX32 "\n", l->cid);
  else if (has_key (line, "parentCID"))
    buf_printf (out, "parentCID=%08" PRIX32 "\n", l->parent_cid);
  else
    buf_printf (out, "%s\n", line);
}

static void
line_unpadded_cid (const struct link *l, enum line_type type,
                   const char *line, struct buf *out)
{
  (void) type;
  if (has_key (line, "CID"))
    buf_printf (out, "CID=%" PRIx32 "\n", l->cid);
  else if (has_key (line, "parentCID"))
    buf_printf (out, "parentCID=%" PRIx32 "\n", l->parent_cid);
  else
    buf_printf (out, "%s\n", line);
}

static void
line_parent_cid_first (const struct link *l, enum line_type type,
                       const char *line, struct buf *out)
{
  (void) type;
  if (has_key (line, "CID"))
    buf_printf (out, "parentCID=%08" PRIx32 "\n%s\n", l->parent_cid, line);
  else if (!has_key (line, "parentCID"))
    buf_printf (out, "%s\n", line);
}

static void
line_unquoted (const struct link *l, enum line_type type, const char *line,
               struct buf *out)
{
  bool value = false;

  (void) l;
  for (; *line; line++) {
    if (*line == '=' && type == LINE_PAIR)
      value = true;
    if (*line != '"' || !value)
      buf_add (out, line, 1);
  }
  buf_printf (out, "\n");
}

static void
line_no_create_type (const struct link *l, enum line_type type,
                     const char *line, struct buf *out)
{
  (void) l;
  (void) type;
  if (!has_key (line, "createType"))
    buf_printf (out, "%s\n", line);
}

static void
line_descriptor_version_2 (const struct link *l, enum line_type type,
                           const char *line, struct buf *out)
{
  (void) l;
  (void) type;
  buf_printf (out, "%s\n", has_key (line, "version") ? "version=2" : line);
}

static void
line_descriptor_version_3 (const struct link *l, enum line_type type,
                           const char *line, struct buf *out)
{
  (void) l;
  (void) type;
  buf_printf (out, "%s\n", has_key (line, "version") ? "version=3" : line);
}

static bool
is_extent_of (enum line_type type, const char *line, const char *word)
{
  return type == LINE_EXTENT && strstr (line, word) != NULL;
}

static void
line_no_flat_offset (const struct link *l, enum line_type type,
                     const char *line, struct buf *out)
{
  (void) l;
  if (is_extent_of (type, line, " FLAT \"") &&
      strcmp (strrchr (line, ' '), " 0") == 0)
    buf_printf (out, "%.*s\n", (int) strlen (line) - 2, line);
  else
    buf_printf (out, "%s\n", line);
}

static void
line_offset_zero (const struct link *l, enum line_type type,
                  const char *line, struct buf *out)
{
  (void) l;
  buf_printf (out, "%s%s\n", line, type == LINE_EXTENT &&
              line[strlen (line) - 1] == '"' ? " 0" : "");
}

static void
line_device_words (const struct link *l, enum line_type type,
                   const char *line, struct buf *out)
{
  (void) l;
  buf_printf (out, "%s%s\n", line, is_extent_of (type, line, " FLAT \"") ?
              " partitionUUID deviceid" : "");
}

static const struct dialect {
  const char *name;
  const char *what;
  line_fn *line;
  void (*text) (const struct link *l, struct buf *t);
  const char *first_line;       /* instead of the usual one */
  const char *before;           /* the line that begins with this: */
  const char *insert;           /* insert these lines */
} dialects[] = {
  { "vmware", "VMware's template (the default)", .line = NULL },
  { "qemu", "QEMU's template, unpadded CID, empty area in split extents",
    .line = NULL },
  { "virtualbox", "VirtualBox's template, ddb.uuid.* keys", .line = NULL },
  { "crlf", "lines end in CR LF", .line = line_crlf },
  { "uppercase-keys", "keys in upper case", .line = line_uppercase_keys },
  { "mixed-case", "keys, access and type words in mIxEd case",
    .line = line_mixed_case },
  { "lower-case-access", "access and type words in lower case",
    .line = line_lower_case_access },
  { "tabs", "tabs wherever white space may stand", .line = line_tabs },
  { "extra-spaces", "blanks wherever white space may stand",
    .line = line_extra_spaces },
  { "no-final-newline", "the last line has no end",
    .text = no_final_newline },
  { "blank-first", "a blank line before version",
    .before = "version=", .insert = "\n" },
  { "comment-cid", "comments with other CIDs above CID", .before = "CID=",
    .insert = "# oldCID=99\n# CID=12345678\n#parentCID=12345678\n" },
  { "trailing-comment", "a comment behind every value",
    .line = line_trailing_comment },
  { "trailing-blank", "a blank behind every line (ESXi's export)",
    .line = line_trailing_blank },
  { "nul-padded", "padded with NUL to whole sectors", .text = nul_padded },
  { "text-after-nul", "other lines behind a NUL", .text = text_after_nul },
  { "bom", "a UTF-8 byte order mark", .text = bom },
  { "no-ddb", "ends with the extents", .text = no_ddb },
  { "stream-converter-first-line", "a first line of its own",
    .first_line = "# Description file created by VMDK stream converter" },
  { "first-line-2", "# Disk Descriptor File",
    .first_line = "# Disk Descriptor File" },
  { "first-line-3", "#Disk Descriptor File",
    .first_line = "#Disk Descriptor File" },
  { "first-line-4", "#Disk DescriptorFile",
    .first_line = "#Disk DescriptorFile" },
  { "first-line-lower-case", "the first line in lower case",
    .first_line = "# disk descriptorfile" },
  { "no-first-line", "begins with version=1", .text = no_first_line },
  { "duplicate-keys", "wrong second values of the header keys",
    .before = "# Extent description",
    .insert = "CID=12345678\nparentCID=12345678\nversion=3\n"
    "createType=\"fullDevice\"\nencoding=\"windows-1252\"\n" },
  { "encoding-first", "encoding above the first line (KIWI)",
    .text = encoding_first },
  { "no-encoding", "no encoding key", .line = line_no_encoding },
  { "uppercase-cid", "CIDs in upper case", .line = line_uppercase_cid },
  { "unpadded-cid", "CIDs without leading zeros",
    .line = line_unpadded_cid },
  { "parent-cid-first", "parentCID above CID",
    .line = line_parent_cid_first },
  { "unquoted", "no quotes around values", .line = line_unquoted },
  { "no-create-type", "no createType", .line = line_no_create_type },
  { "descriptor-version-2", "version=2",
    .line = line_descriptor_version_2 },
  { "change-tracking", "version=3 and a change tracking file",
    .line = line_descriptor_version_3, .before = "# The ",
    .insert = "# Change Tracking File\n"
    "changeTrackPath=\"disk-ctk.vmdk\"\n\n" },
  { "native-snapshot-no", "isNativeSnapshot=\"no\"",
    .before = "createType=", .insert = "isNativeSnapshot=\"no\"\n" },
  { "ddb-first", "ddb keys above the extents",
    .before = "# Extent description",
    .insert = "ddb.deletable = \"true\"\nddb.unknownKey = \"\"\n" },
  { "junk-lines", "lines that mean nothing",
    .before = "# Extent description",
    .insert = "this line says nothing\nRWX\n=\nunknown.key=\"1\"\n" },
  { "empty-zero-line", "VirtualBox's NOACCESS 0 ZERO",
    .before = "# The ", .insert = "NOACCESS 0 ZERO \n" },
  { "no-flat-offset", "FLAT lines without the offset 0",
    .line = line_no_flat_offset },
  { "offset-zero", "an offset 0 on every line with a name",
    .line = line_offset_zero },
  { "device-words", "partition UUID and device id on FLAT lines",
    .line = line_device_words },
  { "hash-in-name", "a # in the names of extents", .line = NULL },
};
#define NR_DIALECTS (sizeof dialects / sizeof dialects[0])

bool
dialect_is (const struct options *opt, const char *name)
{
  return strcmp (opt->dialect, name) == 0;
}

static const struct dialect *
find (const char *name)
{
  size_t i;

  for (i = 0; i < NR_DIALECTS; i++)
    if (strcmp (dialects[i].name, name) == 0)
      return &dialects[i];
  die ("there is no dialect '%s'; see --list-dialects", name);
}

void
dialect_check (const char *name)
{
  (void) find (name);
}

void
dialect_apply (const struct link *l, struct buf *t)
{
  const struct dialect *d = find (l->opt->dialect);

  if (d->line)
    each_line (l, t, d->line);
  if (d->first_line)
    replace_first_line (t, d->first_line);
  if (d->insert)
    insert_before (t, d->before, d->insert);
  if (d->text)
    d->text (l, t);
}

void
dialect_list (void)
{
  size_t i;

  for (i = 0; i < NR_DIALECTS; i++)
    printf ("%s\t%s\n", dialects[i].name, dialects[i].what);
}

const char *
dialect_random (uint64_t *state)
{
  return dialects[prng_below (state, NR_DIALECTS)].name;
}
