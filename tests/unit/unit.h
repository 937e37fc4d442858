/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* What the unit tests share: cmocka, errors, and the log. */

#ifndef VMDK_TESTS_UNIT_H
#define VMDK_TESTS_UNIT_H

/* cmocka.h needs these four, and does not include them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "error.h"

#define ARRAY_LENGTH(a) (sizeof (a) / sizeof (a)[0])

/* The promises of vmdkcore.h about every error, and those of the one
 * that is expected: its kind, its errno value unless 'err' is 0, and a
 * piece of its message.
 */
static inline void
check_error (const struct vmdk_error *error, enum vmdk_error_kind kind,
             int err, const char *piece, const char *file, int line)
{
  const size_t len = strnlen (error->message, sizeof error->message);
  bool ok = error->kind == kind && error->err != 0 &&
    (err == 0 || error->err == err) &&
    len > 0 && len < sizeof error->message;
  size_t i;

  for (i = 0; ok && i < len; ++i)
    ok = (unsigned char) error->message[i] >= 0x20 &&
      error->message[i] != 0x7f;
  if (ok && error->message[len-1] != '.' &&
      strstr (error->message, piece) != NULL)
    return;
  print_error ("expected an error of kind %d, errno %d, with '%s';\n"
               "got kind %d, errno %d, '%.*s'\n", kind, err, piece,
               error->kind, error->err, (int) len, error->message);
  _fail (file, line);
}

#define assert_error(error, kind, err, piece)                           \
  check_error (error, kind, err, piece, __FILE__, __LINE__)

/* A log that is kept: each line ends with a newline. */
struct captured {
  pthread_mutex_t lock;
  unsigned notes, warnings;
  char text[16384];
};

static inline void
capture (void *opaque, enum vmdk_log_level level, const char *message)
{
  struct captured *c = opaque;
  size_t len;

  pthread_mutex_lock (&c->lock);
  if (level == VMDK_LOG_WARNING)
    c->warnings++;
  else
    c->notes++;
  len = strlen (c->text);
  snprintf (c->text + len, sizeof c->text - len, "%s\n", message);
  pthread_mutex_unlock (&c->lock);
}

static inline void
captured_init (struct captured *c, struct logger *logger)
{
  pthread_mutex_init (&c->lock, NULL);
  c->notes = c->warnings = 0;
  c->text[0] = '\0';
  *logger = (struct logger) { .log = capture, .opaque = c };
}

/* Of who does not wait for anything any more. */
static inline bool
is_interrupted (void *opaque)
{
  (void) opaque;
  return true;
}

/* Of who has nothing to listen for. */
static const struct logger no_log __attribute__ ((unused));

static inline void
check_logged (const struct captured *c, unsigned warnings,
              const char *piece, const char *file, int line)
{
  if (c->warnings == warnings && strstr (c->text, piece))
    return;
  print_error ("expected %u warnings, with '%s'; got %u:\n%s\n",
               warnings, piece, c->warnings, c->text);
  _fail (file, line);
}

#define assert_logged(c, warnings, piece)                       \
  check_logged (c, warnings, piece, __FILE__, __LINE__)

/* Random numbers that are the same in every run (xorshift64*), so that
 * a failure comes again.
 */
static inline uint64_t
next_random (uint64_t *state)
{
  *state ^= *state >> 12;
  *state ^= *state << 25;
  *state ^= *state >> 27;
  return *state * UINT64_C (2685821657736338717);
}

/* One of 0 to n - 1. */
static inline uint64_t
random_below (uint64_t *state, uint64_t n)
{
  return (next_random (state) >> 16) % n;
}

#endif /* VMDK_TESTS_UNIT_H */
