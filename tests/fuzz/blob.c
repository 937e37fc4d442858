/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blob.h"
#include "bytes.h"

/* No file of the host is given much more than the fuzzer has. */
#define MAX_FILE_SIZE (UINT64_C (1) << 42)

static bool
is_good_name (const uint8_t *p, size_t n)
{
  size_t i;

  for (i = 0; i < n; ++i)
    if (!memchr ("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                 "0123456789-_.", p[i], 65))
      return false;
  return n > 0 && n <= BLOB_MAX_NAME && p[0] != '.';
}

const uint8_t *
blob_next (const uint8_t *p, const uint8_t *end, struct blob_record *r)
{
  size_t left;
  char type;

  *r = (struct blob_record) { 0 };
  if (p >= end)
    return end;
  type = (char) *p++;
  left = (size_t) (end - p);
  if (type == 'F' && left >= 1) {
    r->count = *p++;
    left--;
  }
  else if ((type == 'T' || type == 'R') && left >= 8) {
    r->number = load_le64 (p);
    p += 8;
    left -= 8;
  }
  else if (type == 'D' && left >= 6) {
    r->number = load_le32 (p);
    r->count = load_le16 (p + 4);
    p += 6;
    left -= 6;
  }
  else
    return end;
  if (r->count > left)
    r->count = left;
  r->type = type;
  r->bytes = p;
  return p + r->count;
}

size_t
blob_size (const struct blob_record *r)
{
  return (r->type == 'F' ? 2 : r->type == 'D' ? 7 : 9) + r->count;
}

uint8_t *
blob_put (uint8_t *p, const struct blob_record *r)
{
  *p++ = (uint8_t) r->type;
  if (r->type == 'F')
    *p++ = (uint8_t) r->count;
  else if (r->type == 'D') {
    store_le32 (p, (uint32_t) r->number);
    store_le16 (p + 4, (uint16_t) r->count);
    p += 6;
  }
  else {
    store_le64 (p, r->number);
    p += 8;
  }
  memcpy (p, r->bytes, r->count);
  return p + r->count;
}

/* What cannot be done is left out: all of it is up to the input. */
void
blob_write (const uint8_t *data, size_t size, int dir,
            struct blob_files *files)
{
  const uint8_t *p = data, *end = data + size;
  struct blob_record r;
  int fd = -1;

  files->nr = 0;
  files->seed = 1;
  do {
    p = blob_next (p, end, &r);
    if (r.type == 'F' && is_good_name (r.bytes, r.count) &&
        files->nr < BLOB_MAX_FILES) {
      char *name = files->names[files->nr];

      memcpy (name, r.bytes, r.count);
      name[r.count] = '\0';
      if (fd != -1)
        close (fd);
      fd = openat (dir, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
      if (fd == -1) {
        perror (name);
        abort ();
      }
      files->nr++;
    }
    else if (r.type == 'R')
      files->seed = r.number;
    else if (r.type == 'T' && fd != -1 && r.number <= MAX_FILE_SIZE) {
      if (ftruncate (fd, (off_t) r.number) == -1)
        break;
    }
    else if (r.type == 'D' && fd != -1)
      if (pwrite (fd, r.bytes, r.count,
                  (off_t) (r.number * SECTOR_SIZE)) == -1)
        break;
  } while (r.type != 0);
  if (fd != -1)
    close (fd);
}
