/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "descriptor.h"
#include "header.h"

/* More directory entries than this would not fit any grain table into
 * a file of 32 bit sectors that holds them.
 */
#define MAX_TABLES (UINT64_C (32) << 20)

enum file_kind
header_probe (const uint8_t *p, uint64_t len)
{
  static const struct {
    const char *magic;
    size_t len;
    enum file_kind kind;
  } magics[] = {
    { "KDMV", 4, FILE_HOSTED },
    { "kdmv", 4, FILE_UNFINISHED },
    { "COWD", 4, FILE_COWD },
    { "\xbe\xba\xfe\xca\0\0\0\0", 8, FILE_SESPARSE },
    { "\xa2\x72\x19\xf6", 4, FILE_CTK },
    { "\x1f\x8b", 2, FILE_GZIP },
  };
  size_t i;

  for (i = 0; i < sizeof magics / sizeof magics[0]; ++i)
    if (len >= magics[i].len && memcmp (p, magics[i].magic,
                                        magics[i].len) == 0)
      return magics[i].kind;
  return FILE_UNKNOWN;
}

uint64_t
hosted_nr_grains (const struct hosted_header *h)
{
  return div_up (h->capacity, h->grain_size);
}

uint64_t
hosted_nr_tables (const struct hosted_header *h)
{
  return div_up (h->capacity, h->entries_per_table * h->grain_size);
}

bool
hosted_is_wrapper (const struct hosted_header *h)
{
  return h->capacity == 0 && h->descriptor_offset != 0;
}

void
hosted_decode (const uint8_t *p, struct hosted_header *h)
{
  h->version = load_le32 (p + 4);
  h->flags = load_le32 (p + 8);
  h->capacity = load_le64 (p + 12);
  h->grain_size = load_le64 (p + 20);
  h->descriptor_offset = load_le64 (p + 28);
  h->descriptor_size = load_le64 (p + 36);
  h->entries_per_table = load_le32 (p + 44);
  h->rgd_offset = h->flags & HOSTED_REDUNDANT ? load_le64 (p + 48) : 0;
  h->gd_offset = load_le64 (p + 56);
  h->overhead = load_le64 (p + 64);
  h->unclean = p[72] != 0;
  h->compression = load_le16 (p + 77);
  h->newlines_changed = h->flags & HOSTED_NEWLINE_TEST &&
    memcmp (p + 73, "\n \r\n", 4) != 0;
}

/* Do [a, a + a_len) and [b, b + b_len) meet?  No sum wraps. */
static bool
overlaps (uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
  return a_len > 0 && b_len > 0 && a < b + b_len && b < a + a_len;
}

bool
hosted_is_metadata (const struct hosted_header *h, uint64_t sector,
                    uint64_t n)
{
  const uint64_t directory = div_up (hosted_nr_tables (h) * 4, SECTOR_SIZE);

  return sector == 0 ||
    (h->descriptor_offset != 0 &&
     overlaps (sector, n, h->descriptor_offset, h->descriptor_size)) ||
    (h->gd_offset != 0 && overlaps (sector, n, h->gd_offset, directory)) ||
    (h->rgd_offset != 0 && overlaps (sector, n, h->rgd_offset, directory));
}

bool
hosted_directories_overlap (const struct hosted_header *h)
{
  const uint64_t size = div_up (hosted_nr_tables (h) * 4, SECTOR_SIZE);
  const uint64_t at[2] = { h->gd_offset, h->rgd_offset };
  unsigned i;

  for (i = 0; i < 2; ++i)
    if (at[i] != 0 && h->descriptor_offset != 0 &&
        overlaps (at[i], size, h->descriptor_offset, h->descriptor_size))
      return true;
  return at[0] != 0 && at[1] != 0 && overlaps (at[0], size, at[1], size);
}

uint64_t
hosted_metadata_end (const struct hosted_header *h)
{
  const uint64_t directory = div_up (hosted_nr_tables (h) * 4, SECTOR_SIZE);
  uint64_t end = 2;             /* codes of entries are no places */

  if (h->descriptor_offset != 0)
    end = max_u64 (end, h->descriptor_offset + h->descriptor_size);
  if (h->gd_offset != 0)
    end = max_u64 (end, h->gd_offset + directory);
  if (h->rgd_offset != 0)
    end = max_u64 (end, h->rgd_offset + directory);
  return end;
}

static int __attribute__ ((format (printf, 3, 4)))
corrupt (struct vmdk_error *error, const char *name, const char *fmt, ...)
{
  va_list args;
  char reason[256];

  va_start (args, fmt);
  vsnprintf (reason, sizeof reason, fmt, args);
  va_end (args);
  return error_set (error, VMDK_ERROR_CORRUPT, EINVAL,
                    "%s: header: %s", name, reason);
}

/* Does a range given in sectors and bytes lie behind the header and
 * inside the file?
 */
static bool
lies_in_file (uint64_t sector, uint64_t bytes, uint64_t file_size)
{
  return sector >= 1 && sector <= file_size / SECTOR_SIZE &&
    bytes <= file_size - sector * SECTOR_SIZE;
}

static int
validate_flags (const struct hosted_header *h, const char *name,
                struct vmdk_error *error)
{
  const uint32_t unknown =
    h->flags & UINT32_C (0xffff0000) & ~(HOSTED_COMPRESSED | HOSTED_MARKERS);
  const bool compressed = h->flags & HOSTED_COMPRESSED;

  if (h->version < 1 || h->version > 3)
    return error_set (error, VMDK_ERROR_UNSUPPORTED, ENOTSUP,
                      "%s: header: version %" PRIu32
                      " is not supported (1 to 3 are)", name, h->version);
  if (h->newlines_changed)
    return corrupt (error, name, "the newline bytes are changed: "
                    "the file was transferred as text");
  if (unknown)
    return error_set (error, VMDK_ERROR_UNSUPPORTED, ENOTSUP,
                      "%s: header: unknown incompatible flags 0x%"
                      PRIx32, name, unknown);
  if (h->flags & HOSTED_MARKERS && !compressed)
    return corrupt (error, name, "markers without compression");
  if (h->compression > 1)
    return error_set (error, VMDK_ERROR_UNSUPPORTED, ENOTSUP,
                      "%s: header: compression algorithm %" PRIu16
                      " is not supported", name, h->compression);
  if (compressed != (h->compression == 1))
    return corrupt (error, name, "the flags say %scompressed, "
                    "the algorithm says otherwise",
                    compressed ? "" : "not ");
  return 0;
}

int
hosted_validate_directories (struct hosted_header *h, uint64_t file_size,
                             const char *name, const struct logger *logger,
                             struct vmdk_error *error)
{
  const uint64_t size = hosted_nr_tables (h) * 4;
  const bool gd_ok = lies_in_file (h->gd_offset, size, file_size);
  const bool rgd_ok = lies_in_file (h->rgd_offset, size, file_size) &&
    h->rgd_offset != h->gd_offset;

  if (!gd_ok && !rgd_ok)
    return corrupt (error, name, "the grain directory, %" PRIu64
                    " bytes at sector %" PRIu64 ", is not in the file of %"
                    PRIu64 " bytes", size, h->gd_offset, file_size);
  if (!gd_ok) {
    logger_warn (logger, "%s: the grain directory at sector %" PRIu64
                " is not in the file; the redundant one is used",
                name, h->gd_offset);
    h->gd_offset = 0;
  }
  /* A stream has the flag in its header, and the place in its footer. */
  if (!rgd_ok && (h->flags & HOSTED_REDUNDANT || h->rgd_offset != 0)) {
    logger_warn (logger, "%s: the redundant grain directory at sector %"
                PRIu64 " is not usable; the primary one is used",
                name, h->rgd_offset);
    h->rgd_offset = 0;
  }
  return 0;
}

int
hosted_validate (struct hosted_header *h, uint64_t file_size,
                 const char *name, const struct logger *logger,
                 struct vmdk_error *error)
{
  if (validate_flags (h, name, error) == -1)
    return -1;

  if (h->descriptor_offset != 0) {
    if (h->descriptor_size > DESCRIPTOR_MAX_SIZE / SECTOR_SIZE)
      return corrupt (error, name, "the descriptor of %" PRIu64 " sectors "
                      "is too large", h->descriptor_size);
    if (!lies_in_file (h->descriptor_offset,
                       h->descriptor_size * SECTOR_SIZE, file_size))
      return corrupt (error, name, "the descriptor at sector %" PRIu64
                      " is not in the file of %" PRIu64 " bytes",
                      h->descriptor_offset, file_size);
  }
  if (hosted_is_wrapper (h))
    return 0;

  if (!is_power_of_2 (h->grain_size) || h->grain_size > MAX_GRAIN_SIZE)
    return corrupt (error, name, "the grain size of %" PRIu64 " sectors "
                    "is not a power of two up to %" PRIu64,
                    h->grain_size, MAX_GRAIN_SIZE);
  if (!is_power_of_2 (h->entries_per_table) ||
      h->entries_per_table > MAX_TABLE_ENTRIES)
    return corrupt (error, name, "%" PRIu32 " entries in a grain table "
                    "are not a power of two up to %" PRIu32,
                    h->entries_per_table, MAX_TABLE_ENTRIES);
  if (h->capacity == 0 || h->capacity > MAX_SECTORS)
    return corrupt (error, name, "the capacity of %" PRIu64 " sectors "
                    "is not between 1 and %" PRIu64,
                    h->capacity, MAX_SECTORS);
  if (hosted_nr_tables (h) > MAX_TABLES)
    return corrupt (error, name, "the capacity of %" PRIu64 " sectors needs "
                    "more than %" PRIu64 " grain tables",
                    h->capacity, MAX_TABLES);

  /* The directory of a stream is found by its footer. */
  if (h->flags & HOSTED_COMPRESSED)
    return 0;
  return hosted_validate_directories (h, file_size, name, logger, error);
}

void
stream_marker_decode (const uint8_t *p, struct stream_marker *m)
{
  m->value = load_le64 (p);
  m->size = load_le32 (p + 8);
  m->type = load_le32 (p + 12);
}

bool
stream_grain_is_plausible (const struct hosted_header *h,
                           const struct stream_marker *m)
{
  return m->value < h->capacity && m->value % h->grain_size == 0 &&
    m->size > 0 && m->size <= 2 * h->grain_size * SECTOR_SIZE;
}

/* Virtual Disk Format 5.0 gives every grain table of an ESX disk 4096
 * entries.  Workstation 3 used 512, with a directory of 64 entries, and
 * no field says so: the numbers of grains and tables do.
 */
static int
derive_cowd_entries (struct cowd_header *h, const char *name,
                     struct vmdk_error *error)
{
  const uint64_t grains = div_up (h->capacity, h->grain_size);
  const uint64_t tables_of_4096 = div_up (grains, 4096);
  const uint64_t tables_of_512 = div_up (grains, 512);

  if (h->nr_tables == tables_of_4096)
    h->entries_per_table = 4096;
  else if (h->nr_tables >= tables_of_512 &&
           (h->nr_tables == 64 || h->nr_tables < 2 * tables_of_512))
    h->entries_per_table = 512;
  else if (h->nr_tables > tables_of_4096)
    h->entries_per_table = 4096;
  else
    return corrupt (error, name, "%" PRIu32 " grain tables are too few for "
                    "%" PRIu64 " grains", h->nr_tables, grains);
  return 0;
}

/* Get the name of the parent, or find the geometry of a disk that has none,
 * whose first number has zeroes in its upper bytes; ESX writes zeroes.
 */
static void
decode_cowd_parent (const uint8_t *p, struct cowd_header *h)
{
  size_t i;

  h->has_parent = true;
  for (i = 0; i < 4; ++i)
    if (p[i] < 0x20 || p[i] == 0x7f)
      h->has_parent = false;
  h->parent_name[0] = '\0';
  if (h->has_parent) {
    memcpy (h->parent_name, p, 1024);
    h->parent_name[1024] = '\0';
  }
}

int
cowd_decode (const uint8_t *p, uint64_t file_size, const char *name,
             struct cowd_header *h, struct vmdk_error *error)
{
  h->version = load_le32 (p + 4);
  h->capacity = load_le32 (p + 12);
  h->grain_size = load_le32 (p + 16);
  h->gd_offset = load_le32 (p + 20);
  h->nr_tables = load_le32 (p + 24);
  h->unclean = load_le32 (p + COWD_UNCLEAN) != 0;
  decode_cowd_parent (p + 32, h);

  if (h->version < 1 || h->version > 3)
    return error_set (error, VMDK_ERROR_UNSUPPORTED, ENOTSUP,
                      "%s: header: version %" PRIu32
                      " is not supported (1 to 3 are)", name, h->version);
  if (!is_power_of_2 (h->grain_size) || h->grain_size > 2048)
    return corrupt (error, name, "the grain size of %" PRIu32 " sectors "
                    "is not a power of two up to 2048", h->grain_size);
  if (h->capacity == 0)
    return corrupt (error, name, "the capacity is 0");
  if (derive_cowd_entries (h, name, error) == -1)
    return -1;
  if (h->gd_offset < COWD_HEADER_SIZE / SECTOR_SIZE ||
      !lies_in_file (h->gd_offset, h->nr_tables * UINT64_C (4), file_size))
    return corrupt (error, name, "the grain directory, %" PRIu32
                    " entries at sector %" PRIu32 ", is not in the file of %"
                    PRIu64 " bytes", h->nr_tables, h->gd_offset, file_size);
  return 0;
}

/* The fields of a header end at 'from'.  What is behind them could change
 * what they mean.
 */
static int
check_padding (const uint8_t *p, size_t from, const char *name,
               const char *what, struct vmdk_error *error)
{
  size_t i;

  for (i = from; i < SESPARSE_HEADER_SIZE; ++i)
    if (p[i] != 0)
      return error_set (error, VMDK_ERROR_UNSUPPORTED, ENOTSUP,
                        "%s: %s: unknown data at offset %zu", name, what, i);
  return 0;
}

int
sesparse_decode (const uint8_t *p, uint64_t file_size, const char *name,
                 struct sesparse_header *h, struct vmdk_error *error)
{
  const uint64_t version = load_le64 (p + 8);
  const uint64_t grain_size = load_le64 (p + 24);
  const uint64_t table_size = load_le64 (p + 32);
  const uint64_t gd_size = load_le64 (p + 136);
  uint64_t nr_tables;
  size_t i;

  h->capacity = load_le64 (p + 16);
  h->volatile_offset = load_le64 (p + 80);
  h->gd_offset = load_le64 (p + 128);
  h->tables_offset = load_le64 (p + 144);
  h->tables_size = load_le64 (p + 152);
  h->grains_offset = load_le64 (p + 192);
  h->grains_size = load_le64 (p + 200);

  if (version != UINT64_C (0x200000001))
    return error_set (error, VMDK_ERROR_UNSUPPORTED, ENOTSUP,
                      "%s: header: seSparse version 0x%" PRIx64
                      " is not supported (0x200000001 is)", name, version);
  if (grain_size != SESPARSE_GRAIN_SIZE)
    return corrupt (error, name, "a grain of %" PRIu64 " sectors, not %"
                    PRIu64, grain_size, SESPARSE_GRAIN_SIZE);
  if (table_size != SESPARSE_TABLE_SIZE)
    return corrupt (error, name, "a grain table of %" PRIu64
                    " sectors, not %" PRIu64, table_size,
                    SESPARSE_TABLE_SIZE);
  for (i = 40; i < 80; i += 8)
    if (load_le64 (p + i) != 0)
      return error_set (error, VMDK_ERROR_UNSUPPORTED, ENOTSUP,
                        "%s: header: unknown flags 0x%" PRIx64
                        " at offset %zu", name, load_le64 (p + i), i);
  if (check_padding (p, 208, name, "header", error) == -1)
    return -1;
  if (h->capacity == 0 || h->capacity > MAX_SECTORS)
    return corrupt (error, name, "the capacity of %" PRIu64 " sectors "
                    "is not between 1 and %" PRIu64,
                    h->capacity, MAX_SECTORS);
  /* The headers are before them; so 1 stands for a zero, and for no place. */
  if (gd_size > MAX_SECTORS ||
      h->tables_offset > MAX_SECTORS || h->tables_size > MAX_SECTORS ||
      h->grains_offset > MAX_SECTORS || h->grains_size > MAX_SECTORS ||
      h->tables_offset < 2 || h->grains_offset < 2)
    return corrupt (error, name, "the place of the grain tables or grains "
                    "cannot be in a file");

  nr_tables = div_up (h->capacity,
                      SESPARSE_TABLE_ENTRIES * SESPARSE_GRAIN_SIZE);
  if (gd_size < div_up (nr_tables * 8, SECTOR_SIZE) ||
      !lies_in_file (h->gd_offset, nr_tables * 8, file_size))
    return corrupt (error, name, "the grain directory, %" PRIu64
                    " sectors at sector %" PRIu64 ", is too short or not in "
                    "the file of %" PRIu64 " bytes",
                    gd_size, h->gd_offset, file_size);
  if (overlaps (h->gd_offset, gd_size, h->tables_offset, h->tables_size) ||
      overlaps (h->gd_offset, gd_size, h->grains_offset, h->grains_size) ||
      overlaps (h->tables_offset, h->tables_size,
                h->grains_offset, h->grains_size))
    return corrupt (error, name, "the grain directory, grain tables and "
                    "grains overlap");
  if (!lies_in_file (h->volatile_offset, SESPARSE_HEADER_SIZE, file_size))
    return corrupt (error, name, "the volatile header at sector %" PRIu64
                    " is not in the file of %" PRIu64 " bytes",
                    h->volatile_offset, file_size);
  return 0;
}

int
sesparse_check_volatile (const uint8_t *p, const char *name,
                         struct vmdk_error *error)
{
  if (load_le64 (p) != UINT32_C (0xcafecafe))
    return corrupt (error, name, "the volatile header has no magic");
  if (load_le64 (p + 24) != 0)
    return error_set (error, VMDK_ERROR_UNSUPPORTED, ENOTSUP,
                      "%s: was not closed cleanly and has a journal to "
                      "replay, whose format is not known: open it once "
                      "with ESXi", name);
  return check_padding (p, 32, name, "volatile header", error);
}
