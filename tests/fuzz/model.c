/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <string.h>

#include "bytes.h"
#include "fuzz.h"
#include "model.h"

static void
read_part (struct model *m, struct vmdk_image *image, size_t at, size_t n)
{
  const size_t half = n / SECTOR_SIZE / 2 * SECTOR_SIZE;
  struct vmdk_error error;
  const bool known = vmdk_pread (image, m->bytes + at, n, m->offset + at,
                                 &error) == 0;
  size_t i;

  if (!known && half > 0) {
    read_part (m, image, at, half);
    read_part (m, image, at + half, n - half);
    return;
  }
  for (i = 0; i < n; i += SECTOR_SIZE)
    m->known[(at + i) / SECTOR_SIZE] = known;
}

void
model_read (struct model *m, struct vmdk_image *image)
{
  memset (m->changed, 0, sizeof m->changed);
  read_part (m, image, 0, m->count);
}

void
model_forget_changed (struct model *m)
{
  size_t i;

  for (i = 0; i < MODEL_SECTORS; ++i)
    m->known[i] = m->known[i] && !m->changed[i];
}

void
model_check (const struct model *m, struct vmdk_image *image,
             const char *when)
{
  static uint8_t now[MODEL_SIZE];
  size_t at = 0, end;
  struct vmdk_error error;

  for (; at < m->count; at = end) {
    const bool known = m->known[at / SECTOR_SIZE];

    for (end = at; end < m->count && m->known[end / SECTOR_SIZE] == known;)
      end += SECTOR_SIZE;
    if (!known)
      continue;
    if (vmdk_pread (image, now, end - at, m->offset + at, &error) == -1) {
      fprintf (stderr, "%s\n", when);
      wrong ("what could be read cannot", error.message);
    }
    if (memcmp (now, m->bytes + at, end - at) != 0)
      wrong (when, NULL);
  }
}

/* The sectors that the change may have changed: each must be as it was, 'old',
 * or as it was to be, as it is in the model.
 */
static void
check_either (struct model *m, struct vmdk_image *image,
              const struct model *old, size_t first, size_t end)
{
  static struct model now;
  size_t i;

  now.offset = m->offset;
  now.count = m->count;
  read_part (&now, image, first, end - first);
  for (i = first; i < end; i += SECTOR_SIZE) {
    const size_t sector = i / SECTOR_SIZE;

    if (old->known[sector] && now.known[sector] &&
        memcmp (now.bytes + i, old->bytes + i, SECTOR_SIZE) != 0 &&
        memcmp (now.bytes + i, m->bytes + i, SECTOR_SIZE) != 0)
      wrong ("a sector is neither as it was nor as it was to be", NULL);
  }
  memcpy (m->bytes + first, now.bytes + first, end - first);
  memcpy (m->known + first / SECTOR_SIZE, now.known + first / SECTOR_SIZE,
          (end - first) / SECTOR_SIZE * sizeof now.known[0]);
}

void
model_change (struct model *m, struct vmdk_image *image,
              enum model_change kind, bool success, const uint8_t *data,
              uint64_t offset, uint64_t count)
{
  static struct model old;
  const uint64_t from = max_u64 (offset, m->offset);
  const uint64_t to = min_u64 (offset + count, m->offset + m->count);
  size_t at, n, first, end, i;

  if (from >= to)
    return;
  memcpy (&old, m, sizeof old);
  at = (size_t) (from - m->offset);
  n = (size_t) (to - from);
  first = at / SECTOR_SIZE * SECTOR_SIZE;
  end = (size_t) (div_up (at + n, SECTOR_SIZE) * SECTOR_SIZE);
  for (i = first; i < end; i += SECTOR_SIZE)
    m->changed[i / SECTOR_SIZE] = true;
  if (kind == MODEL_WRITE)
    memcpy (m->bytes + at, data + (from - offset), n);
  else
    memset (m->bytes + at, 0, n);
  if (!success || kind == MODEL_TRIM) {
    check_either (m, image, &old, first, end);
    return;
  }
  /* A sector that is new as a whole is known now. */
  for (i = first; i < end; i += SECTOR_SIZE)
    if (i >= at && i + SECTOR_SIZE <= at + n)
      m->known[i / SECTOR_SIZE] = true;
}
