/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Links of chains, drawn: one letter for each grain, '.' for a hole, '0'
 * for a zero and any other for data, each sector of which holds that
 * letter and the number of the sector.
 */

#ifndef VMDK_TESTS_LINKS_H
#define VMDK_TESTS_LINKS_H

#include "folder.h"
#include "vmdkcore.h"

/* Sectors of a drawn link whose letters stand for more than one. */
#define LINKS_MAX_SECTORS 512

static inline void
link_fill_sector (uint8_t *p, char letter, uint64_t sector)
{
  memset (p, letter, 512);
  store_le64 (p, sector);
}

/* Write a sparse file with a descriptor inside, or none if that is NULL.
 * The numbers of its sectors begin with 'first'.
 */
static inline void
link_write_sparse (const struct folder *folder, const char *name,
                   const char *descriptor, const char *drawing,
                   uint64_t grain_size, uint64_t first)
{
  const uint64_t grains = strlen (drawing);
  /* Header, descriptor, directory, table. */
  uint64_t next = 24, i, j;
  uint8_t *file = calloc (next + grains * grain_size, 512);

  assert_non_null (file);
  assert_true (grains > 0 && grains <= 128);
  memcpy (file, "KDMV", 4);
  store_le32 (file + 4, 1);
  store_le32 (file + 8, 5);
  store_le64 (file + 12, grains * grain_size);
  store_le64 (file + 20, grain_size);
  if (descriptor) {
    store_le64 (file + 28, 1);
    store_le64 (file + 36, 20);
    strcpy ((char *) file + 512, descriptor);
  }
  store_le32 (file + 44, 128);
  store_le64 (file + 56, 21);
  memcpy (file + 73, "\n \r\n", 4);
  store_le32 (file + 21 * 512, 22);
  for (i = 0; i < grains; ++i) {
    uint32_t entry = drawing[i] == '0';

    if (drawing[i] != '.' && drawing[i] != '0') {
      entry = (uint32_t) next;
      for (j = 0; j < grain_size; ++j)
        link_fill_sector (file + next++ * 512, drawing[i],
                          first + i * grain_size + j);
    }
    store_le32 (file + 22 * 512 + i * 4, entry);
  }
  folder_write (folder, name, file, next * 512);
  free (file);
}

/* A monolithic link.  'hint' may be NULL for a base, whose parent_cid is
 * ffffffff.
 */
static inline void
link_write (const struct folder *folder, const char *name, uint32_t cid,
            uint32_t parent_cid, const char *hint, const char *drawing,
            uint64_t grain_size)
{
  char text[4096];
  int len;

  len = snprintf (text, sizeof text,
                  "# Disk DescriptorFile\nversion=1\nCID=%08" PRIx32 "\n"
                  "parentCID=%08" PRIx32 "\n"
                  "createType=\"monolithicSparse\"\n", cid, parent_cid);
  if (hint)
    len += snprintf (text + len, sizeof text - len,
                     "parentFileNameHint=\"%s\"\n", hint);
  snprintf (text + len, sizeof text - len, "RW %zu SPARSE \"%s\"\n",
            (size_t) (strlen (drawing) * grain_size), "x.vmdk");
  link_write_sparse (folder, name, text, drawing, grain_size, 0);
}

static inline struct vmdk_image *
links_try (const struct folder *folder, const char *name,
           struct vmdk_options *options, struct captured *log,
           struct vmdk_error *error)
{
  struct logger logger;

  captured_init (log, &logger);
  options->log = logger.log;
  options->opaque = logger.opaque;
  return vmdk_open (folder_path (folder, name), options, error);
}

/* Compare each sector with a drawing of one letter for each: '.' and '0'
 * read as zeroes.
 */
static inline void
links_check_read (struct vmdk_image *image, const char *drawing,
                  const char *file, int line)
{
  const uint64_t sectors = strlen (drawing);
  static uint8_t buf[LINKS_MAX_SECTORS * 512];
  static uint8_t expected[LINKS_MAX_SECTORS * 512];
  struct vmdk_error error;
  uint64_t i;

  _assert_true (sectors <= LINKS_MAX_SECTORS, "sectors", file, line);
  if (vmdk_size (image) != sectors * 512) {
    print_error ("size %" PRIu64 "\n", vmdk_size (image));
    _fail (file, line);
  }
  memset (expected, 0, sizeof expected);
  for (i = 0; i < sectors; ++i)
    if (drawing[i] != '.' && drawing[i] != '0')
      link_fill_sector (expected + i * 512, drawing[i], i);
  if (vmdk_pread (image, buf, sectors * 512, 0, &error) == -1) {
    print_error ("%s\n", error.message);
    _fail (file, line);
  }
  for (i = 0; i < sectors; ++i)
    if (memcmp (buf + i * 512, expected + i * 512, 512) != 0) {
      print_error ("sector %" PRIu64 ": expected '%c', got '%c'\n", i,
                   drawing[i], buf[i * 512 + 8]);
      _fail (file, line);
    }
  /* In pieces that are no sectors. */
  for (i = 0; i + 700 <= sectors * 512; i += 611)
    if (vmdk_pread (image, buf, 700, i, &error) == -1 ||
        memcmp (buf, expected + i, 700) != 0) {
      print_error ("piece at %" PRIu64 "\n", i);
      _fail (file, line);
    }
}

#define assert_image(image, drawing)                    \
  links_check_read (image, drawing, __FILE__, __LINE__)

/* The disk opens, reads as drawn, and is a chain of so many links. */
static inline void
links_check_opens (const struct folder *folder, const char *name,
                   const struct vmdk_options *given, struct captured *log,
                   const char *drawing, size_t nr_links, const char *file,
                   int line)
{
  struct vmdk_options options = *given;
  struct vmdk_description d;
  struct vmdk_error error;
  struct vmdk_image *image = links_try (folder, name, &options, log, &error);

  if (!image) {
    print_error ("%s\n", error.message);
    _fail (file, line);
  }
  links_check_read (image, drawing, file, line);
  vmdk_describe (image, &d);
  _assert_int_equal (d.nr_links, nr_links, file, line);
  vmdk_close (image);
}

/* The disk does not open, and the message has this piece. */
static inline void
links_check_refused (const struct folder *folder, const char *name,
                     const struct vmdk_options *given, struct captured *log,
                     enum vmdk_error_kind kind, int err, const char *piece,
                     const char *file, int line)
{
  struct vmdk_options options = *given;
  struct vmdk_error error;

  if (links_try (folder, name, &options, log, &error)) {
    print_error ("opened; expected: %s\n", piece);
    _fail (file, line);
  }
  check_error (&error, kind, err, piece, file, line);
}

/* The allocation, from each sector on: 'd' is data, '.' a hole, '?'
 * unknown; each answer goes as far as it is true.
 */
static inline void
links_check_allocation (struct vmdk_image *image, const char *drawing,
                        const char *file, int line)
{
  const uint64_t sectors = strlen (drawing);
  struct vmdk_error error;
  uint64_t i;

  _assert_true (vmdk_size (image) == sectors * 512, "size", file, line);
  for (i = 0; i < sectors; ++i) {
    enum vmdk_allocation allocation = VMDK_UNKNOWN;
    uint64_t length = 0, n = 1;
    char letter;

    while (drawing[i + n] == drawing[i])
      n++;
    if (vmdk_is_allocated (image, i * 512, (sectors - i) * 512, &allocation,
                           &length, &error) == -1) {
      print_error ("%s\n", error.message);
      _fail (file, line);
    }
    letter = allocation == VMDK_ALLOCATED ? 'd' :
      allocation == VMDK_HOLE ? '.' : '?';
    if (letter != drawing[i] || length != n * 512) {
      print_error ("sector %" PRIu64 ": '%c' for %" PRIu64 " bytes\n", i,
                   letter, length);
      _fail (file, line);
    }
  }
}

#define assert_allocated(image, drawing)                        \
  links_check_allocation (image, drawing, __FILE__, __LINE__)

#endif /* VMDK_TESTS_LINKS_H */
