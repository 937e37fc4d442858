/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Grain directories and tables in memory, for the tests of gtable, and
 * a backend whose reads fail where a test wants them to.
 */

#ifndef VMDK_TESTS_TABLES_H
#define VMDK_TESTS_TABLES_H

#include <errno.h>

#include "gtable.h"
#include "io.h"
#include "unit.h"

struct tables;

struct tables_io {
  struct io io;
  struct tables *t;
};

/* A file with a directory from sector 4 on, its tables behind it, and
 * then, if wanted, both once more.  The tests' decoders take entries
 * below 'file_sectors' for good, whether there is memory for them or
 * not.
 */
struct tables {
  struct gtable_layout layout;
  struct gtable *gt;
  uint8_t *data;
  uint64_t size;                /* bytes that can be read */
  uint64_t file_sectors;
  uint64_t nr_tables;
  uint64_t first_table[2];      /* sectors, of the two copies */
  struct tables_io io;
  struct io *memory;
  struct captured log;
  struct logger logger;

  /* Should a read fail?  NULL: none does. */
  bool (*fails) (struct tables *t, uint64_t offset, size_t count);
  unsigned calls;               /* for the use of 'fails' */
  unsigned reads;               /* counted here */
};

static inline int
tables_pread (struct io *io, void *buf, size_t count, uint64_t offset,
              struct vmdk_error *error)
{
  struct tables *t = ((struct tables_io *) io)->t;

  t->reads++;
  if (t->fails && t->fails (t, offset, count))
    return error_sys (error, EIO, "pread: %s: offset=%" PRIu64
                      ", count=%zu", io->name, offset, count);
  return io_pread (t->memory, buf, count, offset, error);
}

/* Nothing else of a backend is used by gtable. */
static const struct io_ops tables_ops = {
  .pread = tables_pread,
};

static inline uint64_t
tables_decode_table (void *opaque, uint64_t table, uint64_t raw)
{
  const struct tables *t = opaque;

  assert_true (table < t->nr_tables);
  if (raw == 0)
    return ENTRY_HOLE;
  return raw < 4 || raw >= t->file_sectors ? ENTRY_BAD : raw;
}

static inline uint64_t
tables_decode_grain (void *opaque, uint64_t grain, uint64_t raw,
                     bool *partial)
{
  const struct tables *t = opaque;

  assert_true (grain < t->layout.nr_grains);
  if (raw == 0)
    return ENTRY_HOLE;
  if (raw == 1)
    return ENTRY_ZERO;
  if (raw < 4 || raw >= t->file_sectors)
    return ENTRY_BAD;
  *partial = raw + t->layout.grain_size > t->file_sectors;
  return raw;
}

static inline void
tables_store (struct tables *t, uint64_t sector, uint64_t i, uint64_t raw)
{
  uint8_t *p = t->data + sector * SECTOR_SIZE + i * t->layout.entry_size;

  assert_true (p + t->layout.entry_size <= t->data + t->size);
  if (t->layout.entry_size == 4)
    store_le32 (p, (uint32_t) raw);
  else
    store_le64 (p, raw);
}

/* Set an entry of a copy of the directory. */
static inline void
tables_set_table (struct tables *t, unsigned copy, uint64_t table,
                  uint64_t raw)
{
  tables_store (t, t->layout.directory[copy], table, raw);
}

/* The sector of a table of one of the copies. */
static inline uint64_t
tables_sector (const struct tables *t, unsigned copy, uint64_t table)
{
  return t->first_table[copy] + table * t->layout.table_size;
}

/* Set an entry of a table of a copy. */
static inline void
tables_set_grain (struct tables *t, unsigned copy, uint64_t grain,
                  uint64_t raw)
{
  const uint64_t e = t->layout.entries_per_table;

  tables_store (t, tables_sector (t, copy, grain / e), grain % e, raw);
}

/* Set it in each copy that there is. */
static inline void
tables_set_grains (struct tables *t, uint64_t grain, uint64_t raw)
{
  tables_set_grain (t, 0, grain, raw);
  if (t->layout.directory[1] != 0)
    tables_set_grain (t, 1, grain, raw);
}

/* The first sector behind all tables: grains may begin here. */
static inline uint64_t
tables_end (const struct tables *t)
{
  return t->size / SECTOR_SIZE;
}

/* All tables are there, and all grains are holes. */
static inline void
tables_init (struct tables *t, unsigned entry_size, uint32_t e,
             uint64_t nr_grains, uint64_t grain_size, bool redundant)
{
  uint64_t directory_size, sector = 4, table;
  struct vmdk_error error;
  unsigned copy;

  memset (t, 0, sizeof *t);
  captured_init (&t->log, &t->logger);
  t->nr_tables = div_up (nr_grains, e);
  t->layout = (struct gtable_layout) {
    .io = &t->io.io, .logger = &t->logger, .entry_size = entry_size,
    .entries_per_table = e, .nr_grains = nr_grains,
    .grain_size = grain_size,
    .table_size = div_up ((uint64_t) e * entry_size, SECTOR_SIZE),
    .decode_table = tables_decode_table,
    .decode_grain = tables_decode_grain,
    .opaque = t,
  };
  directory_size = div_up (t->nr_tables * entry_size, SECTOR_SIZE);
  for (copy = 0; copy < (redundant ? 2 : 1); ++copy) {
    t->layout.directory[copy] = sector;
    t->first_table[copy] = sector + directory_size;
    sector = t->first_table[copy] + t->nr_tables * t->layout.table_size;
  }
  t->size = sector * SECTOR_SIZE;
  t->file_sectors = UINT64_C (1) << 31;
  t->data = calloc (1, t->size);
  assert_non_null (t->data);
  for (copy = 0; copy < (redundant ? 2 : 1); ++copy)
    for (table = 0; table < t->nr_tables; ++table)
      tables_set_table (t, copy, table, tables_sector (t, copy, table));

  t->layout.cache = table_cache_new (UINT64_C (16) << 20);
  assert_non_null (t->layout.cache);
  t->memory = io_mem_new (t->data, t->size, "t.vmdk", &error);
  assert_non_null (t->memory);
  t->io.t = t;
  t->io.io = (struct io) {
    .ops = &tables_ops, .name = t->memory->name, .size = t->size,
  };
}

/* The tables are complete. */
static inline void
tables_open (struct tables *t)
{
  t->gt = gtable_new (&t->layout);
  assert_non_null (t->gt);
}

/* Let the file end earlier, or open with entries changed since. */
static inline void
tables_reopen (struct tables *t, uint64_t size)
{
  struct vmdk_error error;

  gtable_free (t->gt);
  table_cache_free (t->layout.cache);
  t->layout.cache = table_cache_new (UINT64_C (16) << 20);
  assert_non_null (t->layout.cache);
  io_unref (t->memory);
  t->memory = io_mem_new (t->data, size, "t.vmdk", &error);
  assert_non_null (t->memory);
  t->io.io.name = t->memory->name;
  t->io.io.size = size;
  captured_init (&t->log, &t->logger);
  tables_open (t);
}

static inline void
tables_free (struct tables *t)
{
  gtable_free (t->gt);
  table_cache_free (t->layout.cache);
  io_unref (t->memory);
  free (t->data);
}

static inline void
tables_check_run (struct tables *t, uint64_t grain, uint64_t max,
                  bool by_allocation, uint64_t code, uint64_t count,
                  const char *file, int line)
{
  uint64_t got_code = 99, got_count = 99;
  struct vmdk_error error;

  if (gtable_run (t->gt, grain, max, by_allocation, &got_code, &got_count,
                  &error) == -1) {
    print_error ("%s\n", error.message);
    _fail (file, line);
  }
  if (got_code == code && got_count == count)
    return;
  print_error ("grain %" PRIu64 ", at most %" PRIu64 ": expected code %"
               PRIu64 " for %" PRIu64 ", got %" PRIu64 " for %" PRIu64
               "\n", grain, max, code, count, got_code, got_count);
  _fail (file, line);
}

#define assert_run(t, grain, max, code, count)                          \
  tables_check_run (t, grain, max, false, code, count, __FILE__, __LINE__)

#define assert_run_by_allocation(t, grain, max, code, count)            \
  tables_check_run (t, grain, max, true, code, count, __FILE__, __LINE__)

static inline void
tables_check_explain (struct tables *t, uint64_t grain,
                      enum vmdk_error_kind kind, const char *piece,
                      const char *file, int line)
{
  struct vmdk_error error = { .kind = VMDK_ERROR_NONE };

  if (gtable_explain (t->gt, grain, &error) != -1)
    _fail (file, line);
  check_error (&error, kind, 0, "t.vmdk: ", file, line);
  check_error (&error, kind, 0, piece, file, line);
}

#define assert_explained(t, grain, kind, piece)                         \
  tables_check_explain (t, grain, kind, piece, __FILE__, __LINE__)

#endif /* VMDK_TESTS_TABLES_H */
