/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "mutate.h"

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

/* The fields of seSparse that are used are all of 8 bytes. */
static const struct field sesparse[] = {
  { 8, 8 }, { 16, 8 }, { 24, 8 }, { 32, 8 }, { 80, 8 }, { 88, 8 },
  { 128, 8 }, { 136, 8 }, { 144, 8 }, { 152, 8 }, { 192, 8 }, { 200, 8 },
};

/* Value, size and type. */
static const struct field marker[] = { { 0, 8 }, { 8, 4 }, { 12, 4 } };

#define ARRAY_SIZE(a) (sizeof (a) / sizeof (a)[0])

void
add_hint (struct hints *hints, uint64_t value)
{
  if (hints->nr < MAX_HINTS)
    hints->values[hints->nr++] = value;
}

size_t
random_below (size_t n)
{
  return (((size_t) rand () << 16) ^ (size_t) rand ()) % n;
}

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

/* A number near the old one, near a power of two, or that means something. */
static uint64_t
choose_number (uint64_t old, unsigned nr_bits, const struct hints *hints)
{
  const uint64_t near = (uint64_t) random_below (5) - 2;

  switch (random_below (8)) {
  case 0:
    return near;
  case 1:
    return old + near;
  case 2:
    return (UINT64_C (1) << random_below (nr_bits)) + near;
  case 3:
    return old ^ UINT64_C (1) << random_below (nr_bits);
  case 4:
    return old * 2;
  case 5:
    return old / 2;
  default:
    if (hints->nr == 0)
      return old + 1;
    return hints->values[random_below (hints->nr)] +
      (random_below (3) == 0 ? near : 0);
  }
}

void
change_number (uint8_t *p, size_t size, const struct hints *hints)
{
  store (p, size, choose_number (load (p, size), (unsigned) size * 8, hints));
}

static void
change_field (uint8_t *p, size_t count, const struct field *fields, size_t nr,
              const struct hints *hints)
{
  const struct field *f = &fields[random_below (nr)];

  if ((size_t) f->offset + f->size <= count)
    change_number (p + f->offset, f->size, hints);
}

void
change_header (uint8_t *p, size_t count, const struct hints *hints)
{
  if (count < 8)
    return;
  if (memcmp (p, "KDMV", 4) == 0)
    change_field (p, count, hosted, ARRAY_SIZE (hosted), hints);
  else if (memcmp (p, "COWD", 4) == 0)
    change_field (p, count, cowd, ARRAY_SIZE (cowd), hints);
  else if (load_le32 (p) == UINT32_C (0xcafebabe))
    change_field (p, count, sesparse, ARRAY_SIZE (sesparse), hints);
}

void
change_marker (uint8_t *p, size_t count, const struct hints *hints)
{
  change_field (p, count, marker, ARRAY_SIZE (marker), hints);
}
