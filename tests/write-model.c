/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Change an image at random, by several threads at once, through the core
 * library, and compare what it holds with a model in memory: on the way,
 * at the end, and when the image has been opened again.
 *
 *     write-model IMAGE SEED OPERATIONS THREADS [CONTENT.raw]
 *
 * An image that must not be changed, or cannot be read, is left alone; the
 * reason is printed.
 *
 * The disk is divided into stripes that are no multiple of a grain, and
 * each thread has stripes of its own, so that what each byte must be is
 * known though two threads meet in nearly every grain.  CONTENT.raw gets
 * what the disk holds in the end.
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmdkcore.h"

#define STRIPE 37000
#define MAX_THREADS 64

static struct vmdk_image *image;
static uint8_t *model;
static uint64_t size;
static int nr_operations, nr_threads;
static uint64_t seed;

static void __attribute__ ((format (printf, 1, 2), noreturn))
fail (const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  fputs ("write-model: ", stderr);
  vfprintf (stderr, fmt, args);
  fputc ('\n', stderr);
  va_end (args);
  exit (1);
}

static void
check (int r, const char *what, const struct vmdk_error *error)
{
  if (r == -1)
    fail ("%s: %s", what, error->message);
}

static uint64_t
next_random (uint64_t *state)
{
  uint64_t z = *state += UINT64_C (0x9e3779b97f4a7c15);

  z = (z ^ z >> 30) * UINT64_C (0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C (0x94d049bb133111eb);
  return z ^ z >> 31;
}

/* Each byte is as before or as in 'new', or zero if that is NULL: take over
 * which.
 */
static void
take_either (const uint8_t *new, uint64_t offset, size_t count)
{
  uint8_t *buf = malloc (count);
  struct vmdk_error error;
  size_t i;

  if (!buf)
    fail ("out of memory");
  check (vmdk_pread (image, buf, count, offset, &error), "read", &error);
  for (i = 0; i < count; ++i)
    if (buf[i] != (new ? new[i] : 0) && buf[i] != model[offset + i])
      fail ("byte %" PRIu64 " is %02x", offset + i, buf[i]);
  memcpy (model + offset, buf, count);
  free (buf);
}

static void
compare (uint64_t offset, size_t count, uint8_t *buf)
{
  struct vmdk_error error;
  size_t i;

  memset (buf, 0xa5, count);
  check (vmdk_pread (image, buf, count, offset, &error), "read", &error);
  for (i = 0; i < count; ++i)
    if (buf[i] != model[offset + i])
      fail ("byte %" PRIu64 " is %02x, should be %02x", offset + i, buf[i],
            model[offset + i]);
}

static void
operate (uint64_t *state, uint64_t offset, size_t count, uint8_t *buf)
{
  const unsigned fua = next_random (state) % 16 == 0 ? VMDK_FUA : 0;
  const unsigned may_trim = next_random (state) % 2 ? VMDK_MAY_TRIM : 0;
  struct vmdk_error error;
  size_t i;
  int r;

  switch (next_random (state) % 16) {
  case 0:
    check (vmdk_flush (image, &error), "flush", &error);
    break;
  case 1:
  case 2:
    check (vmdk_zero (image, count, offset, may_trim | fua, &error), "zero",
           &error);
    memset (model + offset, 0, count);
    break;
  case 3:
    r = vmdk_zero (image, count, offset, VMDK_MAY_TRIM | VMDK_FAST, &error);
    if (r == 0)
      memset (model + offset, 0, count);
    else if (error.kind != VMDK_ERROR_UNSUPPORTED)
      check (r, "fast zero", &error);
    break;
  case 4:
  case 5:
    check (vmdk_trim (image, count, offset, fua, &error), "trim", &error);
    take_either (NULL, offset, count);
    break;
  case 6:
  case 7:
  case 8:
  case 9:
    compare (offset, count, buf);
    break;
  default:
    for (i = 0; i < count; ++i)
      buf[i] = (uint8_t) (next_random (state) | 1);
    r = vmdk_pwrite (image, buf, count, offset, fua, &error);
    if (r == -1 && error.kind == VMDK_ERROR_DENIED) /* a ZERO line */
      take_either (buf, offset, count);
    else {
      check (r, "write", &error);
      memcpy (model + offset, buf, count);
    }
  }
}

static void *
run (void *arg)
{
  const uint64_t number = (uint64_t) (uintptr_t) arg;
  const uint64_t stripes = (size + STRIPE - 1) / STRIPE;
  uint64_t state = seed * MAX_THREADS + number;
  uint8_t *buf = malloc (STRIPE);
  int i;

  if (!buf)
    fail ("out of memory");
  for (i = 0; i < nr_operations; ++i) {
    const uint64_t stripe = next_random (&state) % stripes /
      (uint64_t) nr_threads * (uint64_t) nr_threads + number;
    const uint64_t start = stripe * STRIPE;
    uint64_t length, offset, count;

    if (stripe >= stripes)
      continue;
    length = size - start < STRIPE ? size - start : STRIPE;
    offset = next_random (&state) % length;
    count = 1 + next_random (&state) % (length - offset);
    if (next_random (&state) % 3 == 0) {
      offset = 0;
      count = length;
    }
    operate (&state, start + offset, count, buf);
  }
  free (buf);
  return NULL;
}

static void
run_threads (void)
{
  pthread_t threads[MAX_THREADS];
  int i, r;

  for (i = 0; i < nr_threads; ++i) {
    r = pthread_create (&threads[i], NULL, run, (void *) (uintptr_t) i);
    if (r != 0)
      fail ("pthread_create: %s", strerror (r));
  }
  for (i = 0; i < nr_threads; ++i)
    pthread_join (threads[i], NULL);
}

static void
say (void *opaque, enum vmdk_log_level level, const char *message)
{
  if (level == VMDK_LOG_WARNING)
    fprintf (stderr, "warning: %s\n", message);
}

static void
save (const char *filename)
{
  FILE *fp = fopen (filename, "w");

  if (!fp || fwrite (model, size, 1, fp) != 1 || fclose (fp) != 0)
    fail ("%s: %s", filename, strerror (errno));
}

/* Trimming a byte changes nothing, but is a change. */
static bool
can_change (struct vmdk_error *error)
{
  const bool begun = vmdk_begin_writing (image, error) == 0;
  struct vmdk_error ignored;

  if (begun && vmdk_trim (image, 1, 0, 0, error) == 0) {
    if (vmdk_pread (image, model, size, 0, error) == 0)
      return true;
    fail ("could be changed, but not read: %s", error->message);
  }
  /* What is refused once is refused again. */
  if (begun && vmdk_pwrite (image, model, 1, 0, 0, &ignored) == 0)
    fail ("a change was refused, and the next was not");
  return false;
}

int
main (int argc, char *argv[])
{
  struct vmdk_options options = { .log = say, .writable = true };
  struct vmdk_error error;
  uint8_t *buf;

  if (argc != 5 && argc != 6)
    fail ("usage: write-model IMAGE SEED OPERATIONS THREADS [CONTENT.raw]");
  options.unbuffered = getenv ("UNBUFFERED") != NULL;
  seed = strtoull (argv[2], NULL, 10);
  nr_operations = atoi (argv[3]);
  nr_threads = atoi (argv[4]);
  if (nr_threads < 1 || nr_threads > MAX_THREADS)
    fail ("%s: 1 to %d threads", argv[4], MAX_THREADS);

  image = vmdk_open (argv[1], &options, &error);
  check (image ? 0 : -1, "open", &error);
  size = vmdk_size (image);
  model = malloc (size);
  buf = malloc (size);
  if (!model || !buf)
    fail ("out of memory");
  if (!can_change (&error)) {
    printf ("read-only: %s\n", error.message);
    vmdk_close (image);
    free (model);
    free (buf);
    return 0;
  }
  run_threads ();
  compare (0, size, buf);
  check (vmdk_end_writing (image, &error), "end", &error);
  vmdk_close (image);

  options.writable = false;
  image = vmdk_open (argv[1], &options, &error);
  check (image ? 0 : -1, "open again", &error);
  compare (0, size, buf);
  vmdk_close (image);
  if (argc == 6)
    save (argv[5]);
  free (model);
  free (buf);
  puts ("written");
  return 0;
}
