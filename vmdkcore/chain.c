/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "chain.h"
#include "progress.h"

static bool
is_in_chain (const struct chain *chain, const struct link *link)
{
  size_t i;

  for (i = 0; i < chain->nr; ++i)
    if (chain->links[i]->dev == link->dev &&
        chain->links[i]->ino == link->ino)
      return true;
  return false;
}

/* Is 'parent' what the child was made on?  Content IDs are numbers;
 * their spelling does not count.
 */
static int
check_cid (const struct link *child, const struct link *parent,
           struct vmdk_error *error)
{
  if (!child->has_parent_cid)
    return 0;
  if (!parent->has_cid)
    return error_set (error, VMDK_ERROR_CORRUPT, EINVAL,
                      "%s: its parentCID is %08" PRIx32 ", but %s has no "
                      "CID", child->name, child->parent_cid, parent->name);
  if (parent->cid != child->parent_cid)
    return error_set (error, VMDK_ERROR_CORRUPT, EINVAL,
                      "%s: its parentCID is %08" PRIx32 ", but the CID of "
                      "%s is %08" PRIx32 ": the parent was changed after "
                      "the snapshot was made, or is another disk",
                      child->name, child->parent_cid, parent->name,
                      parent->cid);
  return 0;
}

const char *
chain_base_name (const char *name)
{
  const char *p = name + strlen (name);

  while (p > name && p[-1] != '/' && p[-1] != '\\')
    p--;
  return p;
}

bool
chain_moved_name (const char *hint, char moved[PATH_MAX])
{
  const char *base = chain_base_name (hint), *start, *end;
  int len;

  if (base <= hint + 1)
    return false;
  start = end = base - 1;
  while (start > hint && start[-1] != '/' && start[-1] != '\\' &&
         start[-1] != ':')
    start--;
  /* What these stand for is not known where the folder came from. */
  if (end - start <= 2 && strspn (start, ".") >= (size_t) (end - start))
    return false;
  len = snprintf (moved, PATH_MAX, "../%.*s/%s", (int) (end - start), start,
                  base);
  return start < end && len > 0 && len < PATH_MAX;
}

/* The search for the parent of the last link of a chain, and what became of
 * the attempts.  The first that found a file tells most; but that a name may
 * not be opened tells little if another was found.
 */
struct search {
  const struct link_context *context;
  const struct chain *chain;
  const struct link *child;
  bool may_ignore_cid;          /* if the right one is nowhere */
  bool ignore_cid;              /* now */
  bool found_another;           /* refused for its content ID only */
  bool found_unreadable;        /* which may be the right one */
  bool is_beside;               /* what has the parent's name is before it */
  bool found_something;
  struct vmdk_error *error;

  /* Of the present attempt: */
  bool refused;                 /* as it is not the parent */
  bool in_chain;                /* as it is one of those before */
  bool ignored;                 /* that it may not be, by what 'why' says */
  struct vmdk_error why;
};

/* Is this link the parent?  A struct link_check. */
static int
accept_parent (void *opaque, const struct link *link,
               struct vmdk_error *error)
{
  struct search *s = opaque;

  if (is_in_chain (s->chain, link)) {
    s->refused = s->in_chain = true;
    return error_set (error, VMDK_ERROR_CORRUPT, ELOOP,
                      "%s: its parent %s is already part of the chain: the "
                      "links form a loop", s->child->name, link->name);
  }
  if (check_cid (s->child, link, &s->why) == 0)
    return 0;
  s->ignored = s->ignore_cid;
  s->refused = !s->ignore_cid;
  s->found_another |= s->refused;
  return s->ignored ? 0 :
    error_set (error, s->why.kind, s->why.err,
               "%s; ignore-cid=true would accept it", s->why.message);
}

/* A link has been accepted and opened, or not (NULL); returns it. */
static struct link *
opened (const struct search *s, struct link *link)
{
  if (link && s->ignored)
    logger_warn (s->context->env->logger, "%s", s->why.message);
  return link;
}

/* Try one name.  If it is not what the hint says but was 'made_up' from
 * it, it is no news that it may not be opened, or is the child itself.  Nor is
 * that if a name of Windows was looked for by its last part.
 */
static struct link *
try_name (struct search *s, const char *name, bool made_up)
{
  const struct link_check check = { .accept = accept_parent, .opaque = s };
  struct vmdk_error error;
  bool missing, tells_more;
  struct link *link;

  s->refused = s->in_chain = s->ignored = false;
  link = opened (s, link_open_named (s->context, s->child->dir, name, &check,
                                     &missing, &error));
  if (link || missing ||
      (made_up && (error.kind == VMDK_ERROR_DENIED || s->in_chain)) ||
      (s->is_beside && s->in_chain && path_is_windows (name)))
    return link;
  if (!s->refused)
    error_prefix (&error, "%s: its parent", s->child->name);
  tells_more = !s->found_something || (s->error->kind == VMDK_ERROR_DENIED &&
                                       error.kind != VMDK_ERROR_DENIED);
  if (s->may_ignore_cid && !s->found_unreadable && !s->refused &&
      (error.kind == VMDK_ERROR_IO || error.kind == VMDK_ERROR_BUSY ||
       error.kind == VMDK_ERROR_NOMEM))
    s->found_unreadable = tells_more = true;
  if (tells_more) {
    *s->error = error;
    s->found_something = true;
  }
  return NULL;
}

/* Look for the parent where the hint says and where it may have gone.  A
 * path from the child's folder says which of several files it is.  Any other
 * may be of another host, so that what is beside the child comes first: files
 * that were copied together stay right.
 */
static struct link *
try_hint (struct search *s, const char *hint)
{
  const char *base = chain_base_name (hint);
  const bool from_here = hint[0] != '/' && !path_is_windows (hint);
  struct link *link = NULL;
  char moved[PATH_MAX];

  s->is_beside = false;
  if (from_here && base != hint)
    link = try_name (s, hint, false);
  if (!link && *base)
    link = try_name (s, base, base != hint);
  s->is_beside = *base && s->in_chain;
  if (!link && !from_here)
    link = try_name (s, hint, false);
  if (!link && chain_moved_name (hint, moved))
    link = try_name (s, moved, strncmp (hint, "..\\", 3) != 0);
  return link;
}

/* The same by each of the hints. */
static struct link *
try_hints (struct search *s)
{
  struct link *link = try_hint (s, s->child->parent_hint);

  if (!link && s->child->parent_hint_raw)
    link = try_hint (s, s->child->parent_hint_raw);
  return link;
}

static struct link *
find_parent (const struct link_context *context, const struct chain *chain,
             const struct vmdk_options *options, struct vmdk_error *error)
{
  /* For the disk that is given; that of its parents has no parameter. */
  static const char remedy[] =
    "; parent=PATH names it, single-link=true does without";
  const struct link *child = chain->links[chain->nr - 1];
  struct search s = {
    .context = context, .chain = chain, .child = child,
    .may_ignore_cid = options->ignore_cid, .error = error,
  };
  const struct link_check check = { .accept = accept_parent, .opaque = &s };
  struct link *link;

  if (chain->nr == 1 && options->parent) {
    s.ignore_cid = options->ignore_cid;
    return opened (&s, link_open_user (context, options->parent, &check,
                                       error));
  }
  if (!child->parent_hint) {
    error_set (error, VMDK_ERROR_CORRUPT, EINVAL,
               "%s: is a snapshot, but does not say of what%s", child->name,
               chain->nr == 1 ? remedy : "");
    return NULL;
  }

  /* The right one, wherever it is, before any that is not; and none of these
   * if the right one may be there, but in use for example.
   */
  link = try_hints (&s);
  if (!link && s.found_another && !s.found_unreadable && s.may_ignore_cid) {
    s.ignore_cid = true;
    s.found_something = false;
    link = try_hints (&s);
  }
  if (!link && !s.found_something)
    error_set (error, VMDK_ERROR_IO, ENOENT,
               "%s: its parent %.300s was found neither beside it nor where "
               "that says%s", child->name, child->parent_hint,
               chain->nr == 1 ? remedy : "; it can be put beside it");
  return link;
}

/* Put a link at the end of the chain.  Consumes it. */
static int
append_link (struct chain *chain, struct link *link,
             struct vmdk_error *error)
{
  chain->links[chain->nr++] = link;
  if (chain->nr_extents + link->nr_extents > CHAIN_MAX_EXTENTS)
    return error_set (error, VMDK_ERROR_UNSUPPORTED, EINVAL,
                      "%s: the chain of parents has more than %d extents",
                      chain->links[0]->name, CHAIN_MAX_EXTENTS);
  chain->nr_extents += link->nr_extents;
  return 0;
}

static struct link *
open_top (const struct link_context *context, const struct chain_top *top,
          struct vmdk_error *error)
{
  bool missing;

  if (top->dir == -1)
    return link_open_user (context, top->name, NULL, error);
  if (top->is_entry)
    return link_open_entry (context, top->dir, top->name, error);
  return link_open_named (context, top->dir, top->name, NULL, &missing, error);
}

int
chain_open (const struct link_context *context,
            const struct link_context *parents, const struct chain_top *top,
            const struct vmdk_options *options, struct chain *chain,
            struct vmdk_error *error)
{
  struct progress progress;
  struct link *link;
  size_t i;

  *chain = (struct chain) { 0 };
  link = open_top (context, top, error);
  if (!link)
    return -1;
  if (append_link (chain, link, error) == -1)
    goto err;
  if (options->parent && link->is_bare)
    link->has_parent = true;
  if (options->parent && !link->has_parent) {
    error_set (error, VMDK_ERROR_INVALID, EINVAL,
               "%s: has no parent, so parent=%s cannot be it", link->name,
               options->parent);
    goto err;
  }

  progress_begin (&progress, context->env->logger, link->name,
                  "looking for its parents", 0);
  while (link->has_parent) {
    if (progress_at (&progress, chain->nr, error) == -1)
      goto err;
    if (options->single_link) {
      chain->cut = true;
      break;
    }
    if (chain->nr == CHAIN_MAX_LINKS) {
      error_set (error, VMDK_ERROR_UNSUPPORTED, EINVAL,
                 "%s: the chain of parents has more than %d links",
                 chain->links[0]->name, CHAIN_MAX_LINKS);
      goto err;
    }
    link = find_parent (parents, chain, options, error);
    if (!link || append_link (chain, link, error) == -1)
      goto err;
  }
  for (i = 0; i < chain->nr; ++i)
    link_release_folder (chain->links[i]);
  return 0;

 err:
  chain_close (chain);
  return -1;
}

int
chain_sync_inherited (const struct chain *chain, size_t first,
                      struct vmdk_error *error)
{
  size_t i, j;

  for (i = first; i < chain->nr; ++i)
    for (j = 0; j < chain->links[i]->nr_files; ++j)
      if (io_sync_inherited (chain->links[i]->files[j], error) == -1)
        return -1;
  return 0;
}

void
chain_close (struct chain *chain)
{
  while (chain->nr > 0)
    link_close (chain->links[--chain->nr]);
}
