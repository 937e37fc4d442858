/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Streams that are written, with a model in memory of what they hold. */

#ifndef VMDK_TESTS_WRITTEN_H
#define VMDK_TESTS_WRITTEN_H

#include "folder.h"
#include "stream-write.h"

#define GRAIN 65536

struct written {
  struct folder folder;
  uint64_t size;
  uint64_t seed;
  uint8_t *model;
  struct stream_writer *w;
};

static inline const char *
written_path (const struct written *t)
{
  return folder_path (&t->folder, "new.vmdk");
}

static inline void
written_descriptor (char *text, size_t len, uint64_t size)
{
  snprintf (text, len, "# Disk DescriptorFile\nversion=1\nCID=12345678\n"
            "parentCID=ffffffff\ncreateType=\"streamOptimized\"\n\n"
            "# Extent description\nRW %" PRIu64 " SPARSE \"new.vmdk\"\n\n"
            "# The Disk Data Base\n#DDB\n\n"
            "ddb.adapterType = \"lsilogic\"\n", size / 512);
}

/* A new stream in a new folder; NULL in t->w and *error if that fails. */
static inline void
written_try (struct written *t, uint64_t size, uint64_t memory,
             const struct io_hook *hook, struct vmdk_error *error)
{
  char descriptor[1024];
  struct stream_create_options options = {
    .size = size, .memory = memory, .compress_level = 1, .hook = hook,
    .descriptor = descriptor,
  };

  folder_new (&t->folder);
  t->size = size;
  t->seed = 1;
  t->model = calloc (1, size);
  assert_non_null (t->model);
  written_descriptor (descriptor, sizeof descriptor, size);
  options.path = written_path (t);
  t->w = stream_writer_create (&options, error);
}

static inline void
written_new (struct written *t, uint64_t size, uint64_t memory)
{
  struct vmdk_error error;

  written_try (t, size, memory, NULL, &error);
  if (!t->w)
    fail_msg ("%s", error.message);
}

static inline void
written_free (struct written *t)
{
  stream_writer_free (t->w);
  free (t->model);
  folder_remove (&t->folder);
}

/* Content of some kind: random, like text, or zeroes. */
static inline void
fill_kind (uint8_t *p, uint64_t count, uint64_t kind, uint64_t *seed)
{
  uint64_t random = 0, i;

  memset (p, 0, count);
  for (i = 0; i < count && kind < 2; ++i) {
    if (i % (kind == 0 ? 8 : 512) == 0)
      random = next_random (seed);
    p[i] = kind == 0 ? (uint8_t) (random >> i % 8 * 8) :
      (uint8_t) (i % 61 + random % 64);
  }
}

static inline void
written_put (struct written *t, uint64_t offset, uint64_t count,
             uint64_t kind)
{
  struct vmdk_error error;

  fill_kind (t->model + offset, count, kind, &t->seed);
  if (stream_writer_pwrite (t->w, t->model + offset, count, offset,
                            &error) == -1)
    fail_msg ("%s", error.message);
}

static inline void
written_zero (struct written *t, uint64_t offset, uint64_t count)
{
  struct vmdk_error error;

  memset (t->model + offset, 0, count);
  if (stream_writer_zero (t->w, count, offset, &error) == -1)
    fail_msg ("%s", error.message);
}

static inline void
written_read (const struct written *t, uint64_t offset, uint64_t count)
{
  uint8_t *buf = malloc (count);
  struct vmdk_error error;

  assert_non_null (buf);
  if (stream_writer_pread (t->w, buf, count, offset, &error) == -1)
    fail_msg ("%s", error.message);
  if (memcmp (buf, t->model + offset, count) != 0)
    fail_msg ("%" PRIu64 " bytes at %" PRIu64 " differ", count, offset);
  free (buf);
}

static inline void
written_finish (struct written *t)
{
  struct vmdk_error error;

  if (stream_writer_finish (t->w, &error) == -1)
    fail_msg ("%s", error.message);
}

static inline uint8_t *
read_file (const char *path, uint64_t *size)
{
  FILE *fp = fopen (path, "rb");
  uint8_t *p;

  assert_non_null (fp);
  assert_int_equal (fseek (fp, 0, SEEK_END), 0);
  *size = (uint64_t) ftell (fp);
  rewind (fp);
  p = malloc (*size);
  assert_non_null (p);
  assert_int_equal (fread (p, 1, *size, fp), *size);
  fclose (fp);
  return p;
}

/* Check a file sector by sector: what has to be there, in which order, and
 * nothing else.  Returns the number of grains.
 */
static inline unsigned
check_stream (const char *path, uint64_t disk)
{
  const uint64_t nr_grains = div_up (disk, GRAIN);
  const uint64_t nr_tables = div_up (nr_grains, 512);
  const uint64_t gd_sectors = div_up (nr_tables * 4, 512);
  uint64_t size, sectors, at, i, last = 0, gd = 0, table = UINT64_MAX;
  uint32_t *tables = calloc (nr_tables, 4), *entries = calloc (512, 4);
  uint8_t *file = read_file (path, &size), header[512];
  unsigned nr = 0;

  assert_non_null (tables);
  assert_non_null (entries);
  assert_int_equal (size % 512, 0);
  sectors = size / 512;
  memcpy (header, file, 512);
  assert_memory_equal (header, "KDMV\3\0\0\0\1\0\3\0", 12);
  assert_int_equal (load_le64 (header + 12), disk / 512);
  assert_int_equal (load_le64 (header + 20), 128);
  assert_int_equal (load_le64 (header + 28), 1);
  assert_int_equal (load_le64 (header + 36), 20);
  assert_int_equal (load_le32 (header + 44), 512);
  assert_int_equal (load_le64 (header + 48), 0);
  assert_true (load_le64 (header + 56) == UINT64_MAX);
  assert_int_equal (load_le64 (header + 64), 128);
  assert_memory_equal (header + 72, "\0\n \r\n\1\0", 7);
  for (i = 79; i < 512; ++i)
    assert_int_equal (header[i], 0);
  assert_memory_equal (file + 512, "# Disk DescriptorFile\nversion=1\n", 32);
  for (i = 512 + strlen ((char *) file + 512); i < 65536; ++i)
    assert_int_equal (file[i], 0);

  for (at = 128; at < sectors;) {
    const uint8_t *p = file + at * 512;
    const uint64_t value = load_le64 (p);
    const uint32_t length = load_le32 (p + 8), type = load_le32 (p + 12);

    if (length > 0) {
      const uint64_t grain = value / 128, end = 12 + (uint64_t) length;

      assert_int_equal (value % 128, 0);
      assert_true (grain < nr_grains && (nr == 0 || grain > last));
      assert_true (end <= 66048);
      if (table == UINT64_MAX)
        table = grain / 512;
      assert_int_equal (grain / 512, table);
      assert_memory_not_equal (p + 12, "\0\0", 2);
      for (i = end; i % 512 != 0; ++i)
        assert_int_equal (p[i], 0);
      entries[grain % 512] = (uint32_t) at;
      last = grain;
      nr++;
      at += div_up (end, 512);
      assert_true (at < sectors);
      continue;
    }
    for (i = 16; i < 512; ++i)
      assert_int_equal (p[i], 0);
    if (type == 1) {
      assert_int_equal (value, 4);
      assert_true (table != UINT64_MAX);
      for (i = 0; i < 512; ++i)
        assert_int_equal (load_le32 (p + 512 + i * 4), entries[i]);
      tables[table] = (uint32_t) at + 1;
      memset (entries, 0, 2048);
      table = UINT64_MAX;
      at += 5;
    }
    else if (type == 2) {
      assert_int_equal (value, gd_sectors);
      assert_true (table == UINT64_MAX);
      for (i = 0; i < gd_sectors * 128; ++i)
        assert_int_equal (load_le32 (p + 512 + i * 4),
                          i < nr_tables ? tables[i] : 0);
      gd = at + 1;
      at += 1 + gd_sectors;
      /* And then only this. */
      assert_int_equal (at + 3, sectors);
    }
    else {
      assert_int_equal (type, 3);
      assert_int_equal (value, 1);
      assert_true (gd != 0);
      store_le64 (header + 56, gd);
      assert_memory_equal (p + 512, header, 512);
      for (i = 1024; i < 1536; ++i)
        assert_int_equal (p[i], 0);
      at += 3;
      assert_int_equal (at, sectors);
    }
  }
  assert_true (gd != 0);
  free (file);
  free (entries);
  free (tables);
  return nr;
}

/* How many grains of the model are not zeroes. */
static inline unsigned
count_grains (const struct written *t)
{
  unsigned nr = 0;
  uint64_t at, i;

  for (at = 0; at < t->size; at += GRAIN)
    for (i = at; i < t->size && i < at + GRAIN; ++i)
      if (t->model[i] != 0) {
        nr++;
        break;
      }
  return nr;
}

/* The finished file is what everybody accepts, has what was written, and
 * the folder has nothing else.
 */
static inline void
written_check (struct written *t)
{
  const struct vmdk_options options = { .cache_size = 0 };
  struct vmdk_error error;
  struct vmdk_image *image;
  uint8_t *buf = malloc (t->size);

  assert_non_null (buf);
  assert_int_equal (check_stream (written_path (t), t->size),
                    count_grains (t));
  image = vmdk_open (written_path (t), &options, &error);
  if (!image)
    fail_msg ("%s", error.message);
  assert_int_equal (vmdk_size (image), t->size);
  if (vmdk_pread (image, buf, t->size, 0, &error) == -1)
    fail_msg ("%s", error.message);
  assert_memory_equal (buf, t->model, t->size);
  vmdk_close (image);
  free (buf);
  written_read (t, 0, t->size);
}

#endif /* VMDK_TESTS_WRITTEN_H */
