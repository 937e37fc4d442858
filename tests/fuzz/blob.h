/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The files of an image in one piece, sparse: after a byte of options come
 *
 *   'F' N NAME          a file with a name of N bytes; the first is opened
 *   'T' SIZE            its size, 8 bytes
 *   'D' SECTOR N DATA   N bytes (4 and 2 bytes long) from this sector on
 *   'R' SEED            what is random in what is done with it, 8 bytes
 *
 * Numbers are little-endian.  pack.py makes them.
 */

#ifndef VMDK_FUZZ_BLOB_H
#define VMDK_FUZZ_BLOB_H

#include <stddef.h>
#include <stdint.h>

#define BLOB_MAX_FILES 8
#define BLOB_MAX_NAME 63

struct blob_files {
  uint64_t seed;
  unsigned nr;
  char names[BLOB_MAX_FILES][BLOB_MAX_NAME + 1];
};

/* The next record at 'p'. */
struct blob_record {
  char type;                    /* 0: there is none */
  uint64_t number;              /* size, sector or seed */
  const uint8_t *bytes;         /* name or data */
  size_t count;
};

/* Returns what follows. */
extern const uint8_t *blob_next (const uint8_t *p, const uint8_t *end,
                                 struct blob_record *record);

/* How large a record is, and put it at 'p'.  Returns what follows. */
extern size_t blob_size (const struct blob_record *record);
extern uint8_t *blob_put (uint8_t *p, const struct blob_record *record);

/* Make the files in the folder, replacing those of their names. */
extern void blob_write (const uint8_t *data, size_t size, int dir,
                        struct blob_files *files);

#endif /* VMDK_FUZZ_BLOB_H */
