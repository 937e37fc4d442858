/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "gtable-pages.h"
#include "gtable-write.h"

static struct table_page **
bucket_of (struct changed_pages *c, const struct table_key *key)
{
  return &c->buckets[(key->index * (LEVEL_TABLE + 1) + key->level) %
                     c->nr_buckets];
}

static atomic_uint *
version_of (struct changed_pages *c, const struct table_key *key)
{
  return &c->versions[key->index % GTABLE_VERSIONS];
}

/* Where a page is, or would be, in its bucket.  Locked. */
static struct table_page **
find (struct changed_pages *c, const struct table_key *key)
{
  struct table_page **p = bucket_of (c, key);

  while (*p && ((*p)->key.index != key->index ||
                (*p)->key.level != key->level))
    p = &(*p)->hash_next;
  return p;
}

struct table_page *
gtable_find_changed (struct gtable *gt, struct table_key *key)
{
  struct changed_pages *c = atomic_load (&gt->changes);
  struct table_page *page = NULL;
  unsigned version;

  if (!c)
    return NULL;

  if (atomic_load (&c->nr) > 0) {
    pthread_mutex_lock (&c->lock);
    page = *find (c, key);
    if (page)
      table_page_get (page);
    pthread_mutex_unlock (&c->lock);
  }

  /* Not before: a page that has gone to the file between the two must not
   * be found in the cache as it was.  Nor later than the file is read.
   */
  version = atomic_load (version_of (c, key));
  key->level |= version << LEVEL_BITS;
  return page;
}

int
gtable_begin_changes (struct gtable *gt, struct vmdk_error *error)
{
  const size_t nr_buckets = (size_t)
    min_u64 (div_up (gt->l.nr_grains, gt->page_entries) + 1,
             GTABLE_MAX_BUCKETS);
  struct changed_pages *c;

  if (atomic_load (&gt->changes))
    return 0;
  c = calloc (1, sizeof *c + nr_buckets * sizeof c->buckets[0]);
  if (!c)
    return error_nomem (error);
  c->nr_buckets = nr_buckets;
  pthread_mutex_init (&c->lock, NULL);
  atomic_store (&gt->changes, c);
  return 0;
}

static void
drop_pages (struct changed_pages *c)
{
  size_t i;

  for (i = 0; i < c->nr_buckets; ++i)
    while (c->buckets[i]) {
      struct table_page *page = c->buckets[i];

      c->buckets[i] = page->hash_next;
      table_page_put (page);
    }
}

void
gtable_forget (struct gtable *gt)
{
  struct changed_pages *c = atomic_load (&gt->changes);
  size_t i;

  pthread_mutex_lock (&c->lock);
  for (i = 0; i < GTABLE_VERSIONS; ++i)
    atomic_fetch_add (&c->versions[i], 1);
  drop_pages (c);
  c->bytes = 0;
  atomic_store (&c->nr, 0);
  pthread_mutex_unlock (&c->lock);
}

void
gtable_free_changes (struct gtable *gt)
{
  struct changed_pages *c = atomic_load (&gt->changes);

  if (!c)
    return;
  drop_pages (c);
  pthread_mutex_destroy (&c->lock);
  free (c);
}

static struct table_page *
copy_page (const struct table_page *page)
{
  struct table_page *copy = table_page_new (page->bytes - sizeof *page);

  if (!copy)
    return NULL;
  copy->key = page->key;
  copy->nr = page->nr;
  copy->changed = page->changed;
  memcpy (copy->copies, page->copies, sizeof copy->copies);
  memcpy (copy->note, page->note, sizeof copy->note);
  memcpy (copy->entries, page->entries, page->bytes - sizeof *page);
  return copy;
}

/* A writer that finds no room for a table that is a hole of its file must
 * hear of it before anything depends on the table: writing it as it is now
 * takes the storage.
 */
static int
reserve (struct gtable *gt, uint64_t offset, size_t size,
         struct vmdk_error *error)
{
  uint8_t buf[GTABLE_PAGE_ENTRIES * 4];
  uint64_t stored;

  if (io_is_stored (gt->l.io, offset, size, &stored) && stored == size)
    return 0;
  return io_pread (gt->l.io, buf, size, offset, error) == -1 ? -1 :
    io_pwrite (gt->l.io, buf, size, offset, error);
}

static int
no_table (const struct gtable *gt, uint64_t table, struct vmdk_error *error)
{
  return error_set (error, VMDK_ERROR_IO, EIO,
                    "%s: the directory entry of grain table %" PRIu64
                    " cannot be read", gt->l.io->name, table);
}

/* Note the places in the file, in bytes, of the copies of a page, which never
 * move; 0 for one that does not exist.  When the page is written that must need
 * neither memory nor the disk.
 */
static int
find_copies (struct gtable *gt, struct table_page *page,
             struct vmdk_error *error)
{
  uint64_t *offset = page->copies;
  const unsigned primary = gt->l.directory[0] == 0;
  const uint64_t first = page->key.index *
    (page->key.level == LEVEL_TABLE ? gt->page_entries :
     GTABLE_PAGE_ENTRIES);
  const uint64_t table = first / gt->l.entries_per_table;
  struct table_page *directory;
  bool transient = false;
  uint64_t code;

  offset[0] = offset[1] = 0;
  switch (page->key.level) {
  case LEVEL_DIRECTORY:
    offset[0] = gt->l.directory[primary] * SECTOR_SIZE +
      first * gt->l.entry_size;
    return 0;
  case LEVEL_REDUNDANT:
    offset[0] = gt->l.directory[1] * SECTOR_SIZE + first * gt->l.entry_size;
    return 0;
  default:
    directory = gtable_directory (gt, table, error);
    if (!directory)
      return -1;
    code = gtable_entry (gt, directory, table % GTABLE_PAGE_ENTRIES);
    /* It may be the other copy's where the directory cannot be read now. */
    transient = directory->transient;
    table_page_put (directory);
    if (!entry_is_place (code) || transient)
      return no_table (gt, table, error);
    offset[0] = gtable_entry_offset (gt, code, first);
    if (primary == 0 && gt->l.directory[1] != 0) {
      if (gtable_redundant_table (gt, table, &code, &transient, error) == -1)
        return -1;
      if (!entry_is_place (code) || transient)
        return no_table (gt, table, error);
      offset[1] = gtable_entry_offset (gt, code, first);
    }
    return 0;
  }
}

static int
reserve_copies (struct gtable *gt, struct table_page *page,
                struct vmdk_error *error)
{
  const size_t size = page->nr * gt->l.entry_size;
  int i;

  if (find_copies (gt, page, error) == -1)
    return -1;
  for (i = 0; i < 2; ++i)
    if (page->copies[i] != 0 &&
        reserve (gt, page->copies[i], size, error) == -1)
      return -1;
  return 0;
}

/* Is the page among those that were changed?  If so it stays there: it
 * counts as changed once more, lest what has just been published makes it
 * leave before its turn.
 */
static bool
keep_changed (struct changed_pages *c, const struct table_key *key)
{
  struct table_page *page;

  pthread_mutex_lock (&c->lock);
  page = *find (c, key);
  if (page)
    page->changed = true;
  pthread_mutex_unlock (&c->lock);
  return page != NULL;
}

/* What a bad entry was in the file is not known any more, and must not be lost
 * there.  Whoever looks at all tables before the first change refuses to write
 * to such a disk, but does not look at everything that readers do.
 */
static bool
has_bad_entry (const struct gtable *gt, const struct table_page *page)
{
  uint32_t i;

  for (i = 0; i < page->nr; ++i)
    if (gtable_entry (gt, page, i) == ENTRY_BAD)
      return true;
  return false;
}

/* Make sure that a page, which the caller has read, is among those that
 * can be changed.
 */
static int
add_page (struct gtable *gt, unsigned level, uint64_t index,
          const struct table_page *page, struct vmdk_error *error)
{
  struct changed_pages *c = atomic_load (&gt->changes);
  const struct table_key key = {
    .owner = gt->owner, .level = level, .index = index,
  };
  struct table_page *copy, **p;

  if (keep_changed (c, &key))
    return 0;
  if (page->transient)
    return error_set (error, VMDK_ERROR_IO, EIO,
                      "%s: a grain table cannot be read, so it is not "
                      "changed either", gt->l.io->name);
  if (has_bad_entry (gt, page))
    return error_set (error, VMDK_ERROR_CORRUPT, EIO,
                      "%s: a grain table is damaged, so it is not changed",
                      gt->l.io->name);
  copy = copy_page (page);
  if (!copy)
    return error_nomem (error);
  copy->key = key;
  copy->changed = true;
  if (reserve_copies (gt, copy, error) == -1) {
    table_page_put (copy);
    return -1;
  }
  pthread_mutex_lock (&c->lock);
  p = find (c, &key);
  copy->hash_next = NULL;
  *p = copy;
  c->bytes += copy->bytes;
  atomic_fetch_add (&c->nr, 1);
  pthread_mutex_unlock (&c->lock);
  return 0;
}

/* A page that has been added, which nobody else is looking at, nor can
 * until the lock is dropped.  NULL if memory is short.  Locked.
 */
static struct table_page *
own_page (struct changed_pages *c, unsigned level, uint64_t index)
{
  const struct table_key key = { .level = level, .index = index };
  struct table_page **p = find (c, &key), *copy;

  if (atomic_load (&(*p)->refs) > 1) {
    copy = copy_page (*p);
    if (!copy)
      return NULL;
    copy->hash_next = (*p)->hash_next;
    table_page_put (*p);
    *p = copy;
  }
  (*p)->changed = true;
  return *p;
}

int
gtable_has_table (struct gtable *gt, uint64_t grain, struct vmdk_error *error)
{
  const uint64_t table = grain / gt->l.entries_per_table;
  struct table_page *page = gtable_directory (gt, table, error);
  uint64_t code;

  if (!page)
    return -1;
  code = gtable_entry (gt, page, table % GTABLE_PAGE_ENTRIES);
  table_page_put (page);
  return code != ENTRY_HOLE;
}

int
gtable_add_table (struct gtable *gt, uint64_t grain, uint64_t table,
                  uint64_t twin, struct vmdk_error *error)
{
  struct changed_pages *c = atomic_load (&gt->changes);
  const bool redundant = gt->l.directory[0] != 0 && gt->l.directory[1] != 0;
  const uint64_t number = grain / gt->l.entries_per_table;
  const uint64_t index = number / GTABLE_PAGE_ENTRIES;
  const uint64_t i = number % GTABLE_PAGE_ENTRIES;
  struct table_page *page, *other = NULL;
  int r;

  page = gtable_directory (gt, number, error);
  if (!page)
    return -1;
  r = add_page (gt, LEVEL_DIRECTORY, index, page, error);
  table_page_put (page);
  if (r == 0 && redundant) {
    page = gtable_redundant (gt, number, error);
    if (!page)
      return -1;
    r = add_page (gt, LEVEL_REDUNDANT, index, page, error);
    table_page_put (page);
  }
  if (r == -1)
    return -1;

  /* Both or none. */
  pthread_mutex_lock (&c->lock);
  page = own_page (c, LEVEL_DIRECTORY, index);
  if (redundant)
    other = own_page (c, LEVEL_REDUNDANT, index);
  if (page && (other || !redundant)) {
    if (redundant)
      gtable_set_entry (gt, other, i, twin);
    gtable_set_entry (gt, page, i, table);
    gtable_note_tables (gt, page);
  }
  else
    r = error_nomem (error);
  pthread_mutex_unlock (&c->lock);
  return r;
}

/* Have the page of an entry among those that can be changed. */
static int
add_table_page (struct gtable *gt, uint64_t grain, struct vmdk_error *error)
{
  struct table_page *page = gtable_page (gt, grain, error);
  int r;

  if (!page)
    return -1;
  r = add_page (gt, LEVEL_TABLE, grain / gt->page_entries, page, error);
  table_page_put (page);
  return r;
}

int
gtable_change (struct gtable *gt, uint64_t grain, uint64_t n, uint64_t code,
               struct vmdk_error *error)
{
  struct changed_pages *c = atomic_load (&gt->changes);
  const uint64_t step = entry_is_place (code) ? gt->l.grain_size : 0;
  const uint64_t first = grain / gt->page_entries;
  const uint64_t last = (grain + n - 1) / gt->page_entries;
  uint64_t index;
  int r = 0;

  for (index = first; index <= last && r == 0; ++index)
    r = add_table_page (gt, index * gt->page_entries, error);
  if (r == -1)
    return -1;

  /* Nothing can fail any more once the first entry changes. */
  pthread_mutex_lock (&c->lock);
  for (index = first; index <= last && r == 0; ++index)
    if (!own_page (c, LEVEL_TABLE, index))
      r = error_nomem (error);
  for (index = first; index <= last && r == 0; ++index) {
    struct table_page *page = own_page (c, LEVEL_TABLE, index);
    uint64_t i = grain % gt->page_entries;

    for (; i < page->nr && n > 0; ++i, --n, ++grain, code += step)
      gtable_set_entry (gt, page, i, code);
  }
  pthread_mutex_unlock (&c->lock);
  return r;
}

size_t
gtable_changed_bytes (struct gtable *gt)
{
  struct changed_pages *c = atomic_load (&gt->changes);
  size_t bytes;

  if (!c)
    return 0;
  pthread_mutex_lock (&c->lock);
  bytes = c->bytes;
  pthread_mutex_unlock (&c->lock);
  return bytes;
}

int
gtable_collect (struct gtable *gt, struct gtable_collected *collected,
                struct vmdk_error *error)
{
  struct changed_pages *c = atomic_load (&gt->changes);
  size_t i;

  *collected = (struct gtable_collected) { NULL, 0 };
  if (!c || atomic_load (&c->nr) == 0)
    return 0;
  pthread_mutex_lock (&c->lock);
  collected->pages = malloc (atomic_load (&c->nr) *
                             sizeof *collected->pages);
  for (i = 0; collected->pages && i < c->nr_buckets; ++i) {
    struct table_page *page;

    for (page = c->buckets[i]; page; page = page->hash_next)
      if (page->changed) {
        page->changed = false;
        collected->pages[collected->nr++] = table_page_get (page);
      }
  }
  pthread_mutex_unlock (&c->lock);
  return collected->pages ? 0 : error_nomem (error);
}

static int
write_page (struct gtable *gt, const struct table_page *page,
            struct vmdk_error *error)
{
  const size_t size = page->nr * gt->l.entry_size;
  uint8_t raw[GTABLE_PAGE_ENTRIES * 4];
  uint32_t i;

  for (i = 0; i < page->nr; ++i)
    store_le32 (raw + 4 * i, (uint32_t) gtable_entry (gt, page, i));
  for (i = 0; i < 2; ++i)
    if (page->copies[i] != 0 &&
        io_pwrite (gt->l.io, raw, size, page->copies[i], error) == -1)
      return -1;
  return 0;
}

int
gtable_write (struct gtable *gt, const struct gtable_collected *collected,
              struct vmdk_error *error)
{
  size_t i;

  for (i = 0; i < collected->nr; ++i)
    if (write_page (gt, collected->pages[i], error) == -1)
      return -1;
  return 0;
}

/* Leave a page to the cache if it has not changed again. */
static void
settle (struct gtable *gt, struct table_page *page)
{
  struct changed_pages *c = atomic_load (&gt->changes);
  struct table_page **p;

  pthread_mutex_lock (&c->lock);
  p = find (c, &page->key);
  if (*p == page && !page->changed) {
    atomic_fetch_add (version_of (c, &page->key), 1);
    *p = page->hash_next;
    c->bytes -= page->bytes;
    atomic_fetch_sub (&c->nr, 1);
    table_page_put (page);
  }
  pthread_mutex_unlock (&c->lock);
}

void
gtable_collected_free (struct gtable *gt, struct gtable_collected *collected,
                       bool durable)
{
  size_t i;

  for (i = 0; i < collected->nr; ++i) {
    if (durable)
      settle (gt, collected->pages[i]);
    table_page_put (collected->pages[i]);
  }
  free (collected->pages);
  collected->pages = NULL;
  collected->nr = 0;
}
