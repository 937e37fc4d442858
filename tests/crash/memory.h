/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Memory that runs out when a record says so.
 *
 * Programs are linked with MEMORY_LDFLAGS, so that the core's allocations
 * come through here.  Those of the harness, which go through util.h, are
 * not counted and never fail.
 */

#ifndef CRASH_MEMORY_H
#define CRASH_MEMORY_H

#include "record.h"

/* From now on the record is asked about each allocation of the core; NULL:
 * about none.  Not while threads run that allocate.
 */
extern void memory_watch (struct record *rec);

extern void *__real_malloc (size_t size);
extern void *__real_calloc (size_t n, size_t size);
extern void *__real_realloc (void *p, size_t size);
extern void *__real_reallocarray (void *p, size_t n, size_t size);

extern void *__wrap_malloc (size_t size);
extern void *__wrap_calloc (size_t n, size_t size);
extern void *__wrap_realloc (void *p, size_t size);
extern void *__wrap_reallocarray (void *p, size_t n, size_t size);

#endif /* CRASH_MEMORY_H */
