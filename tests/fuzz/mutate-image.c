/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Changes of the files in the input of fuzz-image, see blob.h: of a header,
 * of the directory and a table that it leads to, of markers, of descriptors,
 * of where data are, and of which files there are.
 */

#include <config.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "blob.h"
#include "bytes.h"
#include "mutate.h"

#define MAX_RECORDS 1024
#define MAX_COUNT 65535         /* bytes of data in a record */

/* The records of an input, with data of their own. */
struct input {
  uint8_t options;
  unsigned nr;
  struct blob_record records[MAX_RECORDS];
  uint8_t *data[MAX_RECORDS];   /* their bytes */
  struct hints hints;
};

/* One input is changed at a time. */
static struct input input;

static void
insert_record (unsigned at, const struct blob_record *r)
{
  uint8_t *copy;

  if (input.nr == MAX_RECORDS)
    return;
  copy = malloc (r->count + 1);
  if (!copy)
    abort ();
  memcpy (copy, r->bytes, r->count);
  memmove (&input.records[at + 1], &input.records[at],
           (input.nr - at) * sizeof input.records[0]);
  memmove (&input.data[at + 1], &input.data[at],
           (input.nr - at) * sizeof input.data[0]);
  input.records[at] = *r;
  input.records[at].bytes = input.data[at] = copy;
  input.nr++;
}

static void
delete_record (unsigned at)
{
  free (input.data[at]);
  input.nr--;
  memmove (&input.records[at], &input.records[at + 1],
           (input.nr - at) * sizeof input.records[0]);
  memmove (&input.data[at], &input.data[at + 1],
           (input.nr - at) * sizeof input.data[0]);
}

/* Places and sizes in the files are what fields hold. */
static void
read_input (const uint8_t *data, size_t size)
{
  const uint8_t *p = data + 1, *end = data + size;
  struct blob_record r;

  input.options = data[0];
  input.nr = 0;
  input.hints.nr = 0;
  while (p = blob_next (p, end, &r), r.type != 0) {
    insert_record (input.nr, &r);
    if (r.type == 'D') {
      add_hint (&input.hints, r.number);
      add_hint (&input.hints, r.number + r.count / SECTOR_SIZE);
    }
    else if (r.type == 'T')
      add_hint (&input.hints, r.number / SECTOR_SIZE);
  }
}

/* Returns the size, or 0 if there is no room.  Frees the records. */
static size_t
write_input (uint8_t *data, size_t max_size)
{
  size_t size = 1;
  unsigned i;

  for (i = 0; i < input.nr; ++i)
    size += blob_size (&input.records[i]);
  if (size <= max_size) {
    *data++ = input.options;
    for (i = 0; i < input.nr; ++i)
      data = blob_put (data, &input.records[i]);
  }
  for (i = 0; i < input.nr; ++i)
    free (input.data[i]);
  return size <= max_size ? size : 0;
}

/* A record of this type from a random one on; or input.nr. */
static unsigned
choose_record (char type)
{
  const unsigned first = (unsigned) random_below (input.nr);
  unsigned i;

  for (i = 0; i < input.nr; ++i) {
    const unsigned n = (first + i) % input.nr;

    if (input.records[n].type == type)
      return n;
  }
  return input.nr;
}

/* The data at 'sector' of the file that record 'n' belongs to; NULL if there
 * are none.  *left gets how many bytes follow.
 */
static uint8_t *
find_data (unsigned n, uint64_t sector, size_t *left)
{
  while (n > 0 && input.records[n].type != 'F')
    n--;
  for (n++; n < input.nr && input.records[n].type != 'F'; ++n) {
    const struct blob_record *r = &input.records[n];

    if (r->type == 'D' && sector >= r->number &&
        sector - r->number < r->count / SECTOR_SIZE) {
      const size_t at = (size_t) (sector - r->number) * SECTOR_SIZE;

      *left = r->count - at;
      return input.data[n] + at;
    }
  }
  return NULL;
}

/* Change an entry near the beginning of the table at 'sector', or of one of
 * those that it leads to.
 */
static void
change_entries (unsigned n, uint64_t sector, size_t entry_size,
                uint64_t tables_at, bool deeper)
{
  size_t left, i;
  uint8_t *p = find_data (n, sector, &left);

  if (!p || left < entry_size)
    return;
  i = random_below (random_below (4) == 0 ? left / entry_size : 4);
  if ((i + 1) * entry_size > left)
    return;
  p += i * entry_size;
  if (!deeper)
    change_number (p, entry_size, &input.hints);
  else if (entry_size == 4)
    change_entries (n, load_le32 (p), 4, 0, false);
  else
    change_entries (n, tables_at + load_le32 (p) * UINT64_C (64), 8, 0,
                    false);
}

static void
change_tables (unsigned n)
{
  const bool deeper = random_below (3) != 0;
  size_t left;
  const uint8_t *p = find_data (n, 0, &left);

  if (!p || left < SECTOR_SIZE)
    return;
  if (memcmp (p, "KDMV", 4) == 0)
    change_entries (n, load_le64 (p + (random_below (3) == 0 ? 48 : 56)), 4,
                    0, deeper);
  else if (memcmp (p, "COWD", 4) == 0)
    change_entries (n, load_le32 (p + 20), 4, 0, deeper);
  else if (load_le32 (p) == UINT32_C (0xcafebabe))
    change_entries (n, load_le64 (p + 128), 8, load_le64 (p + 144), deeper);
}

/* The text may be followed by zeroes, and grow into them. */
static size_t
change_padded_text (uint8_t *p, size_t size, size_t max_size)
{
  const size_t len = strnlen ((const char *) p, size);
  const size_t n = change_text (p, len, len < size ? size : max_size,
                                &input.hints);

  if (len == size)
    return n;
  if (n < len)
    memset (p + n, 0, len - n);
  return size;
}

/* A descriptor, wherever it is. */
static void
change_descriptor (void)
{
  const unsigned first = (unsigned) random_below (input.nr);
  unsigned i;

  for (i = 0; i < input.nr; ++i) {
    const unsigned n = (first + i) % input.nr;
    struct blob_record *r = &input.records[n];
    size_t at = 0;
    uint8_t *p;

    if (r->type != 'D' || !memmem (r->bytes, r->count, "CID", 3))
      continue;
    p = realloc (input.data[n], MAX_COUNT);
    if (!p)
      abort ();
    input.data[n] = p;
    r->bytes = p;
    /* A header may be in front. */
    if (r->count > SECTOR_SIZE && memcmp (p, "KDMV", 4) == 0)
      at = SECTOR_SIZE;
    r->count = at + change_padded_text (p + at, r->count - at,
                                        at == 0 ? MAX_COUNT : r->count - at);
    return;
  }
}

/* Which data there are, and where. */
static void
change_places (unsigned n)
{
  struct blob_record r = input.records[n];
  const size_t sectors = r.count / SECTOR_SIZE;
  uint8_t number[8];

  switch (random_below (4)) {
  case 0:
    delete_record (n);
    break;
  case 1:
    if (input.hints.nr > 0)
      r.number = input.hints.values[random_below (input.hints.nr)];
    r.number = min_u64 (r.number, UINT32_MAX);
    insert_record (n + 1, &r);
    break;
  case 2:
    if (sectors > 1)
      input.records[n].count = (1 + random_below (sectors - 1)) * SECTOR_SIZE;
    break;
  default:
    store_le64 (number, r.number);
    change_number (number, sizeof number, &input.hints);
    input.records[n].number = min_u64 (load_le64 (number), UINT32_MAX);
  }
}

static void
change_size (void)
{
  const unsigned n = choose_record ('T');
  uint8_t number[8];

  if (n == input.nr)
    return;
  store_le64 (number, input.records[n].number / SECTOR_SIZE);
  change_number (number, sizeof number, &input.hints);
  input.records[n].number = load_le64 (number) * SECTOR_SIZE +
    (random_below (4) == 0 ? random_below (SECTOR_SIZE) : 0);
}

static void
change_seed (void)
{
  struct blob_record r = { .type = 'R', .bytes = (const uint8_t *) "" };
  const unsigned n = choose_record ('R');

  r.number = (uint64_t) random_below (SIZE_MAX);
  if (n < input.nr)
    delete_record (n);
  insert_record (0, &r);
}

/* Bytes anywhere, also more or fewer of them. */
static void
change_bytes (unsigned n)
{
  struct blob_record *r = &input.records[n];
  const size_t max = min_u64 (r->count + 1024, MAX_COUNT);
  uint8_t *p = realloc (input.data[n], max);

  if (!p)
    abort ();
  input.data[n] = p;
  r->bytes = p;
  r->count = LLVMFuzzerMutate (p, r->count, max);
}

static void
change_sector (unsigned n)
{
  const struct blob_record *r = &input.records[n];
  const size_t sectors = r->count / SECTOR_SIZE;
  uint8_t *p;

  if (sectors == 0)
    return;
  p = input.data[n] + random_below (sectors) * SECTOR_SIZE;
  if (random_below (2) == 0)
    change_marker (p, SECTOR_SIZE, &input.hints);
  else
    change_number (p + random_below (SECTOR_SIZE / 4) * 4, 4, &input.hints);
}

static void
change_input (void)
{
  unsigned n = choose_record ('D');
  size_t left;
  uint8_t *p;

  if (n == input.nr)
    return;
  switch (random_below (16)) {
  case 0:
    input.options ^= (uint8_t) (1u << random_below (8));
    break;
  case 1:
    change_seed ();
    break;
  case 2:
    change_size ();
    break;
  case 3:
    change_places (n);
    break;
  case 4:
    change_bytes (n);
    break;
  case 5:
  case 6:
    change_sector (n);
    break;
  case 7:
  case 8:
  case 9:
    change_descriptor ();
    break;
  case 10:
  case 11:
  case 12:
    p = find_data (n, 0, &left);
    if (p)
      change_header (p, left, &input.hints);
    break;
  default:
    change_tables (n);
  }
}

size_t
LLVMFuzzerCustomMutator (uint8_t *data, size_t size, size_t max_size,
                         unsigned seed)
{
  size_t nr_changes, result;

  srand (seed);
  if (size < 2)
    return LLVMFuzzerMutate (data, size, max_size);
  read_input (data, size);
  if (input.nr == 0)
    return LLVMFuzzerMutate (data, size, max_size);
  for (nr_changes = 1 + random_below (3); nr_changes > 0; --nr_changes)
    change_input ();
  result = write_input (data, max_size);
  return result > 0 ? result : size;
}

/* The files of one, with some of another's data: a directory that meets other
 * tables, a descriptor that finds other files.
 */
extern size_t LLVMFuzzerCustomCrossOver (const uint8_t *a, size_t a_size,
                                         const uint8_t *b, size_t b_size,
                                         uint8_t *out, size_t max_size,
                                         unsigned seed);

size_t
LLVMFuzzerCustomCrossOver (const uint8_t *a, size_t a_size, const uint8_t *b,
                           size_t b_size, uint8_t *out, size_t max_size,
                           unsigned seed)
{
  const uint8_t *p = b + 1, *end = b + b_size;
  struct blob_record r;

  srand (seed);
  if (a_size < 2 || b_size < 2)
    return 0;
  read_input (a, a_size);
  while (p = blob_next (p, end, &r), r.type != 0)
    if (random_below (4) == 0) {
      const unsigned n = input.nr > 0 ? choose_record (r.type) : 0;

      if (n < input.nr && r.type != 'F') {
        insert_record (n + 1, &r);
        delete_record (n);
      }
      else
        insert_record (input.nr, &r);
    }
  return write_input (out, max_size);
}
