/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The text of the descriptor, from the templates of the known writers. */

#include <config.h>

#include <errno.h>
#include <iconv.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gen.h"

#define SEED_UUID 0x75756964u

/* A copy of NAME in the encoding that the descriptor declares. */
char *
desc_convert (const struct options *opt, const char *name)
{
  size_t in_left = strlen (name), out_left = in_left * 4 + 16;
  char *out = xcalloc (1, out_left + 1), *p = out;
  char *copy = xstrdup (name), *in = copy;
  iconv_t cd;

  cd = iconv_open (opt->encoding ? opt->encoding : "UTF-8", "UTF-8");
  if (cd == (iconv_t) -1)
    die ("--encoding=%s: %s", opt->encoding, strerror (errno));
  if (iconv (cd, &in, &in_left, &p, &out_left) == (size_t) -1 ||
      iconv (cd, NULL, NULL, &p, &out_left) == (size_t) -1)
    die ("cannot write '%s' in %s: %s", name, opt->encoding,
         strerror (errno));
  iconv_close (cd);
  free (copy);
  return out;
}

struct geometry {
  uint64_t cylinders;
  unsigned heads;
  unsigned sectors;
};

static struct geometry
ide_geometry (uint64_t sectors)
{
  struct geometry g = { .heads = 16, .sectors = 63 };

  g.cylinders = min_u64 (sectors / (16 * 63), 16383);
  if (g.cylinders == 0)
    g.cylinders = 1;
  return g;
}

static struct geometry
scsi_geometry (uint64_t sectors)
{
  const uint64_t gib = 2 * 1024 * 1024;
  struct geometry g = { .heads = 64, .sectors = 32 };

  if (sectors >= 2 * gib) {
    g.heads = 255;
    g.sectors = 63;
  }
  else if (sectors >= gib)
    g.heads = 128;
  g.cylinders = sectors / (g.heads * g.sectors);
  if (g.cylinders == 0)
    g.cylinders = 1;
  return g;
}

static void
add_header (const struct link *l, struct buf *t)
{
  const struct options *opt = l->opt;
  bool qemu = dialect_is (opt, "qemu");

  buf_printf (t, "# Disk DescriptorFile\nversion=1\n");
  if (!qemu || opt->encoding)
    buf_printf (t, "encoding=\"%s\"\n",
                opt->encoding ? opt->encoding : "UTF-8");
  /* QEMU does not pad these with zeros. */
  buf_printf (t, qemu ? "CID=%" PRIx32 "\nparentCID=%" PRIx32 "\n" :
              "CID=%08" PRIx32 "\nparentCID=%08" PRIx32 "\n",
              l->cid, l->parent_cid);
  buf_printf (t, "createType=\"%s\"\n", kind_names[opt->kind]);
  if (l->hint) {
    char *hint = desc_convert (opt, l->hint);

    buf_printf (t, "parentFileNameHint=\"%s\"\n", hint);
    free (hint);
  }
}

static void
add_extents (const struct link *l, struct buf *t)
{
  size_t i;

  buf_printf (t, "# Extent description\n");
  for (i = 0; i < l->nr_extents; i++) {
    const struct extent *e = &l->extent[i];

    /* The old hosted COWD knew no other word. */
    buf_printf (t, "%s %" PRIu64 " %s", access_names[e->access], e->sectors,
                e->type == EXT_VMFSSPARSE && l->opt->old_cowd ? "SPARSE" :
                extent_type_names[e->type]);
    if (e->name) {
      char *name = desc_convert (l->opt, e->name);

      buf_printf (t, " \"%s\"", name);
      free (name);
    }
    if (e->type == EXT_FLAT)
      buf_printf (t, " %" PRIu64, e->offset);
    buf_printf (t, "\n");
  }
}

static void
add_geometry (const struct geometry *g, struct buf *t)
{
  buf_printf (t, "ddb.geometry.cylinders = \"%" PRIu64 "\"\n"
              "ddb.geometry.heads = \"%u\"\n"
              "ddb.geometry.sectors = \"%u\"\n",
              g->cylinders, g->heads, g->sectors);
}

static void
add_content_id (const struct link *l, struct buf *t)
{
  uint64_t state = prng_hash (l->opt->seed, SEED_UUID);
  uint64_t high = prng (&state);

  buf_printf (t, "ddb.longContentID = \"%016" PRIx64 "%08" PRIx32 "%08"
              PRIx32 "\"\n", high, (uint32_t) prng (&state), l->cid);
}

static void
add_ddb_vmware (const struct link *l, struct buf *t)
{
  uint64_t state = prng_hash (l->opt->seed, SEED_UUID + 1);
  struct geometry g = scsi_geometry (l->sectors);
  int i;

  buf_printf (t, "\n# The Disk Data Base \n#DDB\n\n"
              "ddb.adapterType = \"lsilogic\"\n");
  add_geometry (&g, t);
  add_content_id (l, t);
  buf_printf (t, "ddb.toolsVersion = \"2147483647\"\n"
              "ddb.uuid = \"60 00 C2 9%x",
              (unsigned) prng_below (&state, 16));
  for (i = 4; i < 16; i++)
    buf_printf (t, "%c%02x", i == 8 ? '-' : ' ',
                (unsigned) prng_below (&state, 256));
  buf_printf (t, "\"\nddb.virtualHWVersion = \"4\"\n");
}

/* ESXi leaves out whatever the base of the chain has. */
static void
add_ddb_snapshot (const struct link *l, struct buf *t)
{
  buf_printf (t, "\n# The Disk Data Base \n#DDB\n\n");
  if (l->opt->kind == SE_SPARSE)
    buf_printf (t, "ddb.encoding = \"UTF-8\"\nddb.grain = \"8\"\n");
  add_content_id (l, t);
}

static void
add_ddb_qemu (const struct link *l, struct buf *t)
{
  struct geometry g = ide_geometry (l->sectors);

  g.cylinders = l->sectors / (16 * 63);
  buf_printf (t, "\n# The Disk Data Base\n#DDB\n\n"
              "ddb.virtualHWVersion = \"4\"\n");
  add_geometry (&g, t);
  buf_printf (t, "ddb.adapterType = \"ide\"\n"
              "ddb.toolsVersion = \"2147483647\"\n");
}

static void
add_uuid (struct buf *t, const char *key, uint64_t *state)
{
  uint64_t a = prng (state), b = prng (state);

  buf_printf (t, "ddb.uuid.%s=\"%08x-%04x-4%03x-8%03x-%012" PRIx64 "\"\n",
              key, (unsigned) (a >> 32), (unsigned) (a & 0xffff),
              (unsigned) (b & 0xfff), (unsigned) ((b >> 12) & 0xfff),
              (uint64_t) (b >> 16));
}

static void
add_ddb_virtualbox (const struct link *l, struct buf *t)
{
  uint64_t state = prng_hash (l->opt->seed, SEED_UUID + 2);
  struct geometry g = ide_geometry (l->sectors);

  buf_printf (t, "\n# The disk Data Base \n#DDB\n\n"
              "ddb.virtualHWVersion = \"4\"\n"
              "ddb.adapterType=\"ide\"\n");
  add_geometry (&g, t);
  add_uuid (t, "image", &state);
  add_uuid (t, "modification", &state);
  if (l->hint)
    add_uuid (t, "parent", &state);
  else
    buf_printf (t, "ddb.uuid.parent="
                "\"00000000-0000-0000-0000-000000000000\"\n");
  buf_printf (t, "ddb.uuid.parentmodification="
              "\"00000000-0000-0000-0000-000000000000\"\n"
              "ddb.comment=\"made\\nfor \\\\ a test\"\n");
}

void
desc_make (const struct link *l, struct buf *t)
{
  const struct options *opt = l->opt;
  bool esxi = opt->kind == VMFS_SPARSE || opt->kind == SE_SPARSE;

  add_header (l, t);
  if (!esxi || !l->hint)
    buf_printf (t, "\n");
  add_extents (l, t);
  if (dialect_is (opt, "qemu"))
    add_ddb_qemu (l, t);
  else if (dialect_is (opt, "virtualbox"))
    add_ddb_virtualbox (l, t);
  else if (esxi)
    add_ddb_snapshot (l, t);
  else
    add_ddb_vmware (l, t);
  dialect_apply (l, t);
}

/* The first line that begins with "CID", white space or not, "=". */
uint32_t
desc_read_cid (const char *path)
{
  char *text = xcalloc (1, 65537), *line, *rest;
  struct file f;
  uint8_t *p;
  uint32_t cid;

  file_open_readonly (&f, path);
  file_read (&f, text, 65536, 0);
  file_close (&f);

  /* An embedded descriptor is behind the header. */
  p = (uint8_t *) text;
  rest = memcmp (p, "KDMV", 4) == 0
    ? text + min_u64 (get_le64 (p + HDR_DESC) * SECTOR, 65536) : text;
  while ((line = strsep (&rest, "\r\n")) != NULL) {
    line += strspn (line, " \t");
    if (strncasecmp (line, "CID", 3) != 0)
      continue;
    line += 3;
    line += strspn (line, " \t");
    if (*line++ != '=')
      continue;
    cid = (uint32_t) strtoul (line, NULL, 16);
    free (text);
    return cid;
  }
  die ("%s: there is no CID in it", path);
}
