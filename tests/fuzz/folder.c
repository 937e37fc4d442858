/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "folder.h"
#include "fuzz.h"

static char folder[64];

/* Where the folder is made: in memory, unless the environment says. */
static const char *
parent_folder (void)
{
  const char *chosen = getenv ("FUZZ_FOLDER");

  if (chosen && strlen (chosen) < sizeof folder / 2)
    return chosen;
  return access ("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

static void
remove_folder (void)
{
  rmdir (folder);
}

int
folder_open (void)
{
  static int dir = -1;

  if (dir == -1) {
    (void) snprintf (folder, sizeof folder, "%.32s/nbdkit-vmdk-fuzz-XXXXXX",
                     parent_folder ());
    if (!mkdtemp (folder)) {
      perror (folder);
      exit (EXIT_FAILURE);
    }
    atexit (remove_folder);
    dir = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  }
  return dir;
}

void
folder_path (char path[FOLDER_MAX_PATH], const char *name)
{
  (void) snprintf (path, FOLDER_MAX_PATH, "%.63s/%.63s", folder, name);
}

/* Call for each name in the folder. */
static void
visit (void (*function) (void *opaque, const char *name), void *opaque)
{
  DIR *list = opendir (folder);
  const struct dirent *entry;

  if (!list)
    wrong ("the folder is not there any more", NULL);
  while ((entry = readdir (list)) != NULL)
    if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0)
      function (opaque, entry->d_name);
  closedir (list);
}

/* Independent of the order of the files. */
static void
add_file (void *opaque, const char *name)
{
  static uint8_t buffer[65536];
  uint64_t *total = opaque, sum = 0;
  const int fd = openat (folder_open (), name, O_RDONLY | O_CLOEXEC);
  struct stat st;
  off_t at = 0;

  if (fd == -1 || fstat (fd, &st) == -1)
    wrong ("a file cannot be opened", name);
  sum = (uint64_t) st.st_size;
  for (; *name != '\0'; ++name)
    sum = sum * 31 + (unsigned char) *name;
  while ((at = lseek (fd, at, SEEK_DATA)) != -1) {
    const ssize_t n = pread (fd, buffer, sizeof buffer, at);
    ssize_t i;

    for (i = 0; i < n; ++i)
      sum = sum * 31 + buffer[i];
    if (n <= 0)
      break;
    at += n;
  }
  close (fd);
  *total += sum;
}

uint64_t
folder_sum (void)
{
  uint64_t sum = 0;

  visit (add_file, &sum);
  return sum;
}

struct expected {
  const struct blob_files *files;
  const char *other;
};

static void
remove_file (void *opaque, const char *name)
{
  const struct expected *e = opaque;
  const size_t n = (size_t) (strrchr (e->other, '.') - e->other);
  unsigned i;
  bool found = strncmp (name, e->other, n) == 0;

  for (i = 0; i < e->files->nr; ++i)
    found = found || strcmp (name, e->files->names[i]) == 0;
  if (!found)
    wrong ("a file was left over", name);
  unlinkat (folder_open (), name, 0);
}

void
folder_empty (const struct blob_files *files, const char *other)
{
  struct expected e = { files, other };

  visit (remove_file, &e);
}
