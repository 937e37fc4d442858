/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The headers, and the markers of a stream.  Input: the size of the file, 8
 * bytes, and its beginning.
 */

#include <config.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "fuzz.h"
#include "header.h"

static void
check_message (const struct vmdk_error *error)
{
  if (error->message[0] == '\0' || error->err == 0)
    abort ();
}

/* What hosted_validate promises. */
static void
check_hosted (const struct hosted_header *h, uint64_t file_size)
{
  const uint64_t sectors = div_up (file_size, SECTOR_SIZE);
  struct stream_marker m = { .value = h->capacity / 2, .size = 100 };
  uint64_t n;

  if (h->descriptor_offset != 0 &&
      (h->descriptor_offset > sectors ||
       h->descriptor_size > sectors - h->descriptor_offset))
    abort ();
  if (hosted_is_wrapper (h))
    return;
  n = hosted_nr_grains (h);
  if (n == 0 || n > h->capacity || (n - 1) * h->grain_size >= h->capacity ||
      hosted_nr_tables (h) == 0 || hosted_nr_tables (h) > n)
    abort ();
  (void) hosted_metadata_end (h);
  (void) hosted_is_metadata (h, 1, UINT32_MAX);
  (void) stream_grain_is_plausible (h, &m);
}

static void
try_hosted (const uint8_t *p, uint64_t file_size)
{
  const struct logger logger = { 0 };
  struct hosted_header h;
  struct vmdk_error error;

  hosted_decode (p, &h);
  if (hosted_validate (&h, file_size, "disk.vmdk", &logger, &error) == -1) {
    check_message (&error);
    return;
  }
  check_hosted (&h, file_size);
  if (hosted_is_wrapper (&h))
    return;
  if (hosted_validate_directories (&h, file_size, "disk.vmdk", &logger,
                                   &error) == -1)
    check_message (&error);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  uint8_t p[COWD_HEADER_SIZE] = { 0 };
  struct cowd_header cowd;
  struct sesparse_header sesparse;
  struct stream_marker marker;
  struct vmdk_error error;
  uint64_t file_size;

  if (size < 8)
    return 0;
  file_size = load_le64 (data) >> 1;
  data += 8;
  size -= 8;
  memcpy (p, data, min_u64 (size, sizeof p));
  (void) header_probe (data, size);
  stream_marker_decode (p, &marker);
  try_hosted (p, file_size);
  if (cowd_decode (p, file_size, "disk.vmdk", &cowd, &error) == -1)
    check_message (&error);
  else if (cowd.capacity == 0 ||
           memchr (cowd.parent_name, '\0', sizeof cowd.parent_name) == NULL)
    abort ();
  if (sesparse_decode (p, file_size, "disk.vmdk", &sesparse, &error) == -1 ||
      sesparse_check_volatile (p, "disk.vmdk", &error) == -1)
    check_message (&error);
  return 0;
}
