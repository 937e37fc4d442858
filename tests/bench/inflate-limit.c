/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* What inflate allows on this machine: the seconds that it takes to inflate
 * every grain of a streamOptimized file on all cores, and to do nothing else.
 *
 *     inflate-limit FILE
 *
 * The file is one of qemu-img's: grains from overHead on, one behind the
 * other, without other markers between them.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <libdeflate.h>

#define SECTOR 512u
#define GRAIN 65536u
#define OVERHEAD 64             /* where in the header that is */
#define MARKER 12u

struct grain {
  const uint8_t *data;
  uint32_t size;
};

static const uint8_t *file;
static uint64_t file_size;
static struct grain *grains;
static size_t nr_grains;
static atomic_size_t next_grain;

static void __attribute__ ((format (printf, 1, 2), noreturn))
die (const char *fmt, ...)
{
  va_list args;

  fprintf (stderr, "inflate-limit: ");
  va_start (args, fmt);
  vfprintf (stderr, fmt, args);
  va_end (args);
  fputc ('\n', stderr);
  exit (EXIT_FAILURE);
}

static uint64_t
get_le (const uint8_t *p, unsigned bytes)
{
  uint64_t value = 0;

  while (bytes-- > 0)
    value = value << 8 | p[bytes];
  return value;
}

static void
map_file (const char *name)
{
  struct stat st;
  void *p;
  int fd = open (name, O_RDONLY | O_CLOEXEC);

  if (fd == -1 || fstat (fd, &st) == -1)
    die ("%s: %s", name, strerror (errno));
  if (st.st_size < (off_t) SECTOR)
    die ("%s: it is too short", name);
  file_size = (uint64_t) st.st_size;
  /* Populated, so that page faults are no part of what is measured. */
  p = mmap (NULL, (size_t) file_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE,
            fd, 0);
  if (p == MAP_FAILED)
    die ("%s: %s", name, strerror (errno));
  file = p;
  close (fd);
}

static void
add_grain (const uint8_t *data, uint32_t size)
{
  /* Room for a power of two of them. */
  if ((nr_grains & (nr_grains - 1)) == 0) {
    size_t room = nr_grains == 0 ? 1 : 2 * nr_grains;

    grains = realloc (grains, room * sizeof grains[0]);
    if (grains == NULL)
      die ("realloc: %s", strerror (errno));
  }
  grains[nr_grains].data = data;
  grains[nr_grains].size = size;
  nr_grains++;
}

static void
walk_markers (void)
{
  uint64_t pos = get_le (file + OVERHEAD, 8);

  if (memcmp (file, "KDMV", 4) != 0 || pos > file_size / SECTOR)
    die ("this is not a streamOptimized file");
  pos *= SECTOR;
  while (pos + MARKER <= file_size) {
    uint32_t size = (uint32_t) get_le (file + pos + 8, 4);

    if (size == 0)
      break;
    if (size > file_size - pos - MARKER)
      die ("the grain at byte %" PRIu64 " is cut off", pos);
    add_grain (file + pos + MARKER, size);
    pos += (MARKER + (uint64_t) size + SECTOR - 1) / SECTOR * SECTOR;
  }
}

static void *
inflate_grains (void *arg)
{
  struct libdeflate_decompressor *d = libdeflate_alloc_decompressor ();
  uint8_t *buffer = malloc (GRAIN);
  size_t i, length;

  if (d == NULL || buffer == NULL)
    die ("there is not enough memory");
  while ((i = atomic_fetch_add (&next_grain, 1)) < nr_grains)
    if (libdeflate_zlib_decompress (d, grains[i].data, grains[i].size, buffer,
                                    GRAIN, &length) != LIBDEFLATE_SUCCESS)
      die ("grain %zu cannot be inflated", i);
  free (buffer);
  libdeflate_free_decompressor (d);
  return arg;
}

static double
now (void)
{
  struct timespec ts;

  clock_gettime (CLOCK_MONOTONIC, &ts);
  return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

int
main (int argc, char *argv[])
{
  long i, nr_threads = sysconf (_SC_NPROCESSORS_ONLN);
  pthread_t *threads;
  double begin;

  if (argc != 2)
    die ("usage: inflate-limit FILE");
  map_file (argv[1]);
  walk_markers ();
  if (nr_threads < 1)
    nr_threads = 1;
  threads = calloc ((size_t) nr_threads, sizeof threads[0]);
  if (threads == NULL)
    die ("calloc: %s", strerror (errno));

  begin = now ();
  for (i = 0; i < nr_threads; i++) {
    int err = pthread_create (&threads[i], NULL, inflate_grains, NULL);

    if (err != 0)
      die ("pthread_create: %s", strerror (err));
  }
  for (i = 0; i < nr_threads; i++)
    pthread_join (threads[i], NULL);
  printf ("%.6f\n", now () - begin);

  free (threads);
  free (grains);
  munmap ((void *) file, (size_t) file_size);
  return EXIT_SUCCESS;
}
