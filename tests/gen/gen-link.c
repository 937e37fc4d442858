/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* One link: the descriptor and all its extents. */

#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "gen.h"

#define NO_PARENT UINT32_C (0xffffffff)
#define NEVER_WRITTEN UINT32_C (0xfffffffe)

#define SEED_CID 0x434944u

const char *const kind_names[NR_KINDS] = {
  "monolithicSparse", "twoGbMaxExtentSparse", "monolithicFlat",
  "twoGbMaxExtentFlat", "vmfs", "custom", "streamOptimized", "vmfsSparse",
  "seSparse"
};

void
options_init (struct options *opt)
{
  *opt = (struct options) {
    .gtes = 512,
    .level = 1,
    .extent_size = 4192256,
    .dialect = "vmware",
    .fill = FILL_RANDOM,
    .data = DATA_MIXED,
    .seed = 1,
  };
}

static void
check (const struct options *opt)
{
  bool one_file = opt->kind == STREAM_OPTIMIZED ||
    opt->kind == MONOLITHIC_SPARSE || opt->bare;

  if ((opt->kind == CUSTOM) != (opt->extents != NULL))
    die ("--extents goes with custom and only with it");
  if (opt->separate_descriptor && opt->kind != MONOLITHIC_SPARSE)
    die ("--separate-descriptor goes with monolithicSparse only");
  if (opt->wrapped && one_file)
    die ("--wrapped goes with a descriptor in a file of its own");
  if (opt->bare && opt->kind != MONOLITHIC_SPARSE &&
      opt->kind != VMFS_SPARSE && opt->kind != SE_SPARSE)
    die ("--bare goes with monolithicSparse, vmfsSparse and seSparse");
  if (opt->bare && (opt->parent || opt->separate_descriptor))
    die ("--bare: without a descriptor there is no parent");
  if (opt->one_file && opt->kind != TWO_GB_FLAT && opt->kind != CUSTOM)
    die ("--one-file goes with twoGbMaxExtentFlat and custom only");
  if (opt->parent && opt->parent_map == NULL && (opt->map || opt->model))
    die ("--map and --model of a child need --parent-map");
}

void
options_finish (struct options *opt)
{
  struct stat st;

  check (opt);
  if (opt->grain == 0)
    opt->grain = opt->kind == VMFS_SPARSE ? 1 : 128;
  if (opt->kind == SE_SPARSE)
    opt->grain = 8;
  if (opt->from && opt->size == 0) {
    if (stat (opt->from, &st) == -1)
      die ("stat: %s: %s", opt->from, strerror (errno));
    opt->size = div_up ((uint64_t) st.st_size, SECTOR);
    if (opt->size == 0)
      die ("%s is empty", opt->from);
  }
  if (opt->size == 0)
    opt->size = 131072;
  if (opt->damage) {
    const struct damage *d = damage_find (opt->damage, opt->kind);

    if (d->prepare)
      d->prepare (opt);
  }
}

static uint32_t
parse_cid (const char *s)
{
  char *end;
  unsigned long v = strtoul (s, &end, 16);

  if (end == s || *end != '\0' || v > UINT32_MAX)
    die ("'%s' is not a CID", s);
  return (uint32_t) v;
}

static void
choose_cids (struct link *l)
{
  const struct options *opt = l->opt;

  l->parent_cid = NO_PARENT;
  if (opt->cid)
    l->cid = parse_cid (opt->cid);
  else {
    l->cid = (uint32_t) prng_hash (opt->seed, SEED_CID);
    if (l->cid >= NEVER_WRITTEN)
      l->cid -= 2;
  }
  if (opt->parent)
    l->parent_cid = desc_read_cid (opt->parent);
  if (opt->parent_cid)
    l->parent_cid = parse_cid (opt->parent_cid);
}

/* VMware stores the bare name of a parent in the same directory, and an
 * absolute path otherwise.
 */
static char *
parent_hint (const struct options *opt, const char *dir)
{
  const char *slash = strrchr (opt->parent, '/');
  char *parent_dir, *a, *b, *hint;

  parent_dir = slash == NULL ? xstrdup (".") :
    xasprintf ("%.*s", (int) (slash - opt->parent), opt->parent);
  if (*parent_dir == '\0') {
    free (parent_dir);
    parent_dir = xstrdup ("/");
  }
  a = realpath (parent_dir, NULL);
  b = realpath (dir, NULL);
  if (a == NULL || b == NULL)
    die ("the directory of the parent or the child is missing");
  if (strcmp (a, b) == 0)
    hint = xstrdup (slash ? slash + 1 : opt->parent);
  else
    hint = xasprintf ("%s/%s", a, slash ? slash + 1 : opt->parent);
  free (parent_dir);
  free (a);
  free (b);
  return hint;
}

static void
name_link (struct link *l)
{
  const struct options *opt = l->opt;
  const char *slash = strrchr (opt->output, '/');
  const char *file = slash ? slash + 1 : opt->output;
  size_t len = strlen (file);

  l->path = xstrdup (opt->output);
  l->dir = slash == NULL ? xstrdup (".") :
    slash == opt->output ? xstrdup ("/") :
    xasprintf ("%.*s", (int) (slash - opt->output), opt->output);
  if (len > 5 && strcasecmp (file + len - 5, ".vmdk") == 0)
    len -= 5;
  l->base = opt->name ? xstrdup (opt->name) :
    xasprintf ("%.*s", (int) len, file);
  if (dialect_is (opt, "hash-in-name")) {
    char *base = xasprintf ("%s #1", l->base);

    free (l->base);
    l->base = base;
  }
  if (strpbrk (l->base, "\"\r\n/"))
    die ("a name cannot have a quote, a line end or a slash in it");
}

/* Where the descriptor goes. */
enum where { NOWHERE, EMBEDDED, SEPARATE };

static enum where
where_is_descriptor (const struct options *opt)
{
  if (opt->bare)
    return NOWHERE;
  if (opt->kind == STREAM_OPTIMIZED)
    return EMBEDDED;
  if (opt->kind == MONOLITHIC_SPARSE && !opt->separate_descriptor)
    return EMBEDDED;
  return SEPARATE;
}

static void
write_extents (struct link *l, const struct buf *text)
{
  size_t i;

  for (i = 0; i < l->nr_extents; i++) {
    struct extent *e = &l->extent[i];

    if (e->type == EXT_ZERO)
      continue;
    if (extent_is_flat (e))
      flat_write (l, e);
    else if (e->type == EXT_SESPARSE)
      sesparse_write (l, e);
    else if (e->type == EXT_VMFSSPARSE)
      cowd_write (l, e);
    else if (l->opt->kind == STREAM_OPTIMIZED)
      stream_write (l, e, text);
    else
      sparse_write (l, e, text);
  }
}

static void
write_descriptor (const struct link *l, const struct buf *text)
{
  struct file f;

  if (l->opt->wrapped) {
    sparse_wrap (l, text);
    return;
  }
  file_create (&f, l->path);
  file_write (&f, text->data, text->len, 0);
  file_close (&f);
}

void
link_make (const struct options *opt, struct model *m)
{
  struct link l = {
    .opt = opt,
    .content = { .class = opt->data, .seed = opt->seed }
  };
  enum where where = where_is_descriptor (opt);
  struct buf text = { .len = 0 };
  struct file from;

  if (opt->damage)
    l.damage = damage_find (opt->damage, opt->kind);
  name_link (&l);
  choose_cids (&l);
  if (opt->hint)
    l.hint = xstrdup (opt->hint);
  else if (opt->parent)
    l.hint = parent_hint (opt, l.dir);
  extents_place (&l);
  if (opt->from) {
    file_open_readonly (&from, opt->from);
    l.content.from = &from;
  }
  plan_make (&l);
  runs_copy (&l.intact, &l.plan);

  desc_make (&l, &text);
  if (l.damage && l.damage->text)
    l.damage->text (&l, &text);
  write_extents (&l, where == EMBEDDED ? &text : NULL);
  if (where == SEPARATE)
    write_descriptor (&l, &text);
  if (l.damage)
    damage_apply (&l);
  model_apply (m, &l);

  if (opt->from)
    file_close (&from);
  buf_free (&text);
  runs_free (&l.plan);
  runs_free (&l.intact);
  extents_free (&l);
  free (l.path);
  free (l.dir);
  free (l.base);
  free (l.hint);
}
