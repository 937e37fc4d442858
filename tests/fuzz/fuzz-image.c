/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* A whole image, see blob.h: open it, map and read it, change a little of it,
 * flush, close, and open it again.
 *
 * Whatever the image is: a hole reads as zeroes; what was read stays what it
 * is while nobody writes there; what was written is read, then and after a
 * flush and a second opening; and an image that is not written stays as it is,
 * byte for byte.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blob.h"
#include "bytes.h"
#include "fuzz.h"
#include "vmdkcore.h"

enum {
  SALVAGE = 1,
  SINGLE_LINK = 2,
  IGNORE_CID = 4,
  WRITE = 8
};

#define WINDOW 65536
#define MAX_PIECES 200
#define NR_READS 12
#define NR_CHANGES 10

/* A part of the disk, and what it must hold. */
struct window {
  uint64_t offset;
  size_t count;
  bool known;                   /* it could be read */
  uint8_t bytes[WINDOW];
};

struct state {
  struct vmdk_image *image;
  uint64_t size;
  uint64_t random;
  unsigned nr_pieces;
  uint64_t mapped_to;
};

static char folder[64];
static uint8_t buffer[WINDOW];
static struct window changed, other;

static void
remove_folder (void)
{
  rmdir (folder);
}

/* In memory, if there is a place for that. */
static int
open_folder (void)
{
  static int dir = -1;

  if (dir == -1) {
    strcpy (folder, "/dev/shm/nbdkit-vmdk-fuzz-XXXXXX");
    if (!mkdtemp (folder)) {
      strcpy (folder, "/tmp/nbdkit-vmdk-fuzz-XXXXXX");
      if (!mkdtemp (folder)) {
        perror (folder);
        exit (EXIT_FAILURE);
      }
    }
    atexit (remove_folder);
    dir = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  }
  return dir;
}

static void __attribute__ ((noreturn))
wrong (const char *what, const struct vmdk_error *error)
{
  fprintf (stderr, "%s: %s\n", what, error ? error->message : "");
  abort ();
}

static uint64_t
next_random (struct state *s)
{
  s->random = s->random * UINT64_C (6364136223846793005) +
    UINT64_C (1442695040888963407);
  return s->random >> 17;
}

static void
check_message (const struct vmdk_error *error)
{
  if (error->message[0] == '\0' || error->err == 0)
    wrong ("a failure without a message", NULL);
}

static bool
read_range (struct state *s, void *buf, size_t count, uint64_t offset)
{
  struct vmdk_error error;

  if (vmdk_pread (s->image, buf, count, offset, &error) == 0)
    return true;
  check_message (&error);
  return false;
}

static bool
is_zero (const uint8_t *p, size_t n)
{
  return n == 0 || (p[0] == 0 && memcmp (p, p + 1, n - 1) == 0);
}

static int
check_piece (void *opaque, uint64_t offset, uint64_t length,
             enum vmdk_allocation allocation)
{
  struct state *s = opaque;
  const size_t n = (size_t) min_u64 (length, 4096);

  if (offset != s->mapped_to || length == 0 || length > s->size - offset)
    wrong ("a gap in the map", NULL);
  s->mapped_to = offset + length;
  if (allocation != VMDK_ALLOCATED) {
    if (!read_range (s, buffer, n, offset) || !is_zero (buffer, n))
      wrong ("a hole does not read as zeroes", NULL);
    if (!read_range (s, buffer, n, offset + length - n) ||
        !is_zero (buffer, n))
      wrong ("the end of a hole does not read as zeroes", NULL);
  }
  return ++s->nr_pieces >= MAX_PIECES;
}

static void
map_and_read (struct state *s)
{
  struct vmdk_error error;
  unsigned i;

  s->nr_pieces = 0;
  for (i = 0; i < 3; ++i) {
    const uint64_t offset = i == 0 ? 0 : next_random (s) % s->size;

    s->mapped_to = offset;
    if (vmdk_map (s->image, offset, s->size - offset, check_piece, s,
                  &error) == -1)
      check_message (&error);
  }
  for (i = 0; i < NR_READS; ++i) {
    const size_t n =
      (size_t) min_u64 (1 + next_random (s) % sizeof buffer, s->size);
    const uint64_t offset = i == 0 ? 0 : i == 1 ? s->size - n :
      next_random (s) % (s->size - n + 1);

    (void) read_range (s, buffer, n, offset);
  }
}

static void
choose_window (struct state *s, struct window *w)
{
  w->count = (size_t) min_u64 (s->size, WINDOW);
  w->offset = next_random (s) % (s->size - w->count + 1);
  w->known = read_range (s, w->bytes, w->count, w->offset);
}

static bool
meet (const struct window *a, const struct window *b)
{
  return a->offset < b->offset + b->count && b->offset < a->offset + a->count;
}

static void
check_window (struct state *s, const struct window *w, const char *when)
{
  if (!w->known)
    return;
  if (!read_range (s, buffer, w->count, w->offset))
    wrong ("what could be read cannot", NULL);
  if (memcmp (buffer, w->bytes, w->count) != 0)
    wrong (when, NULL);
}

/* One change inside the window.  A part that fails leaves either. */
static bool
change (struct state *s, struct window *w)
{
  const size_t at = (size_t) (next_random (s) % w->count);
  const size_t n = 1 + (size_t) (next_random (s) % min_u64 (w->count - at,
                                                            20000));
  const unsigned what = next_random (s) % 8;
  const unsigned fua = next_random (s) % 8 == 0 ? VMDK_FUA : 0;
  struct vmdk_error error;
  int r;

  if (what < 4) {
    memset (buffer, (int) (next_random (s) % 256), n);
    r = vmdk_pwrite (s->image, buffer, n, w->offset + at, fua, &error);
    if (r == 0)
      memcpy (w->bytes + at, buffer, n);
  }
  else if (what < 7) {
    r = vmdk_zero (s->image, n, w->offset + at,
                   fua | (what == 5 ? VMDK_MAY_TRIM : 0) |
                   (what == 6 ? VMDK_FAST : 0), &error);
    if (r == 0)
      memset (w->bytes + at, 0, n);
    else if (what == 6 && error.kind == VMDK_ERROR_UNSUPPORTED)
      return true;
  }
  else {
    r = vmdk_trim (s->image, n, w->offset + at, fua, &error);
    if (r == 0)
      w->known = w->known &&
        read_range (s, w->bytes, w->count, w->offset);
  }
  if (r == 0)
    return true;
  check_message (&error);
  w->known = read_range (s, w->bytes, w->count, w->offset);
  return false;
}

/* Returns whether all went well. */
static bool
change_all (struct state *s)
{
  struct vmdk_error error;
  bool good = true;
  unsigned i;

  choose_window (s, &changed);
  choose_window (s, &other);
  if (meet (&changed, &other))
    other.known = false;
  for (i = 0; i < NR_CHANGES; ++i) {
    good = change (s, &changed) && good;
    if (i == NR_CHANGES / 2 && vmdk_flush (s->image, &error) == -1) {
      check_message (&error);
      good = false;
    }
  }
  check_window (s, &changed, "what was written is not read");
  check_window (s, &other, "a write has changed something else");
  if (vmdk_end_writing (s->image, &error) == -1) {
    check_message (&error);
    good = false;
  }
  check_window (s, &other, "a flush has changed something else");
  return good;
}

/* A sum of all that is in the files, and of what they are. */
static uint64_t
sum_files (const struct blob_files *files, int dir)
{
  uint64_t sum = 0;
  unsigned i;

  for (i = 0; i < files->nr; ++i) {
    const int fd = openat (dir, files->names[i], O_RDONLY | O_CLOEXEC);
    struct stat st;
    off_t at = 0;

    if (fd == -1 || fstat (fd, &st) == -1)
      wrong ("a file is not there any more", NULL);
    sum = sum * 31 + (uint64_t) st.st_size;
    while ((at = lseek (fd, at, SEEK_DATA)) != -1) {
      const ssize_t n = pread (fd, buffer, sizeof buffer, at);
      ssize_t j;

      for (j = 0; j < n; ++j)
        sum = sum * 31 + buffer[j];
      if (n <= 0)
        break;
      at += n;
    }
    close (fd);
  }
  return sum;
}

static bool
open_image (struct state *s, const char *path, unsigned options)
{
  const struct vmdk_options o = {
    .cache_size = VMDK_CACHE_MIN,
    .salvage = options & SALVAGE,
    .single_link = options & SINGLE_LINK,
    .ignore_cid = options & IGNORE_CID,
    .writable = options & WRITE,
  };
  struct vmdk_error error;

  s->image = vmdk_open (path, &o, &error);
  if (!s->image) {
    check_message (&error);
    return false;
  }
  s->size = vmdk_size (s->image);
  if (s->size == 0 || s->size > INT64_MAX)
    wrong ("an impossible size", NULL);
  return true;
}

static void
try (const char *path, unsigned options, const struct blob_files *files,
     int dir, uint64_t seed)
{
  struct state s = { .random = seed };
  struct vmdk_error error;
  uint64_t sum;
  bool good;

  if (!open_image (&s, path, options))
    return;
  map_and_read (&s);
  if (!(options & WRITE)) {
    vmdk_close (s.image);
    return;
  }
  sum = sum_files (files, dir);
  if (vmdk_begin_writing (s.image, &error) == -1) {
    check_message (&error);
    vmdk_close (s.image);
    if (sum_files (files, dir) != sum)
      wrong ("an image that is read-only was written", &error);
    return;
  }
  good = change_all (&s);
  vmdk_close (s.image);
  if (!good)
    return;
  if (!open_image (&s, path, options))
    wrong ("what was written does not open", NULL);
  check_window (&s, &changed, "what was flushed is not there");
  check_window (&s, &other, "something else is different");
  vmdk_close (s.image);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const int dir = open_folder ();
  char path[sizeof folder + BLOB_MAX_NAME + 1];
  struct blob_files files;
  unsigned i;

  if (size < 2)
    return 0;
  blob_write (data + 1, size - 1, dir, &files);
  if (files.nr > 0) {
    snprintf (path, sizeof path, "%s/%s", folder, files.names[0]);
    try (path, data[0], &files, dir, size);
  }
  for (i = 0; i < files.nr; ++i)
    unlinkat (dir, files.names[i], 0);
  return 0;
}
