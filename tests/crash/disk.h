/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Files in memory, which are cheap to copy: they consist of pages that
 * copies share until one of them changes.  One thread.
 */

#ifndef CRASH_DISK_H
#define CRASH_DISK_H

#include <stdint.h>

struct page;

struct disk_file {
  char *name;                   /* without a folder */
  uint64_t size;
  size_t nr;                    /* pages */
  struct page **pages;          /* NULL: zeroes */
};

struct disk {
  size_t nr;
  struct disk_file *files;
};

/* Load the files of a folder whose names begin with 'prefix'. */
extern void disk_load (struct disk *disk, const char *folder,
                       const char *prefix);

/* Write all files to a folder.  Those that are there are replaced. */
extern void disk_save (const struct disk *disk, const char *folder);

extern void disk_copy (struct disk *to, const struct disk *from);
extern void disk_free (struct disk *disk);

/* Dies if there is none. */
extern struct disk_file *disk_find (const struct disk *disk,
                                    const char *name);

/* What lies behind the end reads as zeroes. */
extern void file_read (const struct disk_file *f, void *buf, uint64_t count,
                       uint64_t offset);

/* Both make the file larger if that is needed; 'buf' may be NULL, which
 * stands for zeroes.
 */
extern void file_write (struct disk_file *f, const void *buf,
                        uint64_t count, uint64_t offset);
extern void file_resize (struct disk_file *f, uint64_t size);

/* The first byte that is not the same in both, UINT64_MAX if all are. */
extern uint64_t file_compare (const struct disk_file *a,
                              const struct disk_file *b);

#endif /* CRASH_DISK_H */
