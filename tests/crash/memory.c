/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>

#include "memory.h"

static struct record *watcher;

void
memory_watch (struct record *rec)
{
  watcher = rec;
}

static bool
refuses (size_t size)
{
  if (!watcher || !record_refuses_memory (watcher, size))
    return false;
  errno = ENOMEM;
  return true;
}

void *
__wrap_malloc (size_t size)
{
  return refuses (size) ? NULL : __real_malloc (size);
}

void *
__wrap_calloc (size_t n, size_t size)
{
  return refuses (n * size) ? NULL : __real_calloc (n, size);
}

void *
__wrap_realloc (void *p, size_t size)
{
  return refuses (size) ? NULL : __real_realloc (p, size);
}

void *
__wrap_reallocarray (void *p, size_t n, size_t size)
{
  return refuses (n * size) ? NULL : __real_reallocarray (p, n, size);
}
