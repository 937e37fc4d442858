/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Binary headers of extents: decode, validate, encode; pure functions. */

#ifndef VMDK_HEADER_H
#define VMDK_HEADER_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

/* What the first bytes of a file say that it is. */
enum file_kind {
  FILE_UNKNOWN,
  FILE_HOSTED,                  /* KDMV: hosted sparse */
  FILE_UNFINISHED,              /* kdmv: a hosted sparse being written */
  FILE_COWD,
  FILE_SESPARSE,
  FILE_CTK,                     /* changed-block tracking */
  FILE_GZIP
};

/* What is a file that begins with these 'len' bytes, of which 8 are enough and
 * any number will do?
 */
extern enum file_kind header_probe (const uint8_t *p, uint64_t len);

/* The hosted sparse header (Virtual Disk Format 5.0, "Hosted Sparse
 * Extent Header").  Sizes and offsets in sectors.
 */
struct hosted_header {
  uint32_t version;
  uint32_t flags;
  uint64_t capacity;
  uint64_t grain_size;
  uint64_t descriptor_offset;
  uint64_t descriptor_size;
  uint32_t entries_per_table;
  uint64_t rgd_offset;          /* 0 unless HOSTED_REDUNDANT is set */
  uint64_t gd_offset;
  uint64_t overhead;
  bool newlines_changed;        /* by a transfer as text */
  bool unclean;
  uint16_t compression;
};

#define HOSTED_HEADER_SIZE 512
#define HOSTED_UNCLEAN 72       /* offset of a field of 8 bits */

#define HOSTED_NEWLINE_TEST  UINT32_C (0x00000001)
#define HOSTED_REDUNDANT     UINT32_C (0x00000002)
#define HOSTED_ZEROED_GRAINS UINT32_C (0x00000004)
#define HOSTED_COMPRESSED    UINT32_C (0x00010000)
#define HOSTED_MARKERS       UINT32_C (0x00020000)

/* gd_offset of a stream whose footer has the true one. */
#define HOSTED_GD_AT_END UINT64_MAX

/* The largest grain, in sectors, and grain table, in entries. */
#define MAX_GRAIN_SIZE UINT64_C (0x10000)
#define MAX_TABLE_ENTRIES UINT32_C (0x10000)

/* Number of grains of the extent, and of grain tables that it needs. */
extern uint64_t hosted_nr_grains (const struct hosted_header *h);
extern uint64_t hosted_nr_tables (const struct hosted_header *h);

/* Is the file only a wrapper around a descriptor of other files? */
extern bool hosted_is_wrapper (const struct hosted_header *h);

/* Decode HOSTED_HEADER_SIZE bytes whose magic has been checked. */
extern void hosted_decode (const uint8_t *p, struct hosted_header *h);

/* The opposite: fill HOSTED_HEADER_SIZE bytes at 'p'. */
extern void hosted_encode (const struct hosted_header *h, uint8_t *p);

/* Check every field, against each other and against the length of the
 * file in bytes, so that the rest of the code can compute with them:
 * afterwards the descriptor and each directory lie in the file, and no
 * product or sum of fields wraps.  A directory that does not is an
 * error only if there is no other one: an unusable copy is set to 0.
 */
extern int hosted_validate (struct hosted_header *h, uint64_t file_size,
                            const char *name, const struct logger *logger,
                            struct vmdk_error *error);

/* The part of hosted_validate that checks where the directories are.
 * The header of a stream passes hosted_validate without it, since only
 * the footer may know.
 */
extern int hosted_validate_directories (struct hosted_header *h,
                                        uint64_t file_size,
                                        const char *name,
                                        const struct logger *logger,
                                        struct vmdk_error *error);

/* Does a directory lie upon the descriptor, or upon the other one?  Such an
 * image can be read, if what it says makes sense, but nothing in it can be
 * changed without a change to something else.
 */
extern bool hosted_directories_overlap (const struct hosted_header *h);

/* The sector behind the header, the descriptor and the directories,
 * wherever they lie; at least 2.
 */
extern uint64_t hosted_metadata_end (const struct hosted_header *h);

/* Does a range of sectors meet the header, descriptor or a directory?
 * 'sector' and 'n' are below 2^33.
 */
extern bool hosted_is_metadata (const struct hosted_header *h,
                                uint64_t sector, uint64_t n);

/* A marker in a stream: 512 bytes in front of metadata, or 12 bytes in
 * front of a compressed grain.
 */
struct stream_marker {
  uint64_t value;               /* grain: first sector in the extent;
                                   metadata: sectors that follow */
  uint32_t size;                /* grain: bytes that follow; metadata: 0 */
  uint32_t type;                /* of metadata */
};

#define STREAM_MARKER_SIZE 16
#define STREAM_GRAIN_DATA 12    /* offset of the data of a grain */

enum {
  STREAM_EOS = 0,
  STREAM_TABLE = 1,
  STREAM_DIRECTORY = 2,
  STREAM_FOOTER = 3,
  STREAM_PROGRESS = 4           /* seen in streams made by vSphere */
};

/* Decode the first STREAM_MARKER_SIZE bytes of a marker. */
extern void stream_marker_decode (const uint8_t *p,
                                  struct stream_marker *m);

/* Can this be the marker of a grain of the extent? */
extern bool stream_grain_is_plausible (const struct hosted_header *h,
                                       const struct stream_marker *m);

/* The COWD header (Virtual Disk Format 5.0, "ESX Server Sparse Extent
 * Header").  Sizes and offsets in sectors.
 */
struct cowd_header {
  uint32_t version;
  uint32_t capacity;
  uint32_t grain_size;
  uint32_t gd_offset;
  uint32_t nr_tables;
  uint32_t entries_per_table;   /* by what the others imply */
  bool unclean;
  bool has_parent;              /* an old hosted disk with a parent */
  char parent_name[1025];
};

#define COWD_HEADER_SIZE 2048
#define COWD_FREE_SECTOR 28     /* offset of a field of 32 bits */
#define COWD_UNCLEAN 1648       /* likewise */

/* Decode COWD_HEADER_SIZE bytes whose magic has been checked, and check
 * the fields as hosted_validate does.  h->has_parent and h->parent_name are
 * filled in also on failure.
 */
extern int cowd_decode (const uint8_t *p, uint64_t file_size,
                        const char *name, struct cowd_header *h,
                        struct vmdk_error *error);

/* Fill COWD_HEADER_SIZE bytes at 'p' with the header of a file that has no
 * tables yet.
 */
extern void cowd_encode (const struct cowd_header *h, uint8_t *p);

/* What is needed of the seSparse constant header.  Sizes and offsets in
 * sectors.
 */
struct sesparse_header {
  uint64_t capacity;
  uint64_t volatile_offset;     /* of the volatile header */
  uint64_t gd_offset;
  uint64_t tables_offset, tables_size;
  uint64_t grains_offset, grains_size;
};

#define SESPARSE_HEADER_SIZE 512
#define SESPARSE_GRAIN_SIZE UINT64_C (8)
#define SESPARSE_TABLE_SIZE UINT64_C (64)
#define SESPARSE_TABLE_ENTRIES 4096

/* Decode SESPARSE_HEADER_SIZE bytes of the constant header, whose magic
 * has been checked, and check its fields as hosted_validate does.
 * Afterwards the volatile header lies in the file.
 */
extern int sesparse_decode (const uint8_t *p, uint64_t file_size,
                            const char *name, struct sesparse_header *h,
                            struct vmdk_error *error);

/* Check the SESPARSE_HEADER_SIZE bytes of the volatile header. */
extern int sesparse_check_volatile (const uint8_t *p, const char *name,
                                    struct vmdk_error *error);

#endif /* VMDK_HEADER_H */
