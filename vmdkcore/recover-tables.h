/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The inside of recovery: reading both copies of the tables, and deciding
 * what they must say.
 */

#ifndef VMDK_RECOVER_TABLES_H
#define VMDK_RECOVER_TABLES_H

#include "bytes.h"
#include "progress.h"
#include "recover.h"

#define MAX_ENTRIES 65536       /* of a table */

/* So much is read at once, where tables follow each other; at least the
 * largest table.
 */
#define READ_SIZE (MAX_ENTRIES * 4)

/* What cannot be the code of an entry of 32 bits stands for ENTRY_BAD. */
#define BAD_ENTRY UINT32_MAX

/* What is known of a table, in few bytes: there may be many. */
struct table {
  uint32_t at[2];               /* sectors; ENTRY_HOLE; BAD_ENTRY */
  uint16_t low, high;           /* where its grains are, in STEPs */
  uint8_t state;                /* of these bits: */
};

#define CHECKED 1
#define DIFFERS 2               /* the copies do */
#define UNREADABLE 4            /* shifted by the number of the copy */
#define MADE 16                 /* the same */

#define STEP UINT64_C (65536)   /* sectors */

/* A copy of the directory, and what was read of its tables. */
struct copy {
  uint64_t directory;           /* sector */
  uint8_t *buf;
  uint64_t buf_start, buf_end;  /* bytes of the file */
};

/* Those who use sectors.  What else there is, entries cannot name. */
enum user_kind { NOBODY, DIRECTORY, TABLE, GRAIN };

struct user {
  enum user_kind kind;
  unsigned copy;
  uint64_t number, sector;
};

struct check {
  const struct gtable_layout *l;
  struct progress progress;
  struct vmdk_error *error;
  struct recover_report *report;
  struct copy copies[2];        /* the primary first */
  unsigned nr_copies;
  uint64_t nr_tables, nr_missing;
  struct table *tables;
  size_t table_bytes;

  /* Entries between these two need no decoding. */
  uint64_t plain_from, plain_until;

  /* The entries that a table must have, and what was seen of them. */
  uint32_t *merged;
  uint64_t differing, allocated, low, high;

  /* One bit for each sector from 'window' on that is in use; or the first
   * user of the window is searched.
   */
  uint64_t *bits;
  uint64_t window, window_end, window_size;
  bool searching;
  struct user found;

  const struct recover_unused *unused;
  uint64_t unused_from;         /* the first sector not told of yet */

  uint8_t *image;               /* a table to be written */
};

static inline bool
has_table (const struct table *t, unsigned copy)
{
  return t->at[copy] != ENTRY_HOLE && t->at[copy] != BAD_ENTRY;
}

static inline uint64_t
nr_entries (const struct check *c, uint64_t number)
{
  return min_u64 (c->l->entries_per_table,
                  c->l->nr_grains - number * c->l->entries_per_table);
}

/* Set *c->error to VMDK_ERROR_CORRUPT.  Returns -1. */
extern int recover_damaged (const struct check *c, const char *fmt, ...)
  __attribute__ ((format (printf, 2, 3)));

/* Read a copy of the directory into c->tables.  An entry that is bad, or
 * names a place where the table cannot be, becomes BAD_ENTRY.
 */
extern int recover_load_directory (struct check *c, unsigned copy);

/* Read both copies of a table that exists to raw[], where one that is not
 * there is the other once more, and one that cannot be read is NULL; and put
 * what both must say into c->merged, and what was seen into c->differing and
 * those after it.  Fails if that cannot be decided, or the table cannot be
 * read.  What is in raw[] stays until the next call.
 */
extern int recover_read_table (struct check *c, uint64_t number,
                               const uint8_t *raw[2]);

#endif /* VMDK_RECOVER_TABLES_H */
