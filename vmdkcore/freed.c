/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <search.h>
#include <stdlib.h>

#include "freed.h"

/* Grains that followed each other in the file. */
struct record {
  uint64_t grain, n;
  uint64_t place;               /* sector of the first */
};

/* Records that meet are the same to the tree. */
static int
compare (const void *a, const void *b)
{
  const struct record *x = a, *y = b;

  if (x->grain + x->n <= y->grain)
    return -1;
  return x->grain >= y->grain + y->n;
}

static struct record *
find (const struct freed *f, uint64_t grain, uint64_t n)
{
  const struct record key = { .grain = grain, .n = n };
  struct record **found = tfind (&key, &f->tree, compare);

  return found ? *found : NULL;
}

static void
remove_record (struct freed *f, struct record *r)
{
  tdelete (r, &f->tree, compare);
  free (r);
  atomic_fetch_sub (&f->nr, 1);
}

int
freed_add (struct freed *f, uint64_t grain, uint64_t n, uint64_t place,
           struct vmdk_error *error)
{
  struct record *r = malloc (sizeof *r);

  if (r) {
    *r = (struct record) { .grain = grain, .n = n, .place = place };
    if (tsearch (r, &f->tree, compare)) {
      atomic_fetch_add (&f->nr, 1);
      return 0;
    }
  }
  free (r);
  return error_nomem (error);
}

void
freed_remove (struct freed *f, uint64_t grain, uint64_t n)
{
  struct record *r = find (f, grain, n);

  if (r)
    remove_record (f, r);
}

uint64_t
freed_gap (const struct freed *f, uint64_t grain, uint64_t n)
{
  /* Any record that meets the range says where to look on. */
  while (n > 0) {
    const struct record *r = find (f, grain, n);

    if (!r)
      break;
    n = r->grain > grain ? r->grain - grain : 0;
  }
  return n;
}

int
freed_take (struct freed *f, uint64_t grain, uint64_t grain_size,
            uint64_t *place, struct vmdk_error *error)
{
  struct record *r = find (f, grain, 1);
  uint64_t before, behind;

  if (!r)
    return 0;
  before = grain - r->grain;
  behind = r->n - before - 1;
  *place = r->place + before * grain_size;
  if (before == 0 && behind == 0)
    remove_record (f, r);
  else if (before == 0) {
    r->grain++;
    r->n--;
    r->place += grain_size;
  }
  else {
    r->n = before;
    if (behind > 0 &&
        freed_add (f, grain + 1, behind, *place + grain_size, error) == -1) {
      r->n = before + 1 + behind;
      return -1;
    }
  }
  return 1;
}

void
freed_move (struct freed *f, struct freed *to)
{
  to->tree = f->tree;
  atomic_store (&to->nr, atomic_load (&f->nr));
  f->tree = NULL;
  atomic_store (&f->nr, 0);
}

struct walk {
  void (*visit) (void *opaque, uint64_t place, uint64_t n);
  void *opaque;
};

static void
visit_node (const void *node, VISIT order, void *closure)
{
  const struct record *r = *(const struct record *const *) node;
  const struct walk *walk = closure;

  if (order == postorder || order == leaf)
    walk->visit (walk->opaque, r->place, r->n);
}

void
freed_walk (const struct freed *f,
            void (*visit) (void *opaque, uint64_t place, uint64_t n),
            void *opaque)
{
  struct walk walk = { visit, opaque };

  twalk_r (f->tree, visit_node, &walk);
}

void
freed_clear (struct freed *f)
{
  tdestroy (f->tree, free);
  f->tree = NULL;
  atomic_store (&f->nr, 0);
}
