/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* streamOptimized extents: hosted sparse with compressed grains
 * (Virtual Disk Format 5.0, "Stream-Optimized Compressed Sparse
 * Extents").
 *
 * Grains are found through the tables, as in any sparse extent.  Where
 * these are damaged or were never completed, the index that reading the
 * whole stream gives takes their place.
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "extent.h"
#include "grains.h"
#include "gtable.h"
#include "stream-index.h"

/* The footer is looked for in so many bytes at the end of the file. */
#define FOOTER_SEARCH (1024 * 1024)

/* A directory of more tables than this is not read when opening. */
#define MAX_CHECKED_TABLES (1024 * 1024)

struct stream {
  struct extent extent;
  struct io *io;
  const struct extent_env *env;
  struct hosted_header h;
  uint64_t file_sectors;
  struct gtable *gt;            /* NULL if only the index counts */
  uint64_t owner;               /* of grains in the cache */

  /* Held while the index is made: who needs it has to wait, others do
   * not take it.
   */
  pthread_mutex_t index_lock;
  uint64_t index_needs;         /* bytes: not tried again with less */
  atomic_flag said_zeroed;
  _Atomic (struct stream_index *) index;
};

static uint64_t
stream_decode_table (void *opaque, uint64_t table, uint64_t raw)
{
  const struct stream *s = opaque;

  (void) table;
  if (raw == 0)
    return ENTRY_HOLE;
  return raw == 1 || raw >= s->file_sectors ||
    hosted_is_metadata (&s->h, raw, 1) ? ENTRY_BAD : raw;
}

static uint64_t
stream_decode_grain (void *opaque, uint64_t grain, uint64_t raw,
                     bool *partial)
{
  struct stream *s = opaque;

  (void) grain;
  (void) partial;
  if (raw == 1 && !(s->h.flags & HOSTED_ZEROED_GRAINS) &&
      !atomic_flag_test_and_set (&s->said_zeroed))
    logger_warn (s->env->logger, ZEROED_WARNING, s->io->name);
  if (raw <= 1)
    return raw;
  return raw >= s->file_sectors || hosted_is_metadata (&s->h, raw, 1) ?
    ENTRY_BAD : raw;
}

/* Read the whole stream into an index, in what is left of the memory that
 * all indexes may use.
 */
static struct stream_index *
make_index (const struct stream *s, struct vmdk_error *error)
{
  return stream_index_new (s->io, &s->h, s->env->indexes, s->env->logger,
                           error);
}

/* Get the index, making it if this is the first time that it is needed.
 * NULL if it cannot be trusted to say where grains are.
 */
static const struct stream_index *
get_index (struct stream *s)
{
  struct stream_index *index = atomic_load (&s->index);
  struct vmdk_error error;
  bool waited = false;

  if (index || !(s->h.flags & HOSTED_MARKERS))
    return index;

  if (pthread_mutex_trylock (&s->index_lock) != 0) {
    pthread_mutex_lock (&s->index_lock);
    waited = true;
  }
  index = atomic_load (&s->index);
  /* Who has waited for one that was interrupted does not begin anew if nobody
   * waits for it any more either.
   */
  if (!index && (!waited || !logger_interrupted (s->env->logger)) &&
      budget_left (s->env->indexes) >= s->index_needs) {
    index = make_index (s, &error);
    if (!index && error.kind == VMDK_ERROR_NOMEM)
      s->index_needs = budget_left (s->env->indexes) + 1;
    else if (index || error.kind != VMDK_ERROR_INTERRUPTED)
      s->index_needs = UINT64_MAX;
    if (!index)
      logger_warn (s->env->logger, "%s", error.message);
    else if (!stream_index_is_complete (index)) {
      logger_warn (s->env->logger, "%s: the tables of the stream are "
                   "damaged, and it cannot be read to its end to find the "
                   "grains", s->io->name);
      stream_index_free (index);
      index = NULL;
    }
    else
      logger_warn (s->env->logger, "%s: the tables of the stream are "
                   "damaged; the grains are found by their markers",
                   s->io->name);
    atomic_store (&s->index, index);
  }
  pthread_mutex_unlock (&s->index_lock);
  return index;
}

/* The run of grains from 'grain' on by the index alone. */
static void
index_run (const struct stream_index *index, uint64_t grain, uint64_t max,
           uint64_t *code, uint64_t *count)
{
  const uint64_t behind = stream_index_behind (index);

  *count = stream_index_run (index, grain, max);
  *code = stream_index_find (index, grain);
  if (*code != 0)
    return;

  /* Not found.  In a stream that was cut, nothing is known of what came
   * after the last grain, and that may be any grain if they do not come
   * in order.
   */
  *code = ENTRY_HOLE;
  if (stream_index_is_complete (index))
    return;
  if (grain >= behind || !stream_index_is_ordered (index))
    *code = ENTRY_BAD;
  else
    *count = min_u64 (*count, behind - grain);
}

static int
stream_run (struct stream *s, uint64_t grain, uint64_t max,
            bool by_allocation, uint64_t *code, uint64_t *count,
            struct vmdk_error *error)
{
  const struct stream_index *index;

  if (!s->gt) {
    index_run (atomic_load (&s->index), grain, max, code, count);
    return 0;
  }
  if (gtable_run (s->gt, grain, max, by_allocation, code, count,
                  error) == -1)
    return -1;
  if (*code == ENTRY_BAD && (index = get_index (s)) != NULL)
    index_run (index, grain, *count, code, count);
  return 0;
}

static int
stream_map (struct extent *extent, uint64_t offset, uint64_t count,
            enum map_purpose purpose, struct run *run,
            struct vmdk_error *error)
{
  struct stream *s = (struct stream *) extent;
  const uint64_t grain_size = extent->grain_size;
  const uint64_t grain = offset / grain_size;
  const uint64_t in_grain = offset % grain_size;
  const uint64_t nr_grains = hosted_nr_grains (&s->h);
  uint64_t code = ENTRY_BAD, max, n;

  if (grain >= nr_grains) {      /* see grains_check_length */
    run->kind = RUN_HOLE;
    run->length = count;
    return 0;
  }
  max = min_u64 (div_up (in_grain + count, grain_size), nr_grains - grain);

  /* Grains are read one by one, so what follows one is of interest only
   * if there is nothing to read.  The second answer may be another than the
   * first: the file could not be read then, or others had the memory for the
   * index.
   */
  n = 1;
  if (purpose == MAP_FOR_READING &&
      stream_run (s, grain, n, false, &code, &n, error) == -1)
    return -1;
  if ((purpose == MAP_FOR_ALLOCATION || code == ENTRY_HOLE ||
       code == ENTRY_ZERO) &&
      stream_run (s, grain, max, purpose == MAP_FOR_ALLOCATION, &code, &n,
                  error) == -1)
    return -1;
  if (purpose == MAP_FOR_READING && entry_is_place (code))
    n = 1;
  run->kind = grains_run_kind (code);
  if (run->kind == RUN_DATA) {
    run->kind = RUN_COMPRESSED;
    run->io = s->io;
    run->offset = code * SECTOR_SIZE;
  }
  run->length = min_u64 (n * grain_size - in_grain, count);
  return 0;
}

static int __attribute__ ((format (printf, 4, 5)))
damaged (const struct stream *s, uint64_t grain, struct vmdk_error *error,
         const char *fmt, ...)
{
  va_list args;
  char reason[256];

  va_start (args, fmt);
  vsnprintf (reason, sizeof reason, fmt, args);
  va_end (args);
  return error_set (error, VMDK_ERROR_CORRUPT, EIO,
                    "%s: damaged: grain %" PRIu64 ": %s",
                    s->io->name, grain, reason);
}

/* Where the compressed data of a grain are. */
struct compressed {
  uint64_t offset;              /* bytes in the file */
  size_t size;                  /* at most */
};

/* The largest size that compressed data of a grain may have. */
static uint64_t
max_compressed (const struct stream *s)
{
  return 2 * s->extent.grain_size;
}

/* Read the marker of a grain.  Returns 1 if it is the right one. */
static int
read_marker (const struct stream *s, uint64_t grain, uint64_t place,
             struct compressed *c, struct vmdk_error *error)
{
  uint8_t buf[STREAM_MARKER_SIZE];
  struct stream_marker m;

  if (io_pread (s->io, buf, sizeof buf, place, error) == -1)
    return -1;
  stream_marker_decode (buf, &m);
  if (m.size == 0 || m.size > max_compressed (s) ||
      m.value != grain * s->h.grain_size) {
    damaged (s, grain, error, "the marker at offset %" PRIu64
             " is that of sector %" PRIu64 " with %" PRIu32 " bytes",
             place, m.value, m.size);
    return 0;
  }
  c->offset = place + STREAM_GRAIN_DATA;
  c->size = m.size;
  return 1;
}

static bool
is_zlib_header (const uint8_t *p)
{
  return (p[0] & 0xf) == 8 && (p[0] * 256 + p[1]) % 31 == 0;
}

/* A grain without a marker: there are two ways to read the format, a
 * size in front of the data or no size at all.
 */
static int
read_markerless (const struct stream *s, uint64_t place,
                 struct compressed *c, struct vmdk_error *error)
{
  const uint64_t left = s->io->size - place;
  uint8_t buf[6];
  uint32_t size;

  if (io_pread (s->io, buf, sizeof buf, place, error) == -1)
    return -1;
  size = load_le32 (buf);
  if (is_zlib_header (buf + 4) && size > 0 && size <= max_compressed (s) &&
      size <= left - 4) {
    c->offset = place + 4;
    c->size = size;
  }
  else {
    c->offset = place;
    c->size = (size_t) min_u64 (max_compressed (s), left);
  }
  return 1;
}

/* Find the compressed data of a grain that the tables place at 'place'
 * (bytes).  If something else is there, the index may know better.
 */
static int
find_compressed (struct stream *s, uint64_t grain, uint64_t place,
                 struct compressed *c, struct vmdk_error *error)
{
  const struct stream_index *index;
  uint64_t other;
  int r;

  if (!(s->h.flags & HOSTED_MARKERS))
    r = read_markerless (s, place, c, error);
  else
    r = read_marker (s, grain, place, c, error);
  if (r == 0 && (index = get_index (s)) != NULL) {
    other = stream_index_find (index, grain) * SECTOR_SIZE;
    if (other != 0 && other != place) {
      struct vmdk_error ignored;

      r = read_marker (s, grain, other, c, &ignored);
    }
  }
  return r == 1 ? 0 : -1;
}

static int
inflate_grain (const struct grain_source *source, struct grain_room *room,
               struct vmdk_error *error)
{
  struct stream *s = source->opaque;
  const uint64_t grain = source->grain;
  const uint64_t grain_size = s->extent.grain_size;
  /* The last grain need not go on behind the end of the disk. */
  const uint64_t needed =
    min_u64 (grain_size, s->h.capacity * SECTOR_SIZE - grain * grain_size);
  struct inflater *inflater;
  struct compressed c;
  const char *fault;
  size_t produced = 0;
  uint8_t *out;
  int r;

  if (find_compressed (s, grain, source->place, &c, error) == -1)
    return -1;
  inflater = inflater_get (s->env->inflaters, s->env->inflating, c.size,
                           source->size, error);
  if (!inflater)
    return -1;
  out = grain_room_get (room);
  r = out ? io_pread (s->io, inflater->input, c.size, c.offset, error) :
    error_nomem (error);
  if (r == 0) {
    fault = inflater_run (inflater, c.size, out, source->size, &produced);
    if (fault)
      r = damaged (s, grain, error, "%s, at offset %" PRIu64, fault,
                   c.offset);
    else if (produced < needed)
      r = damaged (s, grain, error, "it inflates to %zu bytes instead of %"
                   PRIu64 ", at offset %" PRIu64, produced, grain_size,
                   c.offset);
    else
      memset (out + produced, 0, source->size - produced);
  }
  inflater_put (s->env->inflaters, inflater);
  return r;
}

static int
stream_inflate (struct extent *extent, const struct run *run,
                uint64_t offset, void *buf, struct vmdk_error *error)
{
  struct stream *s = (struct stream *) extent;
  const struct grain_source source = {
    .owner = s->owner,
    .grain = offset / extent->grain_size,
    .size = (size_t) extent->grain_size,
    .inflate = inflate_grain,
    .opaque = s,
    .place = run->offset,
  };

  return grain_cache_read (s->env->grains, &source,
                           (size_t) (offset % extent->grain_size),
                           buf, (size_t) run->length, error);
}

static int
stream_explain (struct extent *extent, uint64_t offset,
                struct vmdk_error *error)
{
  struct stream *s = (struct stream *) extent;
  const uint64_t grain = offset / extent->grain_size;

  if (s->gt)
    return gtable_explain (s->gt, grain, error);
  return damaged (s, grain, error, "it lies behind offset %" PRIu64
                  ", where the stream is cut off",
                  stream_index_end (atomic_load (&s->index)));
}

static void
stream_close (struct extent *extent)
{
  struct stream *s = (struct stream *) extent;

  stream_index_free (atomic_load (&s->index));
  pthread_mutex_destroy (&s->index_lock);
  gtable_free (s->gt);
  io_unref (s->io);
  free (s);
}

static const struct extent_ops stream_ops = {
  .map = stream_map,
  .inflate = stream_inflate,
  .explain = stream_explain,
  .close = stream_close,
};

/* If the three sectors at 'p' begin with a footer of this extent, take
 * over where its directory is.
 */
static bool
take_footer (const uint8_t *p, struct hosted_header *h)
{
  struct hosted_header footer;
  struct stream_marker m;

  stream_marker_decode (p, &m);
  if (m.size != 0 || m.type != STREAM_FOOTER ||
      header_probe (p + SECTOR_SIZE, SECTOR_SIZE) != FILE_HOSTED)
    return false;
  hosted_decode (p + SECTOR_SIZE, &footer);
  if (footer.capacity != h->capacity || footer.grain_size != h->grain_size ||
      footer.entries_per_table != h->entries_per_table ||
      footer.gd_offset == HOSTED_GD_AT_END)
    return false;
  h->gd_offset = footer.gd_offset;
  h->rgd_offset = footer.rgd_offset;
  return true;
}

/* Look for the footer: at the end of the file, where it should be, and,
 * if nothing else says where the directory is, before what somebody may
 * have added to the file.
 */
static int
find_footer (struct io *io, struct hosted_header *h,
             struct vmdk_error *error)
{
  const uint64_t end = io->size / SECTOR_SIZE;
  const uint64_t n = min_u64 (end, h->gd_offset == HOSTED_GD_AT_END ?
                              FOOTER_SEARCH / SECTOR_SIZE : 3);
  uint8_t *buf = malloc (n * SECTOR_SIZE);
  uint64_t i;
  int r;

  if (!buf)
    return error_nomem (error);
  r = io_pread (io, buf, n * SECTOR_SIZE, (end - n) * SECTOR_SIZE, error);
  for (i = n; r == 0 && i >= 2; --i)
    if (take_footer (buf + (i - 2) * SECTOR_SIZE, h))
      break;
  free (buf);
  return r;
}

/* Set up the tables if the directory is in the file and whole. */
static int
open_tables (struct stream *s, struct vmdk_error *error)
{
  struct gtable_layout layout = {
    .io = s->io,
    .cache = s->env->tables,
    .logger = s->env->logger,
    .entry_size = 4,
    .entries_per_table = s->h.entries_per_table,
    .nr_grains = hosted_nr_grains (&s->h),
    /* As far as the tables are concerned: compressed, it may be. */
    .grain_size = 1,
    .table_size = div_up (s->h.entries_per_table * UINT64_C (4),
                          SECTOR_SIZE),
    .directory = { s->h.gd_offset, s->h.rgd_offset },
    .decode_table = stream_decode_table,
    .decode_grain = stream_decode_grain,
    .opaque = s,
  };
  uint64_t bad = 0;

  s->gt = gtable_new (&layout);
  if (!s->gt)
    return error_nomem (error);
  if (hosted_nr_tables (&s->h) <= MAX_CHECKED_TABLES &&
      gtable_check_directory (s->gt, &bad, error) == -1)
    return -1;
  if (bad > 0)
    return error_set (error, VMDK_ERROR_CORRUPT, EINVAL,
                      "%s: %" PRIu64 " entries of the grain directory are "
                      "damaged", s->io->name, bad);
  return 0;
}

/* Do without the directory: 'why' says what is wrong with it. */
static int
open_by_index (struct stream *s, const struct vmdk_error *why,
               struct vmdk_error *error)
{
  struct stream_index *index;

  gtable_free (s->gt);
  s->gt = NULL;
  if (!(s->h.flags & HOSTED_MARKERS)) {
    *error = *why;
    return -1;
  }
  index = make_index (s, error);
  if (!index)
    return -1;
  atomic_store (&s->index, index);

  if (stream_index_is_complete (index))
    logger_warn (s->env->logger, "%s; the grains are found by their "
                 "markers", why->message);
  else if (s->env->salvage)
    logger_warn (s->env->logger, "%s; salvaging the grains in the first %"
                 PRIu64 " bytes, reading behind the last of them will fail",
                 why->message, stream_index_end (index));
  else
    return error_set (error, VMDK_ERROR_CORRUPT, EINVAL,
                      "%s, and the stream stops without a proper end marker "
                      "at offset %" PRIu64 "; salvage=true would serve what "
                      "is there", why->message, stream_index_end (index));
  return 0;
}

static int
open_directory (struct stream *s, struct vmdk_error *error)
{
  struct vmdk_error why;
  int r;

  if (find_footer (s->io, &s->h, error) == -1)
    return -1;
  if (s->h.gd_offset == HOSTED_GD_AT_END)
    r = error_set (&why, VMDK_ERROR_CORRUPT, EINVAL,
                   "%s: the stream has no footer", s->io->name);
  else
    r = hosted_validate_directories (&s->h, s->io->size, s->io->name,
                                     s->env->logger, &why);
  if (r == 0)
    r = open_tables (s, &why);
  if (r == -1 && why.kind == VMDK_ERROR_NOMEM) {
    *error = why;
    return -1;
  }
  return r == 0 ? 0 : open_by_index (s, &why, error);
}

struct extent *
extent_stream_new (struct io *io, const struct hosted_header *header,
                   uint64_t length, const struct extent_env *env,
                   struct vmdk_error *error)
{
  struct stream *s;

  if (grains_check_length (io, header->capacity, header->grain_size, length,
                           env->logger, error) == -1)
    return NULL;
  s = calloc (1, sizeof *s);
  if (!s) {
    error_nomem (error);
    return NULL;
  }
  s->extent.ops = &stream_ops;
  s->extent.read_only = "a finished stream cannot be changed";
  s->extent.length = length;
  s->extent.grain_size = header->grain_size * SECTOR_SIZE;
  s->io = io_ref (io);
  s->env = env;
  s->h = *header;
  s->owner = grain_cache_owner (env->grains);
  s->file_sectors = div_up (io->size, SECTOR_SIZE);
  pthread_mutex_init (&s->index_lock, NULL);
  atomic_flag_clear (&s->said_zeroed);
  if (open_directory (s, error) == -1) {
    stream_close (&s->extent);
    return NULL;
  }
  return &s->extent;
}
