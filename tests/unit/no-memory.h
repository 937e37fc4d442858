/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Memory that runs out when a test wants it to, for the core and the test
 * itself: for programs that are linked with NO_MEMORY_LDFLAGS.
 */

#ifndef VMDK_TESTS_NO_MEMORY_H
#define VMDK_TESTS_NO_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* So many allocations succeed before one fails; negative: all succeed. */
static int allocations_left = -1;

static bool
allocation_fails (void)
{
  return allocations_left >= 0 && allocations_left-- == 0;
}

extern void *__real_malloc (size_t size);
extern void *__wrap_malloc (size_t size);
extern void *__real_calloc (size_t n, size_t size);
extern void *__wrap_calloc (size_t n, size_t size);
extern void *__real_reallocarray (void *p, size_t n, size_t size);
extern void *__wrap_reallocarray (void *p, size_t n, size_t size);

void *
__wrap_malloc (size_t size)
{
  return allocation_fails () ? NULL : __real_malloc (size);
}

void *
__wrap_calloc (size_t n, size_t size)
{
  return allocation_fails () ? NULL : __real_calloc (n, size);
}

void *
__wrap_reallocarray (void *p, size_t n, size_t size)
{
  return allocation_fails () ? NULL : __real_reallocarray (p, n, size);
}

#endif /* VMDK_TESTS_NO_MEMORY_H */
