/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#ifndef VMDK_ERROR_H
#define VMDK_ERROR_H

#include "vmdkcore.h"

/* Fill in *error and return -1, so that a caller can write
 * 'return error_set (...)'.  The message is made safe to print: names
 * from the image may hold any byte, so control characters in it become
 * question marks.  'err' must not be 0.
 */
extern int error_set (struct vmdk_error *error, enum vmdk_error_kind kind,
                      int err, const char *fmt, ...)
  __attribute__ ((format (printf, 4, 5)));

/* The same for a failed system call: appends ": " and the text of
 * 'err' to the message.
 */
extern int error_sys (struct vmdk_error *error, int err,
                      const char *fmt, ...)
  __attribute__ ((format (printf, 3, 4)));

/* Say where the matter is: put text and ": " in front of the message.
 * Returns -1.
 */
extern int error_prefix (struct vmdk_error *error, const char *fmt, ...)
  __attribute__ ((format (printf, 2, 3)));

/* An allocation failed. */
extern int error_nomem (struct vmdk_error *error);

/* Compilers and analysers shall see that a failure is one. */
static inline int
error_is_failure (int r)
{
  if (r != -1)
    __builtin_unreachable ();
  return r;
}

#define error_set(...) error_is_failure (error_set (__VA_ARGS__))
#define error_sys(...) error_is_failure (error_sys (__VA_ARGS__))
#define error_prefix(...) error_is_failure (error_prefix (__VA_ARGS__))
#define error_nomem(error) error_is_failure (error_nomem (error))

/* Where the log of one image goes; of its options. */
struct logger {
  void (*log) (void *opaque, enum vmdk_log_level level,
               const char *message);
  bool (*interrupted) (void *opaque);
  unsigned patience;
  void *opaque;
  unsigned trace;
};

static inline struct logger
logger_of (const struct vmdk_options *options)
{
  return (struct logger) {
    .log = options->log,
    .interrupted = options->interrupted,
    .patience = options->patience,
    .opaque = options->opaque,
    .trace = options->trace,
  };
}

/* Is nobody interested any more in what is being done? */
static inline bool
logger_interrupted (const struct logger *logger)
{
  return logger->interrupted && logger->interrupted (logger->opaque);
}

/* Send one line to the user, made safe to print as above. */
extern void logger_note (const struct logger *logger, const char *fmt, ...)
  __attribute__ ((format (printf, 2, 3)));
extern void logger_warn (const struct logger *logger, const char *fmt, ...)
  __attribute__ ((format (printf, 2, 3)));

/* Note what happens, if that is to be traced. */
#define logger_trace(logger, part, ...)         \
  do {                                          \
    if ((logger)->trace & (part))               \
      logger_note ((logger), __VA_ARGS__);      \
  } while (0)

#endif /* VMDK_ERROR_H */
