/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Damage to the text of the descriptor. */

#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen.h"

/* The beginning of the first line that starts with PREFIX. */
static char *
find_line (const struct buf *t, const char *prefix)
{
  char *at = t->data;

  while (strncmp (at, prefix, strlen (prefix)) != 0) {
    at = strchr (at, '\n');
    if (at == NULL)
      die ("this damage needs a line '%s' in the descriptor", prefix);
    at++;
  }
  return at;
}

static void
insert_line (struct buf *t, const char *prefix, const char *line)
{
  buf_splice (t, (size_t) (find_line (t, prefix) - t->data), 0, line);
}

static void
replace_line (struct buf *t, const char *prefix, const char *line)
{
  char *at = find_line (t, prefix);

  buf_splice (t, (size_t) (at - t->data), strcspn (at, "\n"), line);
}

/* Replace a word of the first extent line: 0 is the access word. */
static void
replace_word (struct buf *t, unsigned word, const char *text)
{
  char *at = find_line (t, "RW ");

  for (; word > 0; word--)
    at += strcspn (at, " \n") + 1;
  buf_splice (t, (size_t) (at - t->data), strcspn (at, " \n"), text);
}

static void
no_extent_line (struct link *l, struct buf *t)
{
  size_t i;

  for (i = 0; i < l->nr_extents; i++)
    replace_line (t, "RW ", "");
}

static void
access_unknown (struct link *l, struct buf *t)
{
  size_t i;

  for (i = 0; i < l->nr_extents; i++)
    replace_word (t, 0, "RX");
}

static void
sectors_overflow (struct link *l, struct buf *t)
{
  (void) l;
  insert_line (t, "RW ", "RW 18014398509481984 ZERO\n");
}

static void
sectors_sum_wraps (struct link *l, struct buf *t)
{
  (void) l;
  insert_line (t, "RW ", "RW 9223372036854775808 ZERO\n"
               "RW 9223372036854775808 ZERO\n");
}

static void
sectors_too_long (struct link *l, struct buf *t)
{
  (void) l;
  replace_word (t, 1, "18446744073709682688");
}

static void
sectors_negative (struct link *l, struct buf *t)
{
  (void) l;
  replace_word (t, 1, "-2048");
}

static void
sectors_hex (struct link *l, struct buf *t)
{
  (void) l;
  replace_word (t, 1, "0x800");
}

static void
sectors_text (struct link *l, struct buf *t)
{
  (void) l;
  replace_word (t, 1, "many");
}

static void
sectors_0 (struct link *l, struct buf *t)
{
  (void) l;
  replace_word (t, 1, "0");
}

static void
type_unknown (struct link *l, struct buf *t)
{
  (void) l;
  replace_word (t, 2, "FLOT");
}

static void
type_missing (struct link *l, struct buf *t)
{
  (void) l;
  replace_line (t, "RW ", "RW 2048");
}

static void
name_missing (struct link *l, struct buf *t)
{
  char *line = xasprintf ("RW %" PRIu64 " %s", l->extent[0].sectors,
                          extent_type_names[l->extent[0].type]);

  replace_line (t, "RW ", line);
  free (line);
}

static void
name_empty (struct link *l, struct buf *t)
{
  char *line = xasprintf ("RW %" PRIu64 " %s \"\"%s",
                          l->extent[0].sectors,
                          extent_type_names[l->extent[0].type],
                          l->extent[0].type == EXT_FLAT ? " 0" : "");

  replace_line (t, "RW ", line);
  free (line);
}

static void
name_too_long (struct link *l, struct buf *t)
{
  char *line = xasprintf ("RW %" PRIu64 " %s \"%06000d\" 0",
                          l->extent[0].sectors,
                          extent_type_names[l->extent[0].type], 1);

  replace_line (t, "RW ", line);
  free (line);
}

static void
quote_open (struct link *l, struct buf *t)
{
  char *line = xasprintf ("RW %" PRIu64 " %s \"%s",
                          l->extent[0].sectors,
                          extent_type_names[l->extent[0].type],
                          l->extent[0].name);

  replace_line (t, "RW ", line);
  free (line);
}

static void
put_offset (struct link *l, struct buf *t, const char *offset)
{
  char *line = xasprintf ("RW %" PRIu64 " %s \"%s\" %s",
                          l->extent[0].sectors,
                          extent_type_names[l->extent[0].type],
                          l->extent[0].name, offset);

  replace_line (t, "RW ", line);
  free (line);
}

static void
offset_negative (struct link *l, struct buf *t)
{
  put_offset (l, t, "-1");
}

static void
offset_huge (struct link *l, struct buf *t)
{
  put_offset (l, t, "36028797018963967");
}

static void
offset_past_file (struct link *l, struct buf *t)
{
  put_offset (l, t, "1");
}

static void
offset_of_sparse (struct link *l, struct buf *t)
{
  put_offset (l, t, "128");
}

static void
descriptor_16m (struct link *l, struct buf *t)
{
  struct buf pad = { .len = 0 };

  (void) l;
  while (pad.len < 16 * 1024 * 1024)
    buf_printf (&pad, "# %060zu\n", pad.len);
  insert_line (t, "RW ", pad.data);
  buf_free (&pad);
}

static void
extents_100000 (struct link *l, struct buf *t)
{
  struct buf lines = { .len = 0 };
  int i;

  (void) l;
  for (i = 0; i < 100000; i++)
    buf_printf (&lines, "RW 1 ZERO\n");
  insert_line (t, "RW ", lines.data);
  buf_free (&lines);
}

static void
version_0 (struct link *l, struct buf *t)
{
  (void) l;
  replace_line (t, "version=", "version=0");
}

static void
version_4 (struct link *l, struct buf *t)
{
  (void) l;
  replace_line (t, "version=", "version=4");
}

static void
version_text (struct link *l, struct buf *t)
{
  (void) l;
  replace_line (t, "version=", "version=one");
}

static void
cid_not_hex (struct link *l, struct buf *t)
{
  (void) l;
  replace_line (t, "CID=", "CID=notahex1");
}

static void
cid_too_long (struct link *l, struct buf *t)
{
  (void) l;
  replace_line (t, "CID=", "CID=123456789");
}

static void
parent_cid_not_hex (struct link *l, struct buf *t)
{
  (void) l;
  replace_line (t, "parentCID=", "parentCID=-1");
}

static void
create_type_unknown (struct link *l, struct buf *t)
{
  (void) l;
  replace_line (t, "createType=", "createType=\"somethingNew\"");
}

static void
parent_without_hint (struct link *l, struct buf *t)
{
  (void) l;
  replace_line (t, "parentCID=", "parentCID=12345678");
}

static void
hint_without_parent (struct link *l, struct buf *t)
{
  (void) l;
  insert_line (t, "createType=",
               "parentFileNameHint=\"nowhere.vmdk\"\n");
}

static void
native_snapshot (struct link *l, struct buf *t)
{
  (void) l;
  insert_line (t, "createType=", "isNativeSnapshot=\"yes\"\n");
}

static void
encrypted (struct link *l, struct buf *t)
{
  (void) l;
  insert_line (t, "createType=",
               "encryption.keySafe = \"vmware:key/list/()\"\n");
}

static void
io_filter (struct link *l, struct buf *t)
{
  (void) l;
  buf_printf (t, "ddb.iofilters = \"vmwarevmcrypt\"\n");
}

static void
sparse_twice (struct link *l, struct buf *t)
{
  char *line = xasprintf ("RW %" PRIu64 " SPARSE \"%s\"\n",
                          l->extent[0].sectors, l->extent[0].name);

  insert_line (t, "RW ", line);
  free (line);
}

static void
flat_absolute (struct link *l, struct buf *t)
{
  (void) l;
  replace_line (t, "RW ", "RW 1 FLAT \"/etc/passwd\" 0");
}

static void
flat_device (struct link *l, struct buf *t)
{
  (void) l;
  replace_line (t, "RW ", "RW 2048 FLAT \"/dev/zero\" 0");
}

#define TEXT(name, verdict, kinds, fn, what)                    \
  { name, verdict, kinds, what, NULL, fn, NULL, 0, 0, 0 }

#define KT KINDS_TEXT
#define KF KINDS_FLAT
/* Whatever the descriptor says of extents, the header rules there. */
#define KA (KINDS_TEXT | K (MONOLITHIC_SPARSE))

const struct damage damage_text[] = {
  TEXT ("no-extent-line", REFUSE, KT, no_extent_line, "no extent line"),
  TEXT ("access-unknown", REFUSE, KT, access_unknown,
        "every extent line begins with RX"),
  TEXT ("sectors-overflow", REFUSE, KT, sectors_overflow,
        "an extent of 2^54 sectors, and more"),
  TEXT ("sectors-sum-wraps", REFUSE, KT, sectors_sum_wraps,
        "two extents of 2^63 sectors: the sum is 0 in 64 bits"),
  TEXT ("sectors-too-long", REFUSE, KT, sectors_too_long,
        "2^64 + 131072 sectors"),
  TEXT ("sectors-negative", REFUSE, KT, sectors_negative,
        "-2048 sectors"),
  TEXT ("sectors-hex", REFUSE, KT, sectors_hex, "0x800 sectors"),
  TEXT ("sectors-text", REFUSE, KT, sectors_text, "many sectors"),
  TEXT ("sectors-0", REFUSE, KT, sectors_0, "an extent of 0 sectors"),
  TEXT ("type-unknown", REFUSE, KT, type_unknown, "type word FLOT"),
  TEXT ("type-missing", REFUSE, KT, type_missing,
        "extent line without a type"),
  TEXT ("name-missing", REFUSE, KT, name_missing,
        "extent line without a name"),
  TEXT ("name-empty", REFUSE, KT, name_empty, "the name is empty"),
  TEXT ("name-too-long", REFUSE, KT, name_too_long,
        "a name of 6000 characters"),
  TEXT ("quote-open", REFUSE, KT, quote_open,
        "the name has no closing quote"),
  TEXT ("offset-negative", REFUSE, KF, offset_negative,
        "flat offset -1"),
  TEXT ("offset-huge", REFUSE, KF, offset_huge,
        "flat offset 2^55 - 1: overflows in bytes"),
  TEXT ("offset-past-file", REFUSE, K (MONOLITHIC_FLAT), offset_past_file,
        "flat offset 1, the file has no sector more than the line"),
  TEXT ("offset-of-sparse", REFUSE, K (TWO_GB_SPARSE), offset_of_sparse,
        "an offset on a SPARSE line"),
  TEXT ("descriptor-16M", REFUSE, KT, descriptor_16m,
        "16 MiB of comments"),
  TEXT ("extents-100000", REFUSE, KT, extents_100000,
        "100000 extent lines in less than 1 MiB"),
  TEXT ("descriptor-version-0", REFUSE, KA, version_0, "version=0"),
  TEXT ("descriptor-version-4", REFUSE, KA, version_4, "version=4"),
  TEXT ("descriptor-version-text", REFUSE, KA, version_text,
        "version=one"),
  TEXT ("cid-not-hex", REFUSE, KA, cid_not_hex, "CID=notahex1"),
  TEXT ("cid-too-long", REFUSE, KA, cid_too_long, "CID=123456789"),
  TEXT ("parent-cid-not-hex", REFUSE, KA, parent_cid_not_hex,
        "parentCID=-1"),
  TEXT ("create-type-unknown", OPEN, KA, create_type_unknown,
        "createType=\"somethingNew\""),
  TEXT ("parent-without-hint", REFUSE, KA, parent_without_hint,
        "parentCID and no parentFileNameHint"),
  TEXT ("hint-without-parent", OPEN, KA, hint_without_parent,
        "parentFileNameHint, but parentCID=ffffffff"),
  TEXT ("native-snapshot", REFUSE, KA, native_snapshot,
        "isNativeSnapshot=\"yes\""),
  TEXT ("encrypted", REFUSE, KA, encrypted, "an encryption key"),
  TEXT ("io-filter", REFUSE, KA, io_filter, "ddb.iofilters"),
  TEXT ("sparse-twice", REFUSE, K (TWO_GB_SPARSE), sparse_twice,
        "two SPARSE lines name one file"),
  TEXT ("flat-absolute", REFUSE, KF, flat_absolute,
        "a FLAT line names /etc/passwd"),
  TEXT ("flat-device", REFUSE, KF, flat_device,
        "a FLAT line names /dev/zero"),
  { .name = NULL }
};
