/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"
#include "util.h"

#define PAGE_SIZE 4096

struct page {
  unsigned refs;
  uint8_t data[PAGE_SIZE];
};

static void
drop (struct page **page)
{
  if (*page && --(*page)->refs == 0)
    free (*page);
  *page = NULL;
}

/* A page that nobody else has. */
static uint8_t *
own (struct page **page)
{
  struct page *copy;

  if (*page && (*page)->refs == 1)
    return (*page)->data;
  copy = must_alloc (sizeof *copy);
  copy->refs = 1;
  if (*page)
    memcpy (copy->data, (*page)->data, PAGE_SIZE);
  drop (page);
  *page = copy;
  return copy->data;
}

void
file_resize (struct disk_file *f, uint64_t size)
{
  const size_t nr = (size_t) ((size + PAGE_SIZE - 1) / PAGE_SIZE);
  size_t i;

  for (i = nr; i < f->nr; ++i)
    drop (&f->pages[i]);
  f->pages = must_realloc (f->pages, nr * sizeof *f->pages);
  for (i = f->nr; i < nr; ++i)
    f->pages[i] = NULL;
  f->nr = nr;
  if (size < f->size && size % PAGE_SIZE != 0 && f->pages[nr - 1])
    memset (own (&f->pages[nr - 1]) + size % PAGE_SIZE, 0,
            PAGE_SIZE - size % PAGE_SIZE);
  f->size = size;
}

void
file_read (const struct disk_file *f, void *buf, uint64_t count,
           uint64_t offset)
{
  uint8_t *p = buf;

  while (count > 0) {
    const uint64_t i = offset / PAGE_SIZE, in_page = offset % PAGE_SIZE;
    const uint64_t n =
      count < PAGE_SIZE - in_page ? count : PAGE_SIZE - in_page;

    if (i < f->nr && f->pages[i])
      memcpy (p, f->pages[i]->data + in_page, n);
    else
      memset (p, 0, n);
    p += n;
    offset += n;
    count -= n;
  }
}

void
file_write (struct disk_file *f, const void *buf, uint64_t count,
            uint64_t offset)
{
  const uint8_t *p = buf;

  if (offset + count > f->size)
    file_resize (f, offset + count);
  while (count > 0) {
    struct page **page = &f->pages[offset / PAGE_SIZE];
    const uint64_t in_page = offset % PAGE_SIZE;
    const uint64_t n =
      count < PAGE_SIZE - in_page ? count : PAGE_SIZE - in_page;

    if (p) {
      memcpy (own (page) + in_page, p, n);
      p += n;
    }
    else if (n == PAGE_SIZE)
      drop (page);
    else if (*page)
      memset (own (page) + in_page, 0, n);
    offset += n;
    count -= n;
  }
}

uint64_t
file_compare (const struct disk_file *a, const struct disk_file *b)
{
  uint8_t x[PAGE_SIZE], y[PAGE_SIZE];
  uint64_t offset, i;

  for (offset = 0; offset < a->size || offset < b->size;
       offset += PAGE_SIZE) {
    file_read (a, x, PAGE_SIZE, offset);
    file_read (b, y, PAGE_SIZE, offset);
    for (i = 0; i < PAGE_SIZE; ++i)
      if (x[i] != y[i])
        return offset + i;
  }
  return a->size == b->size ? UINT64_MAX :
    a->size < b->size ? a->size : b->size;
}

static void
load_file (struct disk_file *f, int fd, const char *name)
{
  uint8_t buf[64 * 1024];
  struct stat st;
  off_t data = 0, hole;

  if (fd == -1 || fstat (fd, &st) == -1)
    die ("%s: %s", name, strerror (errno));
  f->name = must_print ("%s", name);
  file_resize (f, (uint64_t) st.st_size);
  while ((data = lseek (fd, data, SEEK_DATA)) != -1) {
    hole = lseek (fd, data, SEEK_HOLE);
    while (data < hole) {
      const size_t want = hole - data < (off_t) sizeof buf ?
        (size_t) (hole - data) : sizeof buf;
      const ssize_t r = pread (fd, buf, want, data);

      if (r <= 0)
        die ("%s: %s", name, strerror (errno));
      file_write (f, buf, (uint64_t) r, (uint64_t) data);
      data += r;
    }
  }
}

void
disk_load (struct disk *disk, const char *folder, const char *prefix)
{
  DIR *dir = opendir (folder);
  struct dirent *d;

  if (!dir)
    die ("%s: %s", folder, strerror (errno));
  *disk = (struct disk) { 0 };
  while ((d = readdir (dir)) != NULL)
    if (d->d_name[0] != '.' &&
        strncmp (d->d_name, prefix, strlen (prefix)) == 0) {
      int fd = openat (dirfd (dir), d->d_name, O_RDONLY);
      struct disk_file f = { 0 };

      load_file (&f, fd, d->d_name);
      close (fd);
      disk->files =
        must_realloc (disk->files, (disk->nr + 1) * sizeof *disk->files);
      disk->files[disk->nr++] = f;
    }
  closedir (dir);
}

static void
save_file (const struct disk_file *f, int fd)
{
  size_t i;

  if (fd == -1 || ftruncate (fd, 0) == -1 ||
      ftruncate (fd, (off_t) f->size) == -1)
    die ("%s: %s", f->name, strerror (errno));
  for (i = 0; i < f->nr; ++i) {
    const uint64_t start = (uint64_t) i * PAGE_SIZE;
    const size_t n =
      f->size - start < PAGE_SIZE ? (size_t) (f->size - start) : PAGE_SIZE;

    if (f->pages[i] &&
        pwrite (fd, f->pages[i]->data, n, (off_t) start) != (ssize_t) n)
      die ("%s: %s", f->name, strerror (errno));
  }
}

void
disk_save (const struct disk *disk, const char *folder)
{
  size_t i;

  for (i = 0; i < disk->nr; ++i) {
    char *path = must_print ("%s/%s", folder, disk->files[i].name);
    int fd = open (path, O_RDWR | O_CREAT, 0600);

    save_file (&disk->files[i], fd);
    close (fd);
    free (path);
  }
}

void
disk_copy (struct disk *to, const struct disk *from)
{
  size_t i, j;

  to->nr = from->nr;
  to->files = must_alloc (from->nr * sizeof *to->files);
  for (i = 0; i < from->nr; ++i) {
    const struct disk_file *f = &from->files[i];

    to->files[i] = *f;
    to->files[i].name = must_print ("%s", f->name);
    to->files[i].pages = must_alloc (f->nr * sizeof *f->pages);
    memcpy (to->files[i].pages, f->pages, f->nr * sizeof *f->pages);
    for (j = 0; j < f->nr; ++j)
      if (f->pages[j])
        f->pages[j]->refs++;
  }
}

void
disk_free (struct disk *disk)
{
  size_t i, j;

  for (i = 0; i < disk->nr; ++i) {
    for (j = 0; j < disk->files[i].nr; ++j)
      drop (&disk->files[i].pages[j]);
    free (disk->files[i].pages);
    free (disk->files[i].name);
  }
  free (disk->files);
  *disk = (struct disk) { 0 };
}

struct disk_file *
disk_find (const struct disk *disk, const char *name)
{
  size_t i;

  for (i = 0; i < disk->nr; ++i)
    if (strcmp (disk->files[i].name, name) == 0)
      return &disk->files[i];
  die ("%s is not among the files", name);
}
