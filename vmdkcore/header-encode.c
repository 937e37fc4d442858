/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <string.h>

#include "bytes.h"
#include "header.h"

void
hosted_encode (const struct hosted_header *h, uint8_t *p)
{
  memset (p, 0, HOSTED_HEADER_SIZE);
  memcpy (p, "KDMV", 4);
  store_le32 (p + 4, h->version);
  store_le32 (p + 8, h->flags);
  store_le64 (p + 12, h->capacity);
  store_le64 (p + 20, h->grain_size);
  store_le64 (p + 28, h->descriptor_offset);
  store_le64 (p + 36, h->descriptor_size);
  store_le32 (p + 44, h->entries_per_table);
  store_le64 (p + 48, h->rgd_offset);
  store_le64 (p + 56, h->gd_offset);
  store_le64 (p + 64, h->overhead);
  p[HOSTED_UNCLEAN] = h->unclean;
  if (h->flags & HOSTED_NEWLINE_TEST)
    memcpy (p + 73, "\n \r\n", 4);
  store_le16 (p + 77, h->compression);
}

/* What ESX writes; nobody says what it means. */
#define COWD_FLAGS 3

void
cowd_encode (const struct cowd_header *h, uint8_t *p)
{
  const uint64_t directory = div_up (h->nr_tables * UINT64_C (4),
                                     SECTOR_SIZE);

  memset (p, 0, COWD_HEADER_SIZE);
  memcpy (p, "COWD", 4);
  store_le32 (p + 4, h->version);
  store_le32 (p + 8, COWD_FLAGS);
  store_le32 (p + 12, h->capacity);
  store_le32 (p + 16, h->grain_size);
  store_le32 (p + 20, h->gd_offset);
  store_le32 (p + 24, h->nr_tables);
  store_le32 (p + COWD_FREE_SECTOR, h->gd_offset + (uint32_t) directory);
  store_le32 (p + COWD_UNCLEAN, h->unclean);
}
