/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Changes that know the format: a field of a header, an entry of a directory
 * or a table, a marker, of the files in the input of fuzz-image.
 */

#include <config.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "blob.h"
#include "bytes.h"
#include "fuzz.h"

extern size_t LLVMFuzzerMutate (uint8_t *data, size_t size, size_t max_size);
extern size_t LLVMFuzzerCustomMutator (uint8_t *data, size_t size,
                                       size_t max_size, unsigned seed);

struct field {
  uint16_t offset;
  uint8_t size;
};

/* Virtual Disk Format 5.0, "Hosted Sparse Extent Header". */
static const struct field hosted[] = {
  { 4, 4 }, { 8, 4 }, { 12, 8 }, { 20, 8 }, { 28, 8 }, { 36, 8 }, { 44, 4 },
  { 48, 8 }, { 56, 8 }, { 64, 8 }, { 72, 1 }, { 73, 4 }, { 77, 2 },
};

/* The same, "ESX Server Sparse Extent Header". */
static const struct field cowd[] = {
  { 4, 4 }, { 8, 4 }, { 12, 4 }, { 16, 4 }, { 20, 4 }, { 24, 4 }, { 28, 4 },
};

static uint64_t
load (const uint8_t *p, size_t size)
{
  uint64_t v = 0;

  while (size > 0)
    v = v << 8 | p[--size];
  return v;
}

static void
store (uint8_t *p, size_t size, uint64_t v)
{
  for (; size > 0; --size, v >>= 8)
    *p++ = (uint8_t) v;
}

/* A number near the old one, near a power of two, or of another entry. */
static void
change_number (uint8_t *p, size_t size, const uint8_t *data, size_t count)
{
  const uint64_t old = load (p, size);
  const uint64_t near = (uint64_t) (rand () % 5) - 2;
  uint64_t v;

  switch (rand () % 7) {
  case 0:
    v = near;
    break;
  case 1:
    v = old + near;
    break;
  case 2:
    v = (UINT64_C (1) << rand () % 64) + near;
    break;
  case 3:
    v = old ^ UINT64_C (1) << rand () % (8 * (int) size);
    break;
  case 4:
    v = old * 2;
    break;
  case 5:
    v = old / 2;
    break;
  default:
    v = count >= size ? load (data + (size_t) rand () % (count - size + 1) /
                              size * size, size) : old;
  }
  store (p, size, v);
}

static void
change_field (uint8_t *data, size_t count, const struct field *fields,
              size_t nr)
{
  const struct field *f = &fields[(size_t) rand () % nr];

  if ((size_t) f->offset + f->size <= count)
    change_number (data + f->offset, f->size, data, count);
}

static void
change_data (uint8_t *data, size_t count)
{
  const size_t size = rand () % 2 == 0 ? 4 : 8;

  if (count >= 80 && memcmp (data, "KDMV", 4) == 0 && rand () % 4 != 0)
    change_field (data, count, hosted, sizeof hosted / sizeof hosted[0]);
  else if (count >= 32 && memcmp (data, "COWD", 4) == 0 && rand () % 4 != 0)
    change_field (data, count, cowd, sizeof cowd / sizeof cowd[0]);
  else if (count >= 512 && rand () % 2 == 0)
    /* The beginning of a sector: a marker, or the first entries. */
    change_number (data + (size_t) rand () % (count / 512) * 512 +
                   (rand () % 2 == 0 ? 0 : 8), size, data, count);
  else if (count >= size)
    change_number (data + (size_t) rand () % (count / size) * size, size,
                   data, count);
}

size_t
LLVMFuzzerCustomMutator (uint8_t *data, size_t size, size_t max_size,
                         unsigned seed)
{
  const uint8_t *p, *end = data + size;
  struct blob_record r;
  unsigned nr = 0, chosen;

  srand (seed);
  if (size < 2 || rand () % 3 == 0)
    return LLVMFuzzerMutate (data, size, max_size);
  for (p = data + 1; p = blob_next (p, end, &r), r.type != 0;)
    nr += r.type == 'D';
  if (nr == 0)
    return LLVMFuzzerMutate (data, size, max_size);
  /* Headers and tables are in front. */
  chosen = (unsigned) rand () % (rand () % 2 == 0 && nr > 4 ? 4 : nr);
  for (p = data + 1; p = blob_next (p, end, &r), r.type != 0;)
    if (r.type == 'D' && chosen-- == 0) {
      change_data ((uint8_t *) (uintptr_t) r.bytes, r.count);
      break;
    }
  return size;
}
