/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Small images in a temporary folder, with a model of what they hold. */

#ifndef VMDK_TESTS_IMAGE_H
#define VMDK_TESTS_IMAGE_H

#include "folder.h"
#include "vmdkcore.h"

/* What a sector is. */
enum {
  SECTOR_DATA,
  SECTOR_HOLE,
  SECTOR_NOACCESS
};

#define MODEL_MAX_SECTORS 16384

struct model {
  struct folder folder;
  uint64_t seed;
  uint64_t sectors;
  uint8_t kinds[MODEL_MAX_SECTORS];
  uint8_t bytes[MODEL_MAX_SECTORS * 512];
  char descriptor[8192];
  unsigned nr_extents;
  uint64_t starts[32];          /* of the extents, sectors */
};

static inline void
model_init (struct model *m, uint64_t seed)
{
  memset (m, 0, sizeof *m);
  m->seed = seed;
  folder_new (&m->folder);
  strcpy (m->descriptor, "# Disk DescriptorFile\nversion=1\nCID=1\n"
          "parentCID=ffffffff\ncreateType=\"custom\"\n");
}

static inline void
model_free (struct model *m)
{
  folder_remove (&m->folder);
}

static inline void
model_random_bytes (struct model *m, uint8_t *p, uint64_t len)
{
  uint64_t i;

  assert_int_equal (len % 8, 0);
  for (i = 0; i < len; i += 8)
    store_le64 (p + i, next_random (&m->seed) | 1);
}

/* Put an extent of 'sectors' sectors of one kind behind the others.
 * 'line' is what its line has beside "RW sectors".
 */
static inline void
model_add (struct model *m, const char *access, uint64_t sectors,
           const char *line, uint8_t kind)
{
  const size_t len = strlen (m->descriptor);

  assert_true (m->sectors + sectors <= MODEL_MAX_SECTORS);
  assert_true (m->nr_extents < 32);
  m->starts[m->nr_extents++] = m->sectors;
  memset (m->kinds + m->sectors, kind, sectors);
  m->sectors += sectors;
  snprintf (m->descriptor + len, sizeof m->descriptor - len,
            "%s %" PRIu64 " %s\n", access, sectors, line);
}

/* FLAT or VMFS, 'offset' sectors inside its file. */
static inline void
model_add_flat (struct model *m, uint64_t sectors, const char *type,
                uint64_t offset)
{
  const uint64_t start = m->sectors;
  const size_t len = (offset + sectors + 1) * SECTOR_SIZE;
  char name[32], line[64];
  uint8_t *file = malloc (len);

  assert_non_null (file);
  snprintf (name, sizeof name, "flat%u", m->nr_extents);
  snprintf (line, sizeof line, "%s \"%s\" %" PRIu64, type, name, offset);
  model_add (m, "RW", sectors, line, SECTOR_DATA);
  model_random_bytes (m, file, len);
  memcpy (m->bytes + start * SECTOR_SIZE, file + offset * SECTOR_SIZE,
          sectors * SECTOR_SIZE);
  folder_write (&m->folder, name, file, len);
  free (file);
}

/* How a hosted sparse file is made. */
struct sparse_spec {
  uint64_t capacity, grain_size;        /* sectors */
  uint32_t entries;
  bool redundant;
  const char *descriptor;               /* embedded, or NULL */
  uint64_t cut;                         /* bytes missing at the end */
};

/* Make one whose grains are random holes, zeroes and data, or data only
 * if 'full' is set.  'bytes' and 'kinds' get what it holds, up to the
 * end of the last grain.  Returns the number of bytes of the file.
 */
static inline uint64_t
sparse_write (struct model *m, const char *name,
              const struct sparse_spec *spec, bool full, uint8_t *bytes,
              uint8_t *kinds)
{
  const uint64_t grains = div_up (spec->capacity, spec->grain_size);
  const uint64_t grain_bytes = spec->grain_size * SECTOR_SIZE;
  const uint64_t tables = div_up (grains, spec->entries);
  const uint64_t table_size =
    div_up (spec->entries * UINT64_C (4), SECTOR_SIZE);
  const uint64_t directory_size = div_up (tables * 4, SECTOR_SIZE);
  const unsigned copies = spec->redundant ? 2 : 1;
  uint64_t directory[2], next, i;
  uint8_t *file;
  unsigned c;

  next = spec->descriptor ? 21 : 1;
  for (c = 0; c < copies; ++c) {
    directory[c] = next;
    next += directory_size + tables * table_size;
  }
  file = calloc (next + 2 * grains * spec->grain_size, SECTOR_SIZE);
  assert_non_null (file);

  memcpy (file, "KDMV", 4);
  store_le32 (file + 4, 1);
  store_le32 (file + 8, spec->redundant ? 7 : 5);
  store_le64 (file + 12, spec->capacity);
  store_le64 (file + 20, spec->grain_size);
  if (spec->descriptor) {
    store_le64 (file + 28, 1);
    store_le64 (file + 36, 20);
    strcpy ((char *) file + 512, spec->descriptor);
  }
  store_le32 (file + 44, spec->entries);
  if (spec->redundant)
    store_le64 (file + 48, directory[0]);
  store_le64 (file + 56, directory[copies - 1]);
  memcpy (file + 73, "\n \r\n", 4);
  for (c = 0; c < copies; ++c)
    for (i = 0; i < tables; ++i)
      store_le32 (file + directory[c] * SECTOR_SIZE + i * 4,
                  (uint32_t) (directory[c] + directory_size +
                              i * table_size));

  for (i = 0; i < grains; ++i) {
    const uint64_t kind = full ? 2 : random_below (&m->seed, 4);
    uint32_t entry = (uint32_t) kind;

    memset (bytes + i * grain_bytes, 0, grain_bytes);
    memset (kinds + i * spec->grain_size, kind < 2 ? SECTOR_HOLE :
            SECTOR_DATA, spec->grain_size);
    if (kind >= 2) {
      /* Some follow each other in the file. */
      if (!full && random_below (&m->seed, 3) == 0)
        next += 1 + random_below (&m->seed, spec->grain_size);
      entry = (uint32_t) next;
      next += spec->grain_size;
      model_random_bytes (m, bytes + i * grain_bytes, grain_bytes);
      memcpy (file + entry * SECTOR_SIZE, bytes + i * grain_bytes,
              grain_bytes);
    }
    for (c = 0; c < copies; ++c)
      store_le32 (file + (directory[c] + directory_size +
                          i / spec->entries * table_size) * SECTOR_SIZE +
                  i % spec->entries * 4, entry);
  }
  folder_write (&m->folder, name, file, next * SECTOR_SIZE - spec->cut);
  free (file);
  return next * SECTOR_SIZE - spec->cut;
}

/* A sparse extent whose header gives it 'sectors', which need not be
 * whole grains.
 */
static inline void
model_add_sparse (struct model *m, uint64_t sectors, uint64_t grain_size,
                  uint32_t entries, bool redundant)
{
  const struct sparse_spec spec = {
    .capacity = sectors, .grain_size = grain_size, .entries = entries,
    .redundant = redundant,
  };
  const uint64_t start = m->sectors;
  char name[32], line[64];

  snprintf (name, sizeof name, "sparse%u", m->nr_extents);
  snprintf (line, sizeof line, "SPARSE \"%s\"", name);
  model_add (m, "RW", sectors, line, SECTOR_DATA);
  assert_true (start + sectors + grain_size <= MODEL_MAX_SECTORS);
  sparse_write (m, name, &spec, false, m->bytes + start * SECTOR_SIZE,
                m->kinds + start);
}

/* Extents by letters: Flat, Vmfs, Sparse, Zero, Noaccess without a file
 * and noaccess with one that is not there.
 */
static inline void
model_add_letters (struct model *m, const char *letters)
{
  for (; *letters; ++letters)
    switch (*letters) {
    case 'F':
      model_add_flat (m, 101, "FLAT", 3);
      break;
    case 'V':
      model_add_flat (m, 33, "VMFS", 0);
      break;
    case 'S':
      model_add_sparse (m, 1003, 8, 64, true);
      break;
    case 's':
      model_add_sparse (m, 77, 1, 16, false);
      break;
    case 'Z':
      model_add (m, "RW", 65, "ZERO", SECTOR_HOLE);
      memset (m->bytes + (m->sectors - 65) * SECTOR_SIZE, 0,
              65 * SECTOR_SIZE);
      break;
    case 'N':
      model_add (m, "NOACCESS", 7, "ZERO", SECTOR_NOACCESS);
      break;
    case 'n':
      model_add (m, "NOACCESS", 9, "FLAT \"none.vmdk\" 0",
                 SECTOR_NOACCESS);
      break;
    default:
      fail_msg ("letter %c", *letters);
    }
}

static inline struct vmdk_image *
open_path (const char *path, uint64_t cache_size, struct captured *log,
           struct vmdk_error *error)
{
  struct logger logger;
  struct vmdk_options options = { .cache_size = cache_size };

  captured_init (log, &logger);
  options.log = logger.log;
  options.opaque = logger.opaque;
  return vmdk_open (path, &options, error);
}

static inline struct vmdk_image *
model_open (struct model *m, struct captured *log)
{
  struct vmdk_error error;
  struct vmdk_image *image;

  folder_write_text (&m->folder, "disk.vmdk", m->descriptor);
  image = open_path (folder_path (&m->folder, "disk.vmdk"),
                     VMDK_CACHE_MIN, log, &error);
  if (!image)
    fail_msg ("%s\n%s", m->descriptor, error.message);
  return image;
}

/* Compare one read with the model; false if it is wrong.  May be called
 * by any thread.
 */
static inline bool
model_read_is_right (const struct model *m, struct vmdk_image *image,
                     uint64_t offset, size_t count)
{
  uint8_t *buf = malloc (count + 1);
  struct vmdk_error error;
  bool readable = true, r;
  uint64_t i;

  if (!buf)
    return false;
  for (i = offset / 512; count > 0 && i <= (offset + count - 1) / 512; ++i)
    readable = readable && m->kinds[i] != SECTOR_NOACCESS;
  if (vmdk_pread (image, buf, count, offset, &error) == 0)
    r = readable && memcmp (buf, m->bytes + offset, count) == 0;
  else
    r = !readable && error.kind == VMDK_ERROR_DENIED && error.err == EIO;
  free (buf);
  return r;
}

/* The same for the allocation, whose answer must be as long as it can
 * be.
 */
static inline bool
model_allocation_is_right (const struct model *m, struct vmdk_image *image,
                           uint64_t offset, uint64_t count)
{
  const bool hole = m->kinds[offset / 512] == SECTOR_HOLE;
  const uint64_t end = offset + count;
  enum vmdk_allocation allocation;
  uint64_t length, expected = offset;
  struct vmdk_error error;

  while (expected < end &&
         (m->kinds[expected / 512] == SECTOR_HOLE) == hole)
    expected = (expected / 512 + 1) * 512;
  expected = min_u64 (expected, end) - offset;
  return vmdk_is_allocated (image, offset, count, &allocation, &length,
                            &error) == 0 &&
    allocation == (hole ? VMDK_HOLE : VMDK_ALLOCATED) && length == expected;
}

static inline void
model_check (const struct model *m, struct vmdk_image *image,
             uint64_t offset, uint64_t count)
{
  if (!model_read_is_right (m, image, offset, count))
    fail_msg ("read of %" PRIu64 " at %" PRIu64 "\n%s", count, offset,
              m->descriptor);
  if (count > 0 && !model_allocation_is_right (m, image, offset, count))
    fail_msg ("allocation of %" PRIu64 " at %" PRIu64 "\n%s", count, offset,
              m->descriptor);
}

#endif /* VMDK_TESTS_IMAGE_H */
