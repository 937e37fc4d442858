/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Parsing of text in a test. */

#ifndef VMDK_TESTS_PARSE_H
#define VMDK_TESTS_PARSE_H

#include "descriptor.h"
#include "unit.h"

/* What came of a text, for the test to look at. */
struct parsed {
  struct descriptor d;
  struct vmdk_error error;
  struct captured log;
  int r;
};

/* The text is copied to memory of its own size, so that a checker of
 * memory sees a byte too many being read.
 */
static inline void
parse_bytes (struct parsed *p, const char *text, size_t len)
{
  char *copy = malloc (len + 1);
  struct logger logger;

  assert_non_null (copy);
  memcpy (copy + 1, text, len);
  captured_init (&p->log, &logger);
  memset (&p->error, 0, sizeof p->error);
  p->r = descriptor_parse (copy + 1, len, "t.vmdk", &logger, &p->d,
                           &p->error);
  free (copy);
}

static inline void
parse (struct parsed *p, const char *text)
{
  parse_bytes (p, text, strlen (text));
}

/* The text must be accepted. */
static inline void
check_parses (struct parsed *p, const char *text, const char *file,
              int line)
{
  parse (p, text);
  if (p->r == 0)
    return;
  print_error ("%s\nwas refused: %s\n", text, p->error.message);
  _fail (file, line);
}

#define assert_parses(p, text) check_parses (p, text, __FILE__, __LINE__)

/* The text must be refused, with this in the message. */
static inline void
check_refused (const char *text, enum vmdk_error_kind kind,
               const char *piece, const char *file, int line)
{
  struct parsed p;

  parse (&p, text);
  if (p.r == 0) {
    descriptor_free (&p.d);
    print_error ("%.300s\nwas accepted\n", text);
    _fail (file, line);
  }
  assert_int_equal (p.r, -1);
  check_error (&p.error, kind, 0, "t.vmdk: ", file, line);
  check_error (&p.error, kind, 0, piece, file, line);
}

#define assert_refused(text, kind, piece)                       \
  check_refused (text, kind, piece, __FILE__, __LINE__)

#endif /* VMDK_TESTS_PARSE_H */
