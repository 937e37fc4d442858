/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "adapt.h"

/* Set by nbdkit before anything else is called.  They must be visible to it,
 * and are listed under DEBUG FLAGS in the manual page.
 */
extern int vmdk_debug_files, vmdk_debug_flush, vmdk_debug_grains;
NBDKIT_DLL_PUBLIC int vmdk_debug_files, vmdk_debug_flush, vmdk_debug_grains;

static atomic_bool has_clients;

/* The most extents that nbdkit keeps of one answer. */
#define MAX_EXTENTS (1024 * 1024)

int
adapt_error (const struct vmdk_error *error)
{
  nbdkit_error ("%s", error->message);

  /* Whatever is the matter with the image, it is an I/O error to the
   * client; most other values would reach it as "invalid argument".
   */
  switch (error->err) {
  case ENOMEM:
  case ENOSPC:
  case EDQUOT:
  case EFBIG:
    errno = error->err;
    break;
  default:
    errno = EIO;
  }
  return -1;
}

void
adapt_log (void *opaque, enum vmdk_log_level level, const char *message)
{
  const int err = errno;

  if (level == VMDK_LOG_WARNING)
    nbdkit_error ("warning: %s", message);
  else
    nbdkit_debug ("%s", message);
  errno = err;
}

void
adapt_has_clients (void)
{
  atomic_store (&has_clients, true);
}

bool
adapt_interrupted (void *opaque)
{
  /* To sleep for no time at all fails if there is a reason to wake up. */
  return atomic_load (&has_clients) && nbdkit_nanosleep (0, 0) == -1;
}

unsigned
adapt_trace (void)
{
  return (vmdk_debug_files ? VMDK_TRACE_FILES : 0) |
    (vmdk_debug_flush ? VMDK_TRACE_FLUSH : 0) |
    (vmdk_debug_grains ? VMDK_TRACE_GRAINS : 0);
}

static uint32_t
extent_type (enum vmdk_allocation allocation)
{
  switch (allocation) {
  case VMDK_ALLOCATED:
    return 0;
  case VMDK_HOLE:
    return NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO;
  case VMDK_UNKNOWN:
    return NBDKIT_EXTENT_HOLE;
  default:
    abort ();
  }
}

/* An answer that is being given. */
struct answer {
  struct nbdkit_extents *extents;
  size_t room;                  /* for so many extents */
  bool failed;
};

static int
add_extent (void *opaque, uint64_t offset, uint64_t length,
            enum vmdk_allocation allocation)
{
  struct answer *answer = opaque;

  if (nbdkit_add_extent (answer->extents, offset, length,
                         extent_type (allocation)) == -1) {
    answer->failed = true;
    return -1;
  }
  return --answer->room == 0;
}

int
adapt_extents (struct vmdk_image *image, uint64_t count, uint64_t offset,
               bool one, struct nbdkit_extents *extents)
{
  struct answer answer = {
    .extents = extents, .room = one ? 1 : MAX_EXTENTS,
  };
  struct vmdk_error error;

  if (vmdk_map (image, offset, count, add_extent, &answer, &error) == 0)
    return 0;
  return answer.failed ? -1 : adapt_error (&error);
}
