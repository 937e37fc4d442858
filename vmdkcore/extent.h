/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* One extent: a contiguous piece of the virtual disk and how it is
 * stored.  Every kind answers one question, "what is the longest
 * uniform run at this offset?", and everything else is built on it.
 */

#ifndef VMDK_EXTENT_H
#define VMDK_EXTENT_H

#include "budget.h"
#include "cache.h"
#include "header.h"
#include "inflate.h"
#include "io.h"
#include "tablecache.h"

enum run_kind {
  RUN_DATA,                     /* bytes at a place in a backend */
  RUN_COMPRESSED,               /* within one grain, to be inflated */
  RUN_ZERO,                     /* stored nowhere, reads as zeroes */
  RUN_HOLE,                     /* not allocated in this link */
  RUN_BAD                       /* cannot be read */
};

struct run {
  enum run_kind kind;
  uint64_t length;              /* bytes, at least 1 */
  struct io *io;                /* of the first two kinds: borrowed */
  uint64_t offset;              /* bytes in io; of the whole grain if it
                                   is compressed */
};

/* What the answer will be used for. */
enum map_purpose {
  MAP_FOR_READING,
  /* Only the kind and length matter: data need not be in one piece, and
   * holes of the host file are looked for.
   */
  MAP_FOR_ALLOCATION
};

struct alloc;
struct extent;
struct recover_memory;

struct extent_ops {
  /* The longest run at 'offset' (bytes, inside the extent), at most
   * 'count' bytes (count > 0; the range lies in the extent).  Damage is
   * a run of kind RUN_BAD, not an error.  Any thread; holds no lock
   * over I/O.
   */
  int (*map) (struct extent *extent, uint64_t offset, uint64_t count,
              enum map_purpose purpose, struct run *run,
              struct vmdk_error *error);

  /* Read a RUN_COMPRESSED, which map gave for 'offset': its whole
   * length, into 'buf'.  NULL in kinds without such runs.  Any thread;
   * may wait for another one that inflates the same grain.
   */
  int (*inflate) (struct extent *extent, const struct run *run,
                  uint64_t offset, void *buf, struct vmdk_error *error);

  /* Say in *error why 'offset', in a RUN_BAD, cannot be read.
   * Returns -1.
   */
  int (*explain) (struct extent *extent, uint64_t offset,
                  struct vmdk_error *error);

  /* Free the extent and drop its backend.  NULL is not passed. */
  void (*close) (struct extent *extent);
};

/* Kinds embed this as their first member. */
struct extent {
  const struct extent_ops *ops;
  uint64_t start;               /* in the disk, bytes; the link's */
  uint64_t length;              /* bytes */
  uint64_t grain_size;          /* bytes; 0 if it has no grains */

  /* To write: places for grains, NULL in kinds that write in place; and why
   * it cannot be written though its file can, NULL if it can.
   */
  struct alloc *alloc;
  bool zero_entries;            /* a grain can be marked as zeroes */
  const char *read_only;
};

/* What the extents of an image share; outlives them. */
struct extent_env {
  const struct logger *logger;
  struct table_cache *tables;
  struct grain_cache *grains;
  struct inflaters *inflaters;
  struct inflater_user *inflating; /* the image */
  struct budget *indexes;       /* bytes, for the indexes of streams */
  struct budget *rooms;         /* bytes, to remember places without a grain */
  struct budget *extents;       /* how many there may be */
  struct recover_memory *checks; /* of tables */
  bool salvage;                 /* serve what is there of a cut stream */
};

/* The constructors take a new reference to 'io' on success, and return
 * NULL with *error set otherwise.  Lengths and offsets are in bytes,
 * and at most MAX_SECTORS sectors.
 */

/* The 'length' bytes of a file from 'offset' on. */
extern struct extent *extent_flat_new (struct io *io, uint64_t offset,
                                       uint64_t length,
                                       struct vmdk_error *error);

/* Zeroes stored nowhere. */
extern struct extent *extent_zero_new (uint64_t length,
                                       struct vmdk_error *error);

/* A range that must not be touched, by a line of the descriptor 'name',
 * which is copied.
 */
extern struct extent *extent_noaccess_new (const char *name, unsigned line,
                                           uint64_t length,
                                           struct vmdk_error *error);

/* A hosted sparse file with uncompressed grains, whose header has been
 * validated.  'env' is borrowed until it is closed.
 */
extern struct extent *extent_sparse_new (struct io *io,
                                         const struct hosted_header *header,
                                         uint64_t length,
                                         const struct extent_env *env,
                                         struct vmdk_error *error);

/* The same for one with compressed grains (streamOptimized), for a COWD
 * and for a seSparse file.
 */
extern struct extent *extent_stream_new (struct io *io,
                                         const struct hosted_header *header,
                                         uint64_t length,
                                         const struct extent_env *env,
                                         struct vmdk_error *error);

extern struct extent *extent_cowd_new (struct io *io,
                                       const struct cowd_header *header,
                                       uint64_t length,
                                       const struct extent_env *env,
                                       struct vmdk_error *error);
extern struct extent *
extent_sesparse_new (struct io *io, const struct sesparse_header *header,
                     uint64_t length, const struct extent_env *env,
                     struct vmdk_error *error);

#endif /* VMDK_EXTENT_H */
