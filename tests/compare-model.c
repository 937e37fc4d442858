/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Compare an image, read through the core library, with the generator's
 * model of it: its size, its map, every byte, and unaligned pieces read
 * and mapped by many threads at once.
 *
 *     compare-model [OPTION=VALUE ...] IMAGE MODEL.raw MODEL.map
 *
 * The options are parameters of the plugin.  Lines of the map whose type
 * is "error" must fail with EIO, in whatever piece they are read.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmdkcore.h"

#define NR_THREADS 64
#define CALLS_PER_THREAD 24
#define MAX_READ (300 * 1024)
#define MAX_WHOLE_HOLE (64 * 1024 * 1024)

enum type {
  TYPE_DATA,
  TYPE_HOLE,
  TYPE_UNKNOWN,
  TYPE_ERROR
};

static const char *const type_names[] = {
  "data", "hole,zero", "hole", "error",
};

struct piece {
  uint64_t offset, length;
  enum type type;
};

static struct piece *pieces;
static size_t nr_pieces;
static struct vmdk_image *image;
static int model;
static uint64_t size;

static void __attribute__ ((format (printf, 1, 2), noreturn))
fail (const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  fputs ("compare-model: ", stderr);
  vfprintf (stderr, fmt, args);
  fputc ('\n', stderr);
  va_end (args);
  exit (1);
}

static void
load_map (const char *filename)
{
  FILE *fp = fopen (filename, "r");
  char name[32];
  struct piece p;
  size_t i;

  if (!fp)
    fail ("%s: %s", filename, strerror (errno));
  while (fscanf (fp, "%" SCNu64 " %" SCNu64 " %31s", &p.offset, &p.length,
                 name) == 3) {
    for (i = 0; i < 4 && strcmp (name, type_names[i]) != 0; ++i)
      ;
    if (i == 4)
      fail ("%s: unknown type %s", filename, name);
    p.type = (enum type) i;
    pieces = reallocarray (pieces, nr_pieces + 1, sizeof *pieces);
    if (!pieces)
      fail ("out of memory");
    pieces[nr_pieces++] = p;
  }
  fclose (fp);
}

static bool
same_map (enum type expected, enum vmdk_allocation actual)
{
  switch (expected) {
  case TYPE_DATA:
  case TYPE_ERROR:
    return actual == VMDK_ALLOCATED;
  case TYPE_HOLE:
    return actual == VMDK_HOLE;
  default:
    return actual == VMDK_UNKNOWN;
  }
}

/* Every run of the image must be as long as those of the model, in
 * which data and error are one kind.
 */
static void
compare_map (void)
{
  uint64_t offset = 0;
  size_t i = 0;

  while (offset < size) {
    enum vmdk_allocation allocation;
    struct vmdk_error error;
    uint64_t length, end;

    if (vmdk_is_allocated (image, offset, size - offset, &allocation,
                           &length, &error) == -1)
      fail ("map at %" PRIu64 ": %s", offset, error.message);
    end = offset;
    while (i < nr_pieces && same_map (pieces[i].type, allocation))
      end = pieces[i].offset + pieces[i].length, i++;
    if (end != offset + length)
      fail ("map at %" PRIu64 ": allocation %d for %" PRIu64
            " bytes, the model has that for %" PRIu64, offset,
            (int) allocation, length, end - offset);
    offset = end;
  }
}

/* The first piece that ends behind the offset. */
static size_t
find_piece (uint64_t offset)
{
  size_t low = 0, high = nr_pieces;

  while (low < high) {
    const size_t middle = low + (high - low) / 2;

    if (pieces[middle].offset + pieces[middle].length <= offset)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static bool
has_error (uint64_t offset, uint64_t count)
{
  size_t i;

  for (i = find_piece (offset);
       i < nr_pieces && pieces[i].offset < offset + count; ++i)
    if (pieces[i].type == TYPE_ERROR)
      return true;
  return false;
}

/* One call of vmdk_map against the model. */
struct window {
  uint64_t next;                /* where the next run must begin */
  size_t piece;                 /* of the model, that reaches there */
};

static int
compare_run (void *opaque, uint64_t offset, uint64_t length,
             enum vmdk_allocation allocation)
{
  struct window *w = opaque;

  if (offset != w->next || length == 0)
    fail ("map: a run at %" PRIu64 " instead of %" PRIu64, offset, w->next);
  w->next += length;
  for (;;) {
    if (!same_map (pieces[w->piece].type, allocation))
      fail ("map at %" PRIu64 ": allocation %d for %" PRIu64 " bytes, the "
            "model has something else at %" PRIu64, offset,
            (int) allocation, length, pieces[w->piece].offset);
    if (pieces[w->piece].offset + pieces[w->piece].length > w->next)
      return 0;
    if (pieces[w->piece].offset + pieces[w->piece].length == w->next) {
      w->piece++;
      return 0;
    }
    w->piece++;
  }
}

static void
compare_window (uint64_t offset, uint64_t count)
{
  struct window w = { .next = offset, .piece = find_piece (offset) };
  struct vmdk_error error;

  if (vmdk_map (image, offset, count, compare_run, &w, &error) == -1)
    fail ("map at %" PRIu64 ": %s", offset, error.message);
  if (w.next != offset + count)
    fail ("map of %" PRIu64 " bytes at %" PRIu64 " ends at %" PRIu64, count,
          offset, w.next);
}

static void
compare_read (uint64_t offset, size_t count, uint8_t *buf, uint8_t *expected)
{
  const bool must_fail = has_error (offset, count);
  struct vmdk_error error;
  size_t i;

  /* Bytes that are not written keep a value that no model has here. */
  memset (buf, 0xa5, count);
  if (vmdk_pread (image, buf, count, offset, &error) == -1) {
    if (!must_fail)
      fail ("read of %zu at %" PRIu64 ": %s", count, offset,
            error.message);
    if (error.err != EIO)
      fail ("read of %zu at %" PRIu64 ": errno %d: %s", count, offset,
            error.err, error.message);
    return;
  }
  if (must_fail)
    fail ("read of %zu at %" PRIu64 " did not fail", count, offset);
  if (pread (model, expected, count, (off_t) offset) != (ssize_t) count)
    fail ("the model cannot be read at %" PRIu64, offset);
  for (i = 0; i < count; ++i)
    if (buf[i] != expected[i])
      fail ("read of %zu at %" PRIu64 ": byte %" PRIu64 " is %02x, "
            "should be %02x", count, offset, offset + i, buf[i],
            expected[i]);
}

static uint64_t
next_random (uint64_t *state)
{
  uint64_t z = *state += UINT64_C (0x9e3779b97f4a7c15);

  z = (z ^ z >> 30) * UINT64_C (0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C (0x94d049bb133111eb);
  return z ^ z >> 31;
}

/* Read, and map every fourth time, at random places. */
static void *
call_randomly (void *arg)
{
  uint64_t state = (uint64_t) (uintptr_t) arg;
  uint8_t *buf = malloc (MAX_READ), *expected = malloc (MAX_READ);
  int i;

  if (!buf || !expected)
    fail ("out of memory");
  for (i = 0; i < CALLS_PER_THREAD; ++i) {
    /* As many small reads as large ones. */
    const uint64_t magnitude = UINT64_C (1) << next_random (&state) % 18;
    uint64_t offset = next_random (&state) % size;
    uint64_t count = 1 + next_random (&state) % magnitude;

    /* Some begin at a piece, some end with the disk. */
    if (i % 8 == 0)
      offset = pieces[next_random (&state) % nr_pieces].offset;
    if (count > size - offset)
      count = size - offset;
    if (i % 4 == 3)
      compare_window (offset, count * 64 < size - offset ?
                      count * 64 : size - offset);
    else
      compare_read (offset, (size_t) count, buf, expected);
  }
  free (buf);
  free (expected);
  return NULL;
}

/* Read every piece of the model from its start to its end, but of long
 * holes only the ends.
 */
static void
compare_pieces (void)
{
  uint8_t *buf = malloc (MAX_READ), *expected = malloc (MAX_READ);
  size_t i;

  if (!buf || !expected)
    fail ("out of memory");
  for (i = 0; i < nr_pieces; ++i) {
    const struct piece *p = &pieces[i];
    uint64_t done, n;

    for (done = 0; done < p->length; done += n) {
      if (p->type != TYPE_DATA && done == MAX_READ &&
          p->length > MAX_WHOLE_HOLE)
        done = p->length - MAX_READ;
      n = p->length - done < MAX_READ ? p->length - done : MAX_READ;
      compare_read (p->offset + done, (size_t) n, buf, expected);
    }
  }
  free (buf);
  free (expected);
}

static void
compare_randomly (void)
{
  pthread_t threads[NR_THREADS];
  size_t i;
  int r;

  for (i = 0; i < NR_THREADS; ++i) {
    r = pthread_create (&threads[i], NULL, call_randomly,
                        (void *) (uintptr_t) (i + 1));
    if (r != 0)
      fail ("pthread_create: %s", strerror (r));
  }
  for (i = 0; i < NR_THREADS; ++i)
    pthread_join (threads[i], NULL);
}

static void
say (void *opaque, enum vmdk_log_level level, const char *message)
{
  if (level == VMDK_LOG_WARNING)
    fprintf (stderr, "warning: %s\n", message);
}

static void
parse_option (char *arg, struct vmdk_options *options)
{
  static const char *allow_dirs[8];
  char *value = strchr (arg, '=') + 1;
  const size_t n = (size_t) (value - arg);

  if (strncmp (arg, "allow-dir=", n) == 0 && options->nr_allow_dirs < 8) {
    allow_dirs[options->nr_allow_dirs++] = value;
    options->allow_dirs = allow_dirs;
  }
  else if (strncmp (arg, "cache-size=", n) == 0)
    options->cache_size = strtoull (value, NULL, 10);
  else if (strncmp (arg, "ignore-cid=", n) == 0)
    options->ignore_cid = true;
  else if (strncmp (arg, "parent=", n) == 0)
    options->parent = value;
  else if (strncmp (arg, "salvage=", n) == 0)
    options->salvage = true;
  else if (strncmp (arg, "single-link=", n) == 0)
    options->single_link = true;
  else
    fail ("unknown option %s", arg);
}

int
main (int argc, char *argv[])
{
  struct vmdk_options options = { .log = say };
  struct vmdk_error error;
  off_t end;

  for (; argc > 4 && strchr (argv[1], '='); --argc, ++argv)
    parse_option (argv[1], &options);
  if (argc != 4)
    fail ("usage: compare-model [OPTION=VALUE ...] IMAGE MODEL.raw "
          "MODEL.map");

  load_map (argv[3]);
  model = open (argv[2], O_RDONLY | O_CLOEXEC);
  if (model == -1 || (end = lseek (model, 0, SEEK_END)) == -1)
    fail ("%s: %s", argv[2], strerror (errno));
  image = vmdk_open (argv[1], &options, &error);
  if (!image)
    fail ("%s", error.message);
  size = vmdk_size (image);
  if (size != (uint64_t) end || nr_pieces == 0)
    fail ("the disk has %" PRIu64 " bytes, the model %" PRIu64 " in %zu "
          "pieces", size, (uint64_t) end, nr_pieces);

  compare_map ();
  compare_randomly ();
  compare_pieces ();

  vmdk_close (image);
  close (model);
  free (pieces);
  return 0;
}
