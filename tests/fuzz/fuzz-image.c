/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* A whole image, see blob.h: open it, map and read it, change a little of it,
 * flush, close, and open it again; or make a child of it, and do the same with
 * that.
 *
 * Whatever the image is: a hole reads as zeroes; what was read stays what it
 * is while nobody writes there; what was written is read, then and after it
 * was closed without an error and opened again; a change that fails leaves
 * each sector as it was or as it was to be; an image that is not written stays
 * as it is, byte for byte; and no file is left over.  Where a call on the
 * files fails, what nobody wants to change stays as it is, and the image opens
 * again.
 */

#include <config.h>

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blob.h"
#include "bytes.h"
#include "faults.h"
#include "folder.h"
#include "fuzz.h"
#include "image.h"
#include "model.h"
#include "vmdkcore.h"

/* What the first byte says. */
enum {
  SALVAGE = 1,
  SINGLE_LINK = 2,
  IGNORE_CID = 4,
  WRITE = 8,
  CHILD = 16,                   /* make a child of it, and write that */
  FAULTS = 32                   /* let a call on the files fail */
};

#define CHILD_NAME "fuzz-child.vmdk"
#define SMALL (256 * 1024)      /* disks that are read and mapped as a whole */
#define MAX_PIECES (SMALL / SECTOR_SIZE)
#define NR_READS 8
#define NR_CHANGES 10
#define MAX_CALLS 300

/* Half as much as a client may ask for at once: with all that is counted here,
 * more than that takes long in grains of a sector.
 */
#define MAX_ZERO (UINT32_MAX / 2)

struct state {
  const char *path;
  struct vmdk_options options;
  bool with_faults;
  struct vmdk_image *image;
  uint64_t size;
  uint64_t random;
  unsigned nr_pieces;
  uint64_t mapped_to;
  uint64_t edge;                /* the end of some piece of the map */
  uint64_t zeroed;              /* by large requests */
};

static uint8_t buffer[65536];
static struct model models[2];

static uint64_t
next_random (struct state *s)
{
  s->random = s->random * UINT64_C (6364136223846793005) +
    UINT64_C (1442695040888963407);
  return s->random >> 17;
}

static void
check_text (const char *text)
{
  if (*text == '\0')
    wrong ("a message that says nothing", NULL);
  for (; *text != '\0'; ++text)
    if (iscntrl ((unsigned char) *text))
      wrong ("a message that is not one line of text", text);
}

static void
check_message (const struct vmdk_error *error)
{
  if (error->err == 0)
    wrong ("a failure without an errno", error->message);
  check_text (error->message);
}

static void
check_log (void *opaque, enum vmdk_log_level level, const char *message)
{
  (void) opaque;
  (void) level;
  check_text (message);
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
  if (s->mapped_to < s->size && next_random (s) % 4 == 0)
    s->edge = s->mapped_to;
  faults_stop ();
  if (allocation != VMDK_ALLOCATED) {
    if (!read_range (s, buffer, n, offset) || !is_zero (buffer, n))
      wrong ("a hole does not read as zeroes", NULL);
    if (!read_range (s, buffer, n, offset + length - n) ||
        !is_zero (buffer, n))
      wrong ("the end of a hole does not read as zeroes", NULL);
  }
  faults_go_on ();
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
    else if (s->mapped_to == offset)
      wrong ("a map of nothing", NULL);
  }
  if (vmdk_prefetch (s->image, s->size - s->edge, s->edge, &error) == -1)
    check_message (&error);
  if (s->size <= SMALL) {
    uint64_t offset;

    for (offset = 0; offset < s->size; offset += sizeof buffer)
      (void) read_range (s, buffer,
                         (size_t) min_u64 (sizeof buffer, s->size - offset),
                         offset);
  }
  for (i = 0; i < NR_READS; ++i) {
    const size_t n =
      (size_t) min_u64 (1 + next_random (s) % sizeof buffer, s->size);
    const uint64_t offset = i == 0 ? 0 : i == 1 ? s->size - n :
      next_random (s) % (s->size - n + 1);

    (void) read_range (s, buffer, n, offset);
  }
}

/* Choose what of the disk is looked at: one part anywhere, one near an edge of
 * something.
 */
static void
read_models (struct state *s)
{
  unsigned i;

  for (i = 0; i < 2; ++i) {
    struct model *m = &models[i];

    m->count = (size_t) min_u64 (s->size, MODEL_SIZE);
    m->offset = next_random (s) % (s->size - m->count + 1);
    if (i == 0 && s->edge > 0)
      m->offset = min_u64 (s->edge - min_u64 (s->edge, m->count / 2),
                           s->size - m->count);
    m->offset -= m->offset % SECTOR_SIZE;
    model_read (m, s->image);
  }
}

static void
check_models (struct state *s, const char *when)
{
  faults_stop ();
  model_check (&models[0], s->image, when);
  model_check (&models[1], s->image, when);
  faults_go_on ();
}

static void
choose_range (struct state *s, bool zero, uint64_t *offset, uint64_t *count)
{
  const struct model *m = &models[next_random (s) % 4 == 0];

  *offset = m->offset + next_random (s) % m->count;
  *count = min_u64 (m->offset + m->count - *offset,
                    1 + next_random (s) % sizeof buffer);
  if (next_random (s) % 2 == 0) {
    /* Whole sectors, which most clients use. */
    *offset -= *offset % SECTOR_SIZE;
    *count = div_up (*count, SECTOR_SIZE) * SECTOR_SIZE;
  }
  if (zero && next_random (s) % 4 == 0 && s->zeroed < MAX_ZERO) {
    *count = min_u64 (MAX_ZERO - s->zeroed, s->size - *offset);
    s->zeroed += *count;
  }
  *count = min_u64 (*count, s->size - *offset);
  if (!zero)
    *count = min_u64 (*count, sizeof buffer);
}

static void
change (struct state *s)
{
  const unsigned what = next_random (s) % 8;
  const unsigned fua = next_random (s) % 8 == 0 ? VMDK_FUA : 0;
  enum model_change kind = MODEL_WRITE;
  struct vmdk_error error;
  uint64_t offset, count;
  unsigned i;
  int r;

  choose_range (s, what >= 4, &offset, &count);
  if (what < 4) {
    memset (buffer, (int) (next_random (s) % 256), (size_t) count);
    r = vmdk_pwrite (s->image, buffer, (size_t) count, offset, fua, &error);
  }
  else if (what < 7) {
    kind = MODEL_ZERO;
    r = vmdk_zero (s->image, count, offset,
                   fua | (what == 5 ? VMDK_MAY_TRIM : 0) |
                   (what == 6 ? VMDK_FAST : 0), &error);
    if (r == -1 && what == 6 && error.kind == VMDK_ERROR_UNSUPPORTED) {
      check_message (&error);
      check_models (s, "a change that was not made has changed something");
      return;
    }
  }
  else {
    kind = MODEL_TRIM;
    r = vmdk_trim (s->image, count, offset, fua, &error);
  }
  if (r == -1)
    check_message (&error);
  for (i = 0; i < 2; ++i)
    model_change (&models[i], s->image, kind, r == 0, buffer, offset, count);
}

/* Returns whether all is durable. */
static bool
change_all (struct state *s)
{
  struct vmdk_error error;
  unsigned i;

  for (i = 0; i < NR_CHANGES; ++i) {
    change (s);
    if (i == NR_CHANGES / 2 && vmdk_flush (s->image, &error) == -1)
      check_message (&error);
  }
  check_models (s, "a change has changed something else");
  s->mapped_to = s->edge = 0;
  map_and_read (s);
  if (vmdk_end_writing (s->image, &error) == -1) {
    check_message (&error);
    return false;
  }
  check_models (s, "the end of writing has changed something");
  return true;
}

static bool
open_image (struct state *s)
{
  struct vmdk_description d;
  struct vmdk_error error;

  s->image = image_open (s->path, &s->options, &faults_hook, &error);
  if (!s->image) {
    check_message (&error);
    return false;
  }
  s->size = vmdk_size (s->image);
  if (s->size == 0 || s->size > INT64_MAX || s->size % SECTOR_SIZE != 0)
    wrong ("an impossible size", NULL);
  vmdk_describe (s->image, &d);
  if (d.sector_size != 0 &&
      (d.sector_size < 512 || d.sector_size > 65536 ||
       (d.sector_size & (d.sector_size - 1)) != 0))
    wrong ("an impossible size of sectors", NULL);
  if (strlen (d.create_type) > INT32_MAX || d.nr_links == 0)
    wrong ("an impossible description", NULL);
  return true;
}

/* Write to the image that is open, and close it; twice, since what was written
 * must be as good as what it was written to.
 */
static void
write_image (struct state *s)
{
  struct vmdk_error error;
  bool durable;
  unsigned i;

  for (i = 0; i < 2; ++i) {
    const uint64_t sum = folder_sum ();

    if (s->with_faults)
      faults_begin (1 + (unsigned) (next_random (s) % MAX_CALLS),
                    next_random (s) % 4 == 0);
    if (vmdk_begin_writing (s->image, &error) == -1) {
      check_message (&error);
      if (i > 0 && !faults_met ())
        wrong ("what was written cannot be", error.message);
      vmdk_close (s->image);
      if (folder_sum () != sum)
        wrong ("an image that is read-only was written", error.message);
      return;
    }
    if (i == 0)
      read_models (s);
    durable = change_all (s);
    vmdk_close (s->image);
    faults_stop ();
    if (!durable) {
      model_forget_changed (&models[0]);
      model_forget_changed (&models[1]);
    }
    if (!open_image (s))
      wrong ("what was written does not open", NULL);
    check_models (s, "what was written is not there");
  }
  vmdk_close (s->image);
}

/* Make a child, which is the same as its parent. */
static void
make_child (struct state *s)
{
  static const char *const types[] = {
    "monolithic-sparse", "split-sparse", "vmfs-sparse"
  };
  const struct vmdk_create_options create = {
    .type = types[next_random (s) % 3],
    .parent = s->path,
  };
  const uint64_t sum = folder_sum (), size = s->size;
  char path[FOLDER_MAX_PATH];
  struct vmdk_error error;

  folder_path (path, CHILD_NAME);
  s->options.writable = true;
  s->image = vmdk_create (path, &create, &s->options, &error);
  if (!s->image) {
    check_message (&error);
    if (folder_sum () != sum)
      wrong ("a child that was not made is there", error.message);
    return;
  }
  s->path = path;
  s->size = vmdk_size (s->image);
  if (s->size != size)
    wrong ("a child of another size", NULL);
  check_models (s, "a child is not the same as its parent");
  write_image (s);
}

static void
try (const char *path, unsigned options, uint64_t seed)
{
  struct state s = {
    .path = path,
    .with_faults = options & FAULTS,
    .random = seed,
    .options = {
      .cache_size = VMDK_CACHE_MIN,
      .salvage = options & SALVAGE,
      /* Or a child would be without the parent that it is compared to. */
      .single_link = options & SINGLE_LINK && !(options & CHILD),
      .ignore_cid = options & IGNORE_CID,
      .writable = options & WRITE,
      .log = check_log,
    }
  };

  faults_begin (0, false);
  if (s.with_faults && seed % 2 == 0)
    faults_begin (1 + (unsigned) (next_random (&s) % MAX_CALLS), false);
  if (!open_image (&s))
    return;
  map_and_read (&s);
  if (options & WRITE)
    write_image (&s);
  else {
    if (options & CHILD)
      read_models (&s);
    vmdk_close (s.image);
    if (options & CHILD)
      make_child (&s);
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  char path[FOLDER_MAX_PATH];
  struct blob_files files;

  if (size < 2)
    return 0;
  blob_write (data + 1, size - 1, folder_open (), &files);
  if (files.nr > 0) {
    folder_path (path, files.names[0]);
    try (path, data[0], files.seed);
  }
  folder_empty (&files, CHILD_NAME);
  return 0;
}
