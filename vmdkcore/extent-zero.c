/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The two kinds of extent that have no file: ZERO reads as zeroes, and
 * what is NOACCESS cannot be read.
 */

#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "extent.h"

static int
zero_map (struct extent *extent, uint64_t offset, uint64_t count,
          enum map_purpose purpose, struct run *run,
          struct vmdk_error *error)
{
  (void) extent;
  (void) offset;
  (void) purpose;
  (void) error;
  run->kind = RUN_ZERO;
  run->length = count;
  return 0;
}

static int
noaccess_map (struct extent *extent, uint64_t offset, uint64_t count,
              enum map_purpose purpose, struct run *run,
              struct vmdk_error *error)
{
  (void) extent;
  (void) offset;
  (void) purpose;
  (void) error;
  run->kind = RUN_BAD;
  run->length = count;
  return 0;
}

struct noaccess {
  struct extent extent;
  char *name;
  unsigned line;
};

static int
noaccess_explain (struct extent *extent, uint64_t offset,
                  struct vmdk_error *error)
{
  const struct noaccess *n = (const struct noaccess *) extent;

  (void) offset;
  return error_set (error, VMDK_ERROR_DENIED, EIO,
                    "%s: line %u of the descriptor marks this range "
                    "NOACCESS", n->name, n->line);
}

static void
noaccess_close (struct extent *extent)
{
  struct noaccess *n = (struct noaccess *) extent;

  free (n->name);
  free (n);
}

static int
zero_explain (struct extent *extent, uint64_t offset,
              struct vmdk_error *error)
{
  (void) extent;
  (void) offset;
  (void) error;
  abort ();                     /* zeroes have no bad runs */
}

static void
zero_close (struct extent *extent)
{
  free (extent);
}

static const struct extent_ops zero_ops = {
  .map = zero_map,
  .explain = zero_explain,
  .close = zero_close,
};

static const struct extent_ops noaccess_ops = {
  .map = noaccess_map,
  .explain = noaccess_explain,
  .close = noaccess_close,
};

struct extent *
extent_zero_new (uint64_t length, struct vmdk_error *error)
{
  struct extent *e = calloc (1, sizeof *e);

  if (!e) {
    error_nomem (error);
    return NULL;
  }
  e->ops = &zero_ops;
  e->length = length;
  return e;
}

struct extent *
extent_noaccess_new (const char *name, unsigned line, uint64_t length,
                     struct vmdk_error *error)
{
  struct noaccess *n = calloc (1, sizeof *n);

  if (!n || !(n->name = strdup (name))) {
    free (n);
    error_nomem (error);
    return NULL;
  }
  n->extent.ops = &noaccess_ops;
  n->extent.length = length;
  n->line = line;
  return &n->extent;
}
