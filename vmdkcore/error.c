/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "charset.h"
#include "error.h"

#undef error_set
#undef error_sys
#undef error_prefix
#undef error_nomem

static void
make_printable (char *s)
{
  size_t left = strlen (s);

  while (left > 0) {
    const size_t len = charset_utf8_length (s, left);
    const size_t step = len > 0 ? len : 1;

    if (charset_is_control (s, len))
      memset (s, '?', step);
    s += step;
    left -= step;
  }
}

int
error_set (struct vmdk_error *error, enum vmdk_error_kind kind, int err,
           const char *fmt, ...)
{
  va_list args;

  error->kind = kind;
  error->err = err;
  va_start (args, fmt);
  vsnprintf (error->message, sizeof error->message, fmt, args);
  va_end (args);
  make_printable (error->message);
  return -1;
}

/* The text of an errno value.  It is not translated, where that can be
 * had: the messages around it are not either.
 */
static void
describe (int err, char *text, size_t size)
{
#ifdef HAVE_STRERRORDESC_NP
  const char *description = strerrordesc_np (err);

  if (description)
    snprintf (text, size, "%s", description);
  else
    snprintf (text, size, "error %d", err);
#else
  errno = err;
  snprintf (text, size, "%m");
#endif
}

int
error_sys (struct vmdk_error *error, int err, const char *fmt, ...)
{
  va_list args;
  char text[128];
  size_t len, space;

  error->kind = VMDK_ERROR_IO;
  error->err = err;

  /* The reason matters more than the end of a long name. */
  describe (err, text, sizeof text);
  space = sizeof error->message - strlen (text) - 2;
  va_start (args, fmt);
  vsnprintf (error->message, space, fmt, args);
  va_end (args);
  len = strlen (error->message);
  snprintf (error->message + len, sizeof error->message - len, ": %s", text);
  make_printable (error->message);
  return -1;
}

int
error_prefix (struct vmdk_error *error, const char *fmt, ...)
{
  char message[sizeof error->message];
  va_list args;
  size_t len;

  memcpy (message, error->message, sizeof message);
  va_start (args, fmt);
  vsnprintf (error->message, sizeof error->message, fmt, args);
  va_end (args);
  len = strlen (error->message);
  snprintf (error->message + len, sizeof error->message - len, ": %s",
            message);
  make_printable (error->message);
  return -1;
}

int
error_nomem (struct vmdk_error *error)
{
  return error_set (error, VMDK_ERROR_NOMEM, ENOMEM, "out of memory");
}

static void __attribute__ ((format (printf, 3, 0)))
say (const struct logger *logger, enum vmdk_log_level level,
     const char *fmt, va_list args)
{
  char line[1024];

  if (!logger->log)
    return;
  vsnprintf (line, sizeof line, fmt, args);
  make_printable (line);
  logger->log (logger->opaque, level, line);
}

void
logger_note (const struct logger *logger, const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  say (logger, VMDK_LOG_NOTE, fmt, args);
  va_end (args);
}

void
logger_warn (const struct logger *logger, const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  say (logger, VMDK_LOG_WARNING, fmt, args);
  va_end (args);
}
