/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "bytes.h"
#include "create-kind.h"

#define TIB (UINT64_C (1) << 40)

/* Sectors have 32 bits in the tables of sparse files.  ESX makes COWD disks
 * of 2 TiB less a sector at most, and VMFS files of 62 TiB.  A
 * split disk of 8 TiB has 4098 files.
 */
static const struct create_kind kinds[] = {
  { .name = "monolithic-sparse", .create_type = "monolithicSparse",
    .layout = CREATE_SPARSE, .word = "SPARSE", .may_have_parent = true,
    .max_size = 2 * TIB },
  { .name = "monolithic-flat", .create_type = "monolithicFlat",
    .layout = CREATE_FLAT, .word = "FLAT", .suffix = "-flat",
    .max_size = 62 * TIB },
  { .name = "split-sparse", .create_type = "twoGbMaxExtentSparse",
    .layout = CREATE_SPARSE, .word = "SPARSE", .suffix = "-s", .split = true,
    .may_have_parent = true, .max_size = 8 * TIB },
  { .name = "split-flat", .create_type = "twoGbMaxExtentFlat",
    .layout = CREATE_FLAT, .word = "FLAT", .suffix = "-f", .split = true,
    .max_size = 8 * TIB },
  { .name = "stream-optimized", .create_type = "streamOptimized",
    .layout = CREATE_STREAM, .word = "SPARSE", .max_size = 62 * TIB },
  { .name = "vmfs-flat", .create_type = "vmfs",
    .layout = CREATE_FLAT, .word = "VMFS", .suffix = "-flat",
    .max_size = 62 * TIB },
  { .name = "vmfs-thin", .create_type = "vmfs",
    .layout = CREATE_FLAT, .word = "VMFS", .suffix = "-flat", .thin = true,
    .max_size = 62 * TIB },
  { .name = "vmfs-sparse", .create_type = "vmfsSparse",
    .layout = CREATE_COWD, .word = "VMFSSPARSE", .suffix = "-delta",
    .may_have_parent = true, .max_size = 2 * TIB - SECTOR_SIZE },
};

/* Other words for some of them, which other tools have. */
static const struct { const char *word, *name; } synonyms[] = {
  { "2GbMaxExtentSparse", "split-sparse" },
  { "2GbMaxExtentFlat", "split-flat" },
  { "vmfsPreallocated", "vmfs-flat" },
  { "vmfsThick", "vmfs-flat" },
  { "vmfsEagerZeroedThick", "vmfs-flat" },
  { "vmfsThin", "vmfs-thin" },
};

static const struct { const char *word, *value; } adapters[] = {
  { "ide", "ide" },
  { "scsi-buslogic", "buslogic" },
  { "scsi-lsilogic", "lsilogic" },
  { "buslogic", "buslogic" },
  { "lsilogic", "lsilogic" },
  { "lsisas1068", "lsisas1068" },
  { "pvscsi", "pvscsi" },
  { "legacyESX", "legacyESX" },
};

static const struct { const char *word; unsigned version; } hardware[] = {
  { "workstation4", 3 },
  { "workstation5", 4 },
  { "workstation6", 6 },
  { "esx30", 4 },
  { "esx4x", 7 },
  { "esx50", 8 },
  { "esx51", 9 },
  { "esx55", 10 },
  { "esx60", 11 },
  { "esx65", 13 },
};

#define LENGTH(a) (sizeof (a) / sizeof (a)[0])

/* Add a word to a list for a message. */
static void
list (char *text, size_t size, const char *word)
{
  const size_t len = strlen (text);

  snprintf (text + len, size - len, "%s%s", len ? ", " : "", word);
}

const char *
vmdk_create_type (unsigned n)
{
  return n < LENGTH (kinds) ? kinds[n].name : NULL;
}

const struct create_kind *
create_find_kind (const char *name, struct vmdk_error *error)
{
  char known[300] = "";
  size_t i, k;

  if (!name)
    return &kinds[0];
  for (i = 0; i < LENGTH (synonyms); ++i)
    if (strcasecmp (name, synonyms[i].word) == 0)
      name = synonyms[i].name;
  for (k = 0; k < LENGTH (kinds); ++k) {
    if (strcasecmp (name, kinds[k].name) == 0 ||
        strcasecmp (name, kinds[k].create_type) == 0)
      return &kinds[k];
    list (known, sizeof known, kinds[k].name);
  }
  error_set (error, VMDK_ERROR_INVALID, EINVAL,
             "disks of the type '%s' cannot be created; known are %s", name,
             known);
  return NULL;
}

const char *
create_find_adapter (const char *name, struct vmdk_error *error)
{
  char known[200] = "";
  size_t i;

  if (!name)
    return "lsilogic";
  for (i = 0; i < LENGTH (adapters); ++i) {
    if (strcasecmp (name, adapters[i].word) == 0)
      return adapters[i].value;
    list (known, sizeof known, adapters[i].word);
  }
  error_set (error, VMDK_ERROR_INVALID, EINVAL,
             "the adapter type '%s' is not known; known are %s", name, known);
  return NULL;
}

int
create_find_hwversion (const char *name, unsigned *version,
                       struct vmdk_error *error)
{
  char known[200] = "", end;
  size_t i;

  *version = 4;
  if (!name)
    return 0;
  for (i = 0; i < LENGTH (hardware); ++i) {
    if (strcasecmp (name, hardware[i].word) == 0) {
      *version = hardware[i].version;
      return 0;
    }
    list (known, sizeof known, hardware[i].word);
  }
  if (strlen (name) <= 2 && strspn (name, "0123456789") == strlen (name) &&
      sscanf (name, "%u%c", version, &end) == 1 && *version >= 3)
    return 0;
  return error_set (error, VMDK_ERROR_INVALID, EINVAL,
                    "the hardware version '%s' is not known; known are "
                    "numbers from 3 to 99 and %s", name, known);
}

int
create_check_size (const struct create_kind *kind, uint64_t size,
                   struct vmdk_error *error)
{
  if (size == 0)
    return error_set (error, VMDK_ERROR_INVALID, EINVAL,
                      "a disk of 0 bytes cannot be created");
  if (size % SECTOR_SIZE != 0)
    return error_set (error, VMDK_ERROR_INVALID, EINVAL,
                      "the size of %" PRIu64 " bytes is not a multiple of "
                      "512", size);
  if (size > kind->max_size)
    return error_set (error, VMDK_ERROR_INVALID, EINVAL,
                      "the size of %" PRIu64 " bytes is too large: a disk of "
                      "the type %s has at most %" PRIu64, size, kind->name,
                      kind->max_size);
  return 0;
}
