/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bytes.h"
#include "charset.h"
#include "create-text.h"

/* Not the CID of no parent, of a disk that was never written, nor that of
 * tools which do not know any.
 */
void
create_fit_ids (struct create_text *t)
{
  uint8_t *cid = t->id + 12;
  const bool all_ones =
    cid[0] == 0xff && cid[1] == 0xff && cid[2] == 0xff && cid[3] >= 0xfe;
  const bool all_zeroes = !cid[0] && !cid[1] && !cid[2] && !cid[3];

  if (all_ones || all_zeroes)
    cid[0] ^= 0x5a;
  t->uuid[0] = 0x60;
  t->uuid[1] = 0x00;
  t->uuid[2] = 0xc2;
  t->uuid[3] = 0x90 | (t->uuid[3] & 0x0f);
}

int
create_check_name (const char *name, const char *what,
                   struct vmdk_error *error)
{
  const char *p;

  for (p = name; *p; ++p)
    if (*p == '"' || (unsigned char) *p < 0x20 || *p == 0x7f)
      return error_set (error, VMDK_ERROR_INVALID, EINVAL,
                        "%s has a quote or a control character in its name, "
                        "which a descriptor cannot hold", what);
  if (!charset_is_utf8 (name, strlen (name)))
    return error_set (error, VMDK_ERROR_INVALID, EINVAL,
                      "%s has a name that is not UTF-8", what);
  return 0;
}

unsigned
create_nr_extents (const struct create_text *t)
{
  return t->kind->split ? (unsigned) div_up (t->size, CREATE_SPLIT_SIZE) : 1;
}

uint64_t
create_extent_size (const struct create_text *t, unsigned number)
{
  return t->kind->split ?
    min_u64 (CREATE_SPLIT_SIZE, t->size - number * CREATE_SPLIT_SIZE) :
    t->size;
}

char *
create_extent_name (const struct create_text *t, unsigned number)
{
  size_t len = strlen (t->file);
  char *name = NULL, count[16] = "";

  if (!t->kind->suffix)
    return strdup (t->file);
  if (len > 5 && strcasecmp (t->file + len - 5, ".vmdk") == 0)
    len -= 5;
  if (t->kind->split)
    snprintf (count, sizeof count, "%03u", number + 1);
  return asprintf (&name, "%.*s%s%s.vmdk", (int) len, t->file,
                   t->kind->suffix, count) == -1 ? NULL : name;
}

struct geometry {
  uint64_t cylinders;
  unsigned heads, sectors;
};

/* As VMware's tools have it, by adapter and size. */
static struct geometry
geometry (const struct create_text *t)
{
  const bool ide = strcmp (t->adapter, "ide") == 0;
  const uint64_t gib = UINT64_C (1) << 30;
  struct geometry g = { 0, 255, 63 };

  if (ide)
    g = (struct geometry) { 0, 16, 63 };
  else if (t->size < gib)
    g = (struct geometry) { 0, 64, 32 };
  else if (t->size < 2 * gib)
    g = (struct geometry) { 0, 128, 32 };
  g.cylinders = max_u64 (t->size / SECTOR_SIZE / (g.heads * g.sectors), 1);
  if (ide)
    g.cylinders = min_u64 (g.cylinders, 16383);
  return g;
}

static void
print_hex (FILE *f, const uint8_t *p, size_t n)
{
  while (n-- > 0)
    fprintf (f, "%02x", *p++);
}

static void
print_header (FILE *f, const struct create_text *t)
{
  fputs ("# Disk DescriptorFile\n"
         "version=1\n"
         "encoding=\"UTF-8\"\n"
         "CID=", f);
  print_hex (f, t->id + 12, 4);
  fprintf (f, "\nparentCID=%08" PRIx32 "\n"
           "createType=\"%s\"\n",
           t->has_parent ? t->parent_cid : UINT32_MAX, t->kind->create_type);
  if (t->has_parent)
    fprintf (f, "parentFileNameHint=\"%s\"\n", t->parent_hint);
}

static int
print_extents (FILE *f, const struct create_text *t)
{
  const unsigned nr = create_nr_extents (t);
  unsigned i;

  fputs ("\n# Extent description\n", f);
  for (i = 0; i < nr; ++i) {
    char *name = create_extent_name (t, i);

    if (!name)
      return -1;
    fprintf (f, "RW %" PRIu64 " %s \"%s\"%s\n",
             create_extent_size (t, i) / SECTOR_SIZE, t->kind->word, name,
             strcmp (t->kind->word, "FLAT") == 0 ? " 0" : "");
    free (name);
  }
  return 0;
}

static void
print_adapter (FILE *f, const struct create_text *t)
{
  const struct geometry g = geometry (t);

  fprintf (f, "ddb.adapterType = \"%s\"\n"
           "ddb.geometry.cylinders = \"%" PRIu64 "\"\n"
           "ddb.geometry.heads = \"%u\"\n"
           "ddb.geometry.sectors = \"%u\"\n",
           t->adapter, g.cylinders, g.heads, g.sectors);
}

/* As VMware writes it: it uses large letters in what all have in common. */
static void
print_uuid (FILE *f, const uint8_t *uuid)
{
  unsigned i;

  fputs ("ddb.uuid = \"", f);
  for (i = 0; i < 16; ++i)
    fprintf (f, i < 3 ? "%s%02X" : "%s%02x",
             i == 0 ? "" : i == 8 ? "-" : " ", uuid[i]);
  fputs ("\"\n", f);
}

/* What a child does not say is looked up in its parents, and what it does say
 * hides that: so it has no serial number of its own, which the
 * guest would see.
 */
static void
print_ddb (FILE *f, const struct create_text *t)
{
  fputs ("\n# The Disk Data Base \n"
         "#DDB\n\n", f);
  if (t->adapter)
    print_adapter (f, t);
  fputs ("ddb.longContentID = \"", f);
  print_hex (f, t->id, sizeof t->id);
  fputs ("\"\n", f);
  if (t->kind->thin)
    fputs ("ddb.thinProvisioned = \"1\"\n", f);
  if (!t->has_parent) {
    fputs ("ddb.toolsVersion = \"2147483647\"\n", f);
    print_uuid (f, t->uuid);
  }
  if (t->hwversion != 0)
    fprintf (f, "ddb.virtualHWVersion = \"%u\"\n", t->hwversion);
}

char *
create_descriptor (const struct create_text *t)
{
  char *text = NULL;
  size_t len = 0;
  FILE *f = open_memstream (&text, &len);
  int r;

  if (!f)
    return NULL;
  print_header (f, t);
  r = print_extents (f, t);
  print_ddb (f, t);
  if (ferror (f))
    r = -1;
  if (fclose (f) == EOF)
    r = -1;
  if (r == 0)
    return text;
  free (text);
  return NULL;
}
