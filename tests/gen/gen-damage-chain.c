/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Damage to a chain, and hints from other hosts and systems.  All but
 * the loops need --parent, and the hints want the parent to be in the
 * same directory as the child.
 */

#include <config.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "gen.h"

static void
set_line (struct buf *t, const char *key, const char *value)
{
  char *prefix = xasprintf ("\n%s=", key), *at;

  at = strstr (t->data, prefix);
  if (at == NULL)
    die ("this damage needs a line '%s=' in the descriptor", key);
  at += strlen (prefix);
  buf_splice (t, (size_t) (at - t->data), strcspn (at, "\r\n"), value);
  free (prefix);
}

static void
set_cid (struct buf *t, const char *key, uint32_t cid)
{
  char *value = xasprintf ("%08" PRIx32, cid);

  set_line (t, key, value);
  free (value);
}

/* A hint, set or added. */
static void
set_hint (struct buf *t, const char *hint)
{
  char *line = xasprintf ("\"%s\"", hint), *at;

  if (strstr (t->data, "\nparentFileNameHint=") == NULL) {
    at = strstr (t->data, "\ncreateType=");
    if (at == NULL)
      die ("this damage needs a line 'createType=' in the descriptor");
    buf_splice (t, (size_t) (at + 1 - t->data), 0,
                "parentFileNameHint=\n");
  }
  set_line (t, "parentFileNameHint", line);
  free (line);
}

static const char *
file_name (const char *path)
{
  const char *slash = strrchr (path, '/');

  return slash ? slash + 1 : path;
}

static const char *
parent_name (const struct link *l)
{
  if (l->opt->parent == NULL)
    die ("this damage needs --parent");
  return file_name (l->opt->parent);
}

/* A hint made of some PREFIX and the parent's name. */
static void
prefixed_hint (struct link *l, struct buf *t, const char *prefix)
{
  char *hint = xasprintf ("%s%s", prefix, parent_name (l));

  set_hint (t, hint);
  free (hint);
}

static void
parent_missing (struct link *l, struct buf *t)
{
  prefixed_hint (l, t, "missing-");
}

static void
parent_cid_mismatch (struct link *l, struct buf *t)
{
  (void) parent_name (l);
  set_cid (t, "parentCID", l->parent_cid ^ 1);
}

static void
parent_loop_1 (struct link *l, struct buf *t)
{
  set_hint (t, file_name (l->path));
  set_cid (t, "parentCID", l->cid);
}

#define LOOP_CID UINT32_C (0x10091009)

static char *
loop_name (const struct link *l)
{
  return xasprintf ("%s-loop.vmdk", l->base);
}

static void
parent_loop_2 (struct link *l, struct buf *t)
{
  char *name = loop_name (l);

  set_hint (t, name);
  set_cid (t, "parentCID", LOOP_CID);
  free (name);
}

/* The other link of the loop. */
static void
make_loop (struct link *l)
{
  char *name = loop_name (l), *path = xasprintf ("%s/%s", l->dir, name);
  char *cid = xasprintf ("%" PRIx32, LOOP_CID);
  char *parent_cid = xasprintf ("%" PRIx32, l->cid);
  struct options opt = *l->opt;
  struct model m;

  opt.kind = MONOLITHIC_SPARSE;
  opt.grain = 128;
  opt.output = path;
  opt.damage = opt.parent = opt.from = opt.name = NULL;
  opt.bare = opt.separate_descriptor = false;
  opt.hint = file_name (l->path);
  opt.cid = cid;
  opt.parent_cid = parent_cid;
  model_init (&m, NULL);
  link_make (&opt, &m);
  model_free (&m);
  free (name);
  free (path);
  free (cid);
  free (parent_cid);
}

static void
parent_is_raw (struct link *l, struct buf *t)
{
  char *name = xasprintf ("%s-raw.img", l->base);

  (void) parent_name (l);
  set_hint (t, name);
  free (name);
}

static void
make_raw (struct link *l)
{
  char *path = xasprintf ("%s/%s-raw.img", l->dir, l->base);
  struct file f;

  file_create (&f, path);
  file_truncate (&f, l->sectors * SECTOR);
  file_close (&f);
  free (path);
}

static void
parent_is_directory (struct link *l, struct buf *t)
{
  (void) parent_name (l);
  set_hint (t, ".");
}

static void
parent_is_device (struct link *l, struct buf *t)
{
  (void) parent_name (l);
  set_hint (t, "/dev/zero");
}

static void
hint_empty (struct link *l, struct buf *t)
{
  (void) parent_name (l);
  set_hint (t, "");
}

static void
hint_relative (struct link *l, struct buf *t)
{
  prefixed_hint (l, t, "./");
}

static void
hint_other_host (struct link *l, struct buf *t)
{
  prefixed_hint (l, t, "/vmfs/volumes/4c2e0f8a-6b1d/other vm/");
}

static void
hint_windows (struct link *l, struct buf *t)
{
  prefixed_hint (l, t, "C:\\Virtual Machines\\other vm\\");
}

static void
hint_windows_relative (struct link *l, struct buf *t)
{
  prefixed_hint (l, t, "..\\other vm\\");
}

static void
hint_unc (struct link *l, struct buf *t)
{
  prefixed_hint (l, t, "\\\\server\\share\\");
}

static void
hint_up_and_down (struct link *l, struct buf *t)
{
  prefixed_hint (l, t, "../other vm/");
}

#define CHAIN(name, verdict, text, files, what)                         \
  { name, verdict, KINDS_CHILD, what, NULL, text, files, 0, 0, 0 }

const struct damage damage_chain[] = {
  CHAIN ("parent-missing", REFUSE, parent_missing, NULL,
         "the parent does not exist"),
  CHAIN ("parent-cid-mismatch", REFUSE, parent_cid_mismatch, NULL,
         "the parent has another CID"),
  CHAIN ("parent-loop-1", REFUSE, parent_loop_1, NULL,
         "the link is its own parent"),
  CHAIN ("parent-loop-2", REFUSE, parent_loop_2, make_loop,
         "the parent's parent is the link"),
  CHAIN ("parent-is-raw", REFUSE, parent_is_raw, make_raw,
         "the parent is a raw file"),
  CHAIN ("parent-is-directory", REFUSE, parent_is_directory, NULL,
         "the parent is a directory"),
  CHAIN ("parent-is-device", REFUSE, parent_is_device, NULL,
         "the parent is /dev/zero"),
  CHAIN ("hint-empty", REFUSE, hint_empty, NULL, "the hint is empty"),
  CHAIN ("hint-relative", OPEN, hint_relative, NULL, "hint ./NAME"),
  CHAIN ("hint-other-host", OPEN, hint_other_host, NULL,
         "hint /vmfs/volumes/.../NAME, the parent is beside the child"),
  CHAIN ("hint-windows", OPEN, hint_windows, NULL,
         "hint C:\\...\\NAME, the parent is beside the child"),
  CHAIN ("hint-windows-relative", OPEN, hint_windows_relative, NULL,
         "hint ..\\...\\NAME, the parent is beside the child"),
  CHAIN ("hint-unc", OPEN, hint_unc, NULL,
         "hint \\\\server\\share\\NAME, the parent is beside the child"),
  CHAIN ("hint-up-and-down", OPEN, hint_up_and_down, NULL,
         "hint ../.../NAME, the parent is beside the child"),
  { .name = NULL }
};
