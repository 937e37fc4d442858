/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Small things that all of the crash and fault harness uses. */

#ifndef CRASH_UTIL_H
#define CRASH_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECTOR 512

/* The harness itself cannot go on: exits with status 2. */
extern void die (const char *fmt, ...)
  __attribute__ ((format (printf, 1, 2), noreturn));

/* These do not count for memory.h. */
extern void *must_alloc (size_t size);  /* zeroed */
extern void *must_realloc (void *p, size_t size);
extern char *must_print (const char *fmt, ...)
  __attribute__ ((format (printf, 1, 2)));

/* A sequence of random numbers, whose state is one number. */
extern uint64_t next_random (uint64_t *state);

/* One of 0 to n - 1. */
extern uint64_t random_below (uint64_t *state, uint64_t n);

/* A random number that depends on nothing but its arguments. */
extern uint64_t mix (uint64_t a, uint64_t b);

/* Numbers of the format are little-endian. */
extern uint32_t get32 (const uint8_t *p);
extern uint64_t get64 (const uint8_t *p);
extern void put32 (uint8_t *p, uint32_t v);
extern void put64 (uint8_t *p, uint64_t v);

/* Fill a range of a disk with what operation 'number' of a test writes
 * there: each eight bytes say which operation it was, and where.
 */
extern void fill_pattern (uint8_t *buf, uint64_t count, uint64_t offset,
                          uint32_t number);

/* Say what a sector seems to hold, in at most 'size' bytes of text. */
extern void describe_sector (const uint8_t *sector, char *text, size_t size);

/* Make a folder for temporary files; its name, to be freed. */
extern char *make_folder (const char *program);

/* Delete a folder and all in it; one that does not exist is good. */
extern void remove_folder (const char *path);

#endif /* CRASH_UTIL_H */
