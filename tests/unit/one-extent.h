/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* One extent in memory, and what it needs of an image. */

#ifndef VMDK_TESTS_ONE_EXTENT_H
#define VMDK_TESTS_ONE_EXTENT_H

#include <errno.h>

#include "extent.h"
#include "recover.h"
#include "unit.h"

/* Bytes, for each cache. */
#define BUDGET (UINT64_C (1) << 20)

struct one {
  uint8_t *data;                /* the file */
  size_t size;
  struct io *io;
  struct extent_env env;
  struct inflater_user inflating;
  struct budget indexes, rooms;
  struct recover_memory checks;
  struct captured log;
  struct logger logger;
  struct extent *extent;
};

/* A file of zeroes, to be filled in before it is opened. */
static inline void
one_init (struct one *o, size_t sectors)
{
  memset (o, 0, sizeof *o);
  o->size = sectors * SECTOR_SIZE;
  o->data = calloc (sectors, SECTOR_SIZE);
  assert_non_null (o->data);
}

/* Set up all but the extent itself.  May be called again. */
static inline void
one_prepare (struct one *o)
{
  struct vmdk_error error;

  if (o->extent)
    o->extent->ops->close (o->extent);
  o->extent = NULL;
  io_unref (o->io);
  inflaters_free (o->env.inflaters);
  grain_cache_free (o->env.grains);
  table_cache_free (o->env.tables);

  captured_init (&o->log, &o->logger);
  o->env.logger = &o->logger;
  budget_init (&o->indexes, BUDGET);
  budget_init (&o->rooms, BUDGET);
  o->env.indexes = &o->indexes;
  o->env.rooms = &o->rooms;
  recover_memory_init (&o->checks, BUDGET, BUDGET);
  o->env.checks = &o->checks;
  o->env.tables = table_cache_new (BUDGET);
  o->env.grains = grain_cache_new (BUDGET);
  o->env.inflaters = inflaters_new (BUDGET);
  o->env.inflating = &o->inflating;
  o->io = io_mem_new (o->data, o->size, "t.vmdk", &error);
  assert_true (o->env.tables && o->env.grains && o->env.inflaters && o->io);
}

static inline void
one_free (struct one *o)
{
  if (o->extent)
    o->extent->ops->close (o->extent);
  io_unref (o->io);
  inflaters_free (o->env.inflaters);
  grain_cache_free (o->env.grains);
  table_cache_free (o->env.tables);
  free (o->data);
}

/* 'place' is a sector, of runs that have one. */
static inline void
one_check_map (struct one *o, uint64_t offset, uint64_t count,
               enum map_purpose purpose, enum run_kind kind,
               uint64_t length, uint64_t place, const char *file, int line)
{
  struct run run = { .kind = RUN_BAD };
  struct vmdk_error error;

  if (o->extent->ops->map (o->extent, offset, count, purpose, &run,
                           &error) == -1) {
    print_error ("%s\n", error.message);
    _fail (file, line);
  }
  if (run.kind == kind && run.length == length &&
      (place == 0 || (run.io == o->io &&
                      run.offset == place * SECTOR_SIZE)))
    return;
  print_error ("%" PRIu64 " at %" PRIu64 ": expected kind %d for %" PRIu64
               " at sector %" PRIu64 ", got kind %d for %" PRIu64
               " at offset %" PRIu64 "\n", count, offset, kind, length,
               place, run.kind, run.length, run.offset);
  _fail (file, line);
}

/* In bytes, but for the place. */
#define assert_map(o, offset, count, kind, length, place)               \
  one_check_map (o, offset, count, MAP_FOR_READING, kind, length,       \
                 place, __FILE__, __LINE__)

#define assert_allocation(o, offset, count, kind, length)               \
  one_check_map (o, offset, count, MAP_FOR_ALLOCATION, kind, length,    \
                 0, __FILE__, __LINE__)

/* The first byte is in a RUN_BAD for the reason given. */
static inline void
one_check_bad (struct one *o, uint64_t offset, enum vmdk_error_kind kind,
               const char *piece, const char *file, int line)
{
  struct vmdk_error error = { .kind = VMDK_ERROR_NONE };

  one_check_map (o, offset, 1, MAP_FOR_READING, RUN_BAD, 1, 0, file, line);
  if (o->extent->ops->explain (o->extent, offset, &error) != -1)
    _fail (file, line);
  check_error (&error, kind, EIO, "t.vmdk: ", file, line);
  check_error (&error, kind, EIO, piece, file, line);
}

#define assert_bad(o, offset, piece)                            \
  one_check_bad (o, offset, VMDK_ERROR_CORRUPT, piece, __FILE__, __LINE__)

/* Read as an image without a parent does. */
static inline int
one_read (struct one *o, uint64_t offset, void *buf, uint64_t count,
          struct vmdk_error *error)
{
  struct extent *e = o->extent;
  uint8_t *p = buf;
  struct run run;

  for (; count > 0; offset += run.length, p += run.length) {
    int r = 0;

    if (e->ops->map (e, offset, count, MAP_FOR_READING, &run, error) == -1)
      return -1;
    assert_true (run.length > 0 && run.length <= count);
    if (run.kind == RUN_DATA)
      r = io_pread (run.io, p, run.length, run.offset, error);
    else if (run.kind == RUN_COMPRESSED)
      r = e->ops->inflate (e, &run, offset, p, error);
    else if (run.kind == RUN_BAD)
      r = e->ops->explain (e, offset, error);
    else
      memset (p, 0, run.length);
    if (r == -1)
      return -1;
    count -= run.length;
  }
  return 0;
}

static inline void
one_check_read (struct one *o, uint64_t offset, const void *expected,
                uint64_t count, const char *file, int line)
{
  uint8_t *buf = malloc (count);
  struct vmdk_error error;

  assert_non_null (buf);
  if (one_read (o, offset, buf, count, &error) == -1) {
    print_error ("read at %" PRIu64 ": %s\n", offset, error.message);
    _fail (file, line);
  }
  if (memcmp (buf, expected, count) != 0) {
    print_error ("wrong bytes at %" PRIu64 "\n", offset);
    _fail (file, line);
  }
  free (buf);
}

#define assert_read(o, offset, expected, count)                 \
  one_check_read (o, offset, expected, count, __FILE__, __LINE__)

#endif /* VMDK_TESTS_ONE_EXTENT_H */
