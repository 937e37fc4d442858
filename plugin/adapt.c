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
  uint64_t end;                 /* of the request */
  bool added, failed;

  /* The block of which a part is known, and its type if the rest is alike; the
   * part is empty between blocks.
   */
  uint64_t block, start, known;
  uint32_t type;
};

/* Returns what a vmdk_map_callback does. */
static int
add_blocks (struct answer *answer, uint64_t offset, uint64_t length,
            uint32_t type)
{
  if (nbdkit_add_extent (answer->extents, offset, length, type) == -1) {
    answer->failed = true;
    return -1;
  }
  answer->added = true;
  return --answer->room == 0;
}

/* The block, or all of it that was asked for, has so much: add it if that is
 * all.
 */
static int
add_part (struct answer *answer, uint64_t offset, uint64_t length,
          uint32_t type)
{
  const uint64_t end = offset + length;

  if (answer->start == answer->known) {
    answer->start = offset;
    answer->type = type;
  }
  answer->known = end;
  /* A hole if all of it is one, and zeroes if all of it is. */
  answer->type &= type;
  if (end % answer->block != 0 && end != answer->end)
    return 0;
  answer->known = answer->start;
  return add_blocks (answer, answer->start, end - answer->start, answer->type);
}

static int
add_extent (void *opaque, uint64_t offset, uint64_t length,
            enum vmdk_allocation allocation)
{
  struct answer *answer = opaque;
  const uint32_t type = extent_type (allocation);
  int r = 0;

  while (length > 0 && r == 0) {
    const uint64_t left = answer->block - offset % answer->block;
    uint64_t n = length - length % answer->block;

    if (left == answer->block && n > 0)
      r = add_blocks (answer, offset, n, type);
    else {
      n = left < length ? left : length;
      r = add_part (answer, offset, n, type);
    }
    offset += n;
    length -= n;
  }
  return r;
}

int
adapt_extents (struct vmdk_image *image, uint64_t count, uint64_t offset,
               uint32_t block, bool one, struct nbdkit_extents *extents)
{
  struct answer answer = {
    .extents = extents, .room = one ? 1 : MAX_EXTENTS,
    .end = offset + count, .block = block,
  };
  struct vmdk_error error;
  uint64_t end;

  if (vmdk_map (image, offset, count, add_extent, &answer, &error) == -1)
    return answer.failed ? -1 : adapt_error (&error);
  if (answer.added)
    return 0;
  /* That took too long within a block. */
  end = (answer.known / block + 1) * block;
  if (end > answer.end)
    end = answer.end;
  return add_blocks (&answer, offset, end - offset, 0) == -1 ? -1 : 0;
}
