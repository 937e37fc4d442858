/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The public calls, built from the runs that extents answer with. */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bytes.h"
#include "progress.h"
#include "stream-image.h"

static int
init_env (struct vmdk_image *image, const struct vmdk_options *options,
          struct vmdk_error *error)
{
  image->memory = options->memory;
  if (!image->memory) {
    image->memory = vmdk_memory_new (options->cache_size);
    if (!image->memory)
      return error_nomem (error);
    image->owns_memory = true;
  }
  image->env = (struct extent_env) {
    .logger = &image->logger,
    .tables = image->memory->tables,
    .grains = image->memory->grains,
    .inflaters = image->memory->inflaters,
    .inflating = &image->inflating,
    .indexes = &image->memory->indexes,
    .rooms = &image->memory->rooms,
    .extents = &image->memory->extents,
    .checks = &image->memory->checks,
    .salvage = options->salvage,
  };
  return 0;
}

/* The most extents of a link that are traced. */
#define MAX_TRACED 1000

static void
trace_link (const struct vmdk_image *image, size_t number)
{
  const struct link *link = image->chain.links[number];
  size_t i;

  logger_note (&image->logger, "link %zu: %s: %s, %" PRIu64 " bytes, %zu "
               "extents, %zu files", number, link->name, link->create_type,
               link->size, link->nr_extents, link->nr_files);
  for (i = 0; i < link->nr_files && i < MAX_TRACED; ++i) {
    const struct io *io = link->files[i];

    logger_note (&image->logger, "link %zu: file %zu: %s, %" PRIu64
                 " bytes, %s", number, i, io->name, io->size,
                 io->writable ? "writable" : "read-only");
  }
  for (i = 0; i < link->nr_extents && i < MAX_TRACED; ++i) {
    const struct extent *e = link->extents[i];

    logger_note (&image->logger, "link %zu: extent %zu: %" PRIu64
                 " bytes at %" PRIu64 ", grains of %" PRIu64, number, i,
                 e->length, e->start, e->grain_size);
  }
}

static void
trace_files (const struct vmdk_image *image)
{
  size_t i;

  if (image->logger.trace & VMDK_TRACE_FILES)
    for (i = 0; i < image->chain.nr; ++i)
      trace_link (image, i);
}

/* 'dir' as for chain_open. */
static struct vmdk_image *
open_chain (const struct chain_top *first, const struct vmdk_options *options,
            const struct io_hook *hook, struct vmdk_error *error)
{
  struct vmdk_image *image = calloc (1, sizeof *image);
  struct link_context top, parents;
  struct budget lines, text;

  if (!image) {
    error_nomem (error);
    return NULL;
  }
  top.policy = &image->top_policy;
  parents.policy = &image->policy;
  top.env = parents.env = &image->env;
  top.lines = parents.lines = &lines;
  top.text = parents.text = &text;
  budget_init (&lines, LINK_MAX_LINES);
  budget_init (&text, LINK_MAX_TEXT);
  image->logger = logger_of (options);
  epochs_init (&image->epochs);
  writing_init (image);
  if (path_policy_init (&image->policy, options->allow_dirs,
                        options->nr_allow_dirs, error) == -1)
    goto err;
  image->policy.hook = hook;
  image->policy.unbuffered = options->unbuffered;
  image->top_policy = image->policy;
  image->top_policy.write = options->writable;
  if (init_env (image, options, error) == -1 ||
      chain_open (&top, &parents, first, options, &image->chain,
                  error) == -1 ||
      writing_lock_for_reading (image, error) == -1)
    goto err;
  trace_files (image);
  return image;

 err:
  vmdk_close (image);
  return NULL;
}

struct vmdk_image *
image_open (const char *path, const struct vmdk_options *options,
            const struct io_hook *hook, struct vmdk_error *error)
{
  const struct chain_top first = { .dir = -1, .name = path };

  return open_chain (&first, options, hook, error);
}

struct vmdk_image *
image_open_in (int dir, const char *name, bool is_entry,
               const struct vmdk_options *options, struct vmdk_error *error)
{
  const struct chain_top first = {
    .dir = dir, .name = name, .is_entry = is_entry,
  };

  return open_chain (&first, options, NULL, error);
}

struct vmdk_image *
vmdk_open (const char *path, const struct vmdk_options *options,
           struct vmdk_error *error)
{
  return image_open (path, options, NULL, error);
}

void
vmdk_close (struct vmdk_image *image)
{
  struct vmdk_error error;

  if (!image)
    return;
  if (image->stream)
    stream_image_close (image);
  else if (image->writing.begun && vmdk_end_writing (image, &error) == -1)
    logger_warn (&image->logger, "%s", error.message);
  chain_close (&image->chain);
  writing_destroy (image);
  epochs_destroy (&image->epochs);
  if (image->owns_memory)
    vmdk_memory_free (image->memory);
  path_policy_destroy (&image->policy);
  free (image);
}

uint64_t
vmdk_size (const struct vmdk_image *image)
{
  return image->stream ? stream_writer_size (image->stream) :
    image->chain.links[0]->size;
}

void
vmdk_describe (const struct vmdk_image *image,
               struct vmdk_description *description)
{
  const struct link *link = image->chain.links[0];
  size_t i;

  if (image->stream) {
    stream_image_describe (description);
    return;
  }
  *description = (struct vmdk_description) {
    .create_type = link->create_type,
    .nr_extents = link->nr_extents,
    .nr_links = image->chain.nr,
    .has_unopened_parent = image->chain.cut,
  };
  for (i = 0; i < link->nr_extents && description->grain_size == 0; ++i)
    description->grain_size = link->extents[i]->grain_size;
  /* Snapshots do not repeat it. */
  for (i = 0; i < image->chain.nr && description->sector_size == 0; ++i)
    description->sector_size = image->chain.links[i]->sector_size;
}

struct extent *
image_find_extent (const struct link *link, uint64_t offset)
{
  size_t low = 0, high = link->nr_extents - 1;

  while (low < high) {
    const size_t middle = low + (high - low + 1) / 2;

    if (link->extents[middle]->start <= offset)
      low = middle;
    else
      high = middle - 1;
  }
  return link->extents[low];
}

/* The run at 'offset' in the extent of one link that holds it. */
static int
map_link (const struct link *link, uint64_t offset, uint64_t count,
          enum map_purpose purpose, struct run *run,
          struct extent **extent, struct vmdk_error *error)
{
  struct extent *e = image_find_extent (link, offset);
  const uint64_t in_extent = offset - e->start;

  *extent = e;
  return e->ops->map (e, in_extent, min_u64 (count, e->length - in_extent),
                      purpose, run, error);
}

/* A walk over a range of the disk, from its start to its end. */
struct walk {
  const struct chain *chain;
  size_t first;                 /* link that counts */
  enum map_purpose purpose;
  uint64_t offset;              /* where the walk is */
  uint64_t end;
  struct run run;               /* what is there, of the whole chain */
  struct extent *extent;        /* that said so */

  /* Answers of links so far, and after how many of them it is seen whether to
   * go on.
   */
  uint64_t steps, next_look;

  /* Each link is known to have nothing from where the walk is to here,
   * so that a long hole is not looked through again for each piece that
   * a parent has there.
   */
  uint64_t hole_end[CHAIN_MAX_LINKS];
};

int
image_check_range (const struct vmdk_image *image, uint64_t count,
                   uint64_t offset, struct vmdk_error *error)
{
  const uint64_t size = vmdk_size (image);

  if (offset > size || count > size - offset)
    return error_set (error, VMDK_ERROR_INVALID, EINVAL,
                      "%" PRIu64 " bytes at offset %" PRIu64 " are not in "
                      "the disk of %" PRIu64 " bytes", count, offset, size);
  return 0;
}

static int
walk_begin (struct walk *walk, const struct vmdk_image *image, size_t first,
            uint64_t offset, uint64_t count, enum map_purpose purpose,
            struct vmdk_error *error)
{
  size_t i;

  if (image_check_range (image, count, offset, error) == -1)
    return -1;
  walk->chain = &image->chain;
  walk->first = first;
  walk->purpose = purpose;
  walk->offset = offset;
  walk->end = offset + count;
  walk->steps = walk->next_look = 0;
  for (i = 0; i < image->chain.nr; ++i)
    walk->hole_end[i] = 0;
  return 0;
}

/* Find the run at the place of the walk: what the first link has that
 * has anything there, for as long as that is so.
 */
static int
walk_map (struct walk *walk, struct vmdk_error *error)
{
  const struct chain *chain = walk->chain;
  const uint64_t offset = walk->offset;
  uint64_t limit = walk->end - offset;
  size_t i;

  for (i = walk->first; i < chain->nr; ++i) {
    const struct link *link = chain->links[i];

    if (offset >= link->size)   /* larger than its parent */
      break;
    if (offset >= walk->hole_end[i]) {
      limit = min_u64 (limit, link->size - offset);
      walk->steps++;
      if (map_link (link, offset, limit, walk->purpose, &walk->run,
                    &walk->extent, error) == -1)
        return -1;
      if (walk->run.kind != RUN_HOLE)
        return 0;
      walk->hole_end[i] = offset + walk->run.length;
    }
    limit = min_u64 (limit, walk->hole_end[i] - offset);
  }
  walk->run.kind = RUN_HOLE;
  walk->run.length = limit;
  return 0;
}

/* An image that answers at once is not looked after so closely. */
static bool
look_is_due (struct walk *walk, uint64_t steps)
{
  if (walk->steps < walk->next_look)
    return false;
  walk->next_look = walk->steps + steps;
  return walk->steps > 0;
}

/* Walks that are not for reading may go over any length of disk.  Hostile
 * images can make that slow, so they end early after this time.
 */
#define WALK_SECONDS 3
#define WALK_STEPS 16

struct time_limit {
  struct timespec end;
};

static void
start_limit (struct time_limit *limit)
{
  clock_gettime (CLOCK_MONOTONIC_COARSE, &limit->end);
  limit->end.tv_sec += WALK_SECONDS;
}

/* A walk always makes some way. */
static bool
has_passed (const struct time_limit *limit, struct walk *walk)
{
  struct timespec now;

  if (!look_is_due (walk, WALK_STEPS))
    return false;
  clock_gettime (CLOCK_MONOTONIC_COARSE, &now);
  return now.tv_sec > limit->end.tv_sec ||
    (now.tv_sec == limit->end.tv_sec && now.tv_nsec > limit->end.tv_nsec);
}

/* Read the run at the place of the walk. */
static int
read_run (const struct walk *walk, void *buf, struct vmdk_error *error)
{
  const struct run *run = &walk->run;
  struct extent *e = walk->extent;

  switch (run->kind) {
  case RUN_DATA:
    return io_pread (run->io, buf, run->length, run->offset, error);
  case RUN_COMPRESSED:
    return e->ops->inflate (e, run, walk->offset - e->start, buf, error);
  case RUN_ZERO:
  case RUN_HOLE:
    memset (buf, 0, run->length);
    return 0;
  case RUN_BAD:
    return e->ops->explain (e, walk->offset - e->start, error);
  default:
    abort ();
  }
}

/* What is read must be read to its end, if anybody waits for it.  One answer
 * may take as many table pages as gtable_run looks at.
 */
#define READ_STEPS 16

static int
read_walk (struct vmdk_image *image, struct walk *walk, uint8_t *p,
           struct vmdk_error *error)
{
  struct progress progress;

  progress_begin (&progress, &image->logger, image->chain.links[0]->name,
                  "reading", 0);
  walk->next_look = READ_STEPS;
  while (walk->offset < walk->end) {
    if (look_is_due (walk, READ_STEPS) &&
        progress_at (&progress, 0, error) == -1)
      return -1;
    if (walk_map (walk, error) == -1 || read_run (walk, p, error) == -1)
      return -1;
    p += walk->run.length;
    walk->offset += walk->run.length;
  }
  return 0;
}

int
vmdk_pread (struct vmdk_image *image, void *buf, size_t count,
            uint64_t offset, struct vmdk_error *error)
{
  struct walk walk;
  unsigned epoch;
  int r;

  if (image->stream)
    return stream_writer_pread (image->stream, buf, count, offset, error);
  if (walk_begin (&walk, image, 0, offset, count, MAP_FOR_READING,
                  error) == -1)
    return -1;
  epoch = epochs_enter (&image->epochs);
  r = read_walk (image, &walk, buf, error);
  epochs_leave (&image->epochs, epoch);
  return r;
}

int
image_read_below (struct vmdk_image *image, size_t first, void *buf,
                  uint64_t count, uint64_t offset, struct vmdk_error *error)
{
  struct walk walk;

  if (walk_begin (&walk, image, first, offset, count, MAP_FOR_READING,
                  error) == -1)
    return -1;
  return read_walk (image, &walk, buf, error);
}

int
image_count_zeroes (struct vmdk_image *image, size_t first, uint64_t count,
                    uint64_t offset, uint64_t *zeroes,
                    struct vmdk_error *error)
{
  struct time_limit limit;
  struct walk walk;

  if (walk_begin (&walk, image, first, offset, count, MAP_FOR_ALLOCATION,
                  error) == -1)
    return -1;
  start_limit (&limit);
  while (walk.offset < walk.end && !has_passed (&limit, &walk)) {
    if (walk_map (&walk, error) == -1)
      return -1;
    if (walk.run.kind != RUN_HOLE && walk.run.kind != RUN_ZERO)
      break;
    walk.offset += walk.run.length;
  }
  *zeroes = walk.offset - offset;
  return 0;
}

int
vmdk_prefetch (struct vmdk_image *image, uint64_t count, uint64_t offset,
               struct vmdk_error *error)
{
  struct time_limit limit;
  struct walk walk;

  if (walk_begin (&walk, image, 0, offset, count, MAP_FOR_READING,
                  error) == -1)
    return -1;
  if (image->stream)
    return 0;
  start_limit (&limit);
  while (walk.offset < walk.end && !has_passed (&limit, &walk)) {
    const struct run *run = &walk.run;

    if (walk_map (&walk, error) == -1)
      return -1;
    /* How much a compressed grain takes in the file is not known, but
     * hardly more than it takes in the disk.
     */
    if (run->kind == RUN_DATA || run->kind == RUN_COMPRESSED)
      io_prefetch (run->io, run->offset, run->length);
    walk.offset += run->length;
  }
  return 0;
}

static enum vmdk_allocation
allocation_of (const struct walk *walk)
{
  switch (walk->run.kind) {
  case RUN_DATA:
  case RUN_COMPRESSED:
  case RUN_BAD:
    return VMDK_ALLOCATED;
  case RUN_HOLE:
    return walk->chain->cut ? VMDK_UNKNOWN : VMDK_HOLE;
  case RUN_ZERO:
    return VMDK_HOLE;
  default:
    abort ();
  }
}

/* Report the range of a walk in maximal pieces. */
static int
map_walk (struct walk *walk, const struct time_limit *limit,
          vmdk_map_callback *callback, void *opaque,
          struct vmdk_error *error)
{
  enum vmdk_allocation allocation = VMDK_HOLE;
  uint64_t start = walk->offset;

  while (walk->offset < walk->end && !has_passed (limit, walk)) {
    if (walk_map (walk, error) == -1)
      return -1;
    if (walk->offset != start && allocation_of (walk) != allocation) {
      const int r = callback (opaque, start, walk->offset - start,
                              allocation);

      if (r != 0)
        return r;
      start = walk->offset;
    }
    allocation = allocation_of (walk);
    walk->offset += walk->run.length;
  }
  return walk->offset == start ? 0 :
    callback (opaque, start, walk->offset - start, allocation);
}

int
vmdk_map (struct vmdk_image *image, uint64_t offset, uint64_t count,
          vmdk_map_callback *callback, void *opaque,
          struct vmdk_error *error)
{
  struct time_limit limit;
  struct walk walk;
  int r;

  if (walk_begin (&walk, image, 0, offset, count, MAP_FOR_ALLOCATION,
                  error) == -1)
    return -1;
  if (image->stream)
    return stream_image_map (image, offset, count, callback, opaque);
  start_limit (&limit);
  r = map_walk (&walk, &limit, callback, opaque, error);
  return r > 0 ? 0 : r;
}

/* Take the first piece of a map. */
struct first_piece {
  enum vmdk_allocation allocation;
  uint64_t length;
};

static int
take_first (void *opaque, uint64_t offset, uint64_t length,
            enum vmdk_allocation allocation)
{
  struct first_piece *first = opaque;

  (void) offset;
  first->allocation = allocation;
  first->length = length;
  return 1;
}

int
vmdk_is_allocated (struct vmdk_image *image, uint64_t offset,
                   uint64_t count, enum vmdk_allocation *allocation,
                   uint64_t *length, struct vmdk_error *error)
{
  struct first_piece first = { VMDK_HOLE, 0 };

  if (vmdk_map (image, offset, count, take_first, &first, error) == -1)
    return -1;
  *allocation = first.allocation;
  *length = first.length;
  return 0;
}
