/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* One stream that is made, and opened as an extent. */

#ifndef VMDK_TESTS_STREAM_EXTENT_H
#define VMDK_TESTS_STREAM_EXTENT_H

#include "one-extent.h"
#include "streams.h"

static struct stream_file f;
static struct one o;
static bool salvage;
static bool (*interrupted) (void *opaque);

static inline int
setup (void **state)
{
  salvage = false;
  return 0;
}

static inline int
teardown (void **state)
{
  one_free (&o);
  memset (&o, 0, sizeof o);
  return 0;
}

/* 40 grains with data in a few of them; the disk ends in the last. */
static inline void
make_grains (void)
{
  stream_begin (&f, 159);
  stream_add (&f, 0);
  stream_add (&f, 1);
  stream_add (&f, 5);
  stream_add (&f, 33);
  stream_add (&f, 39);
}

static inline void
make_stream (void)
{
  make_grains ();
  stream_end (&f);
}

/* Open what there is of the file, and 'more' bytes of garbage. */
static inline struct extent *
try_open (uint64_t sectors, size_t more, struct vmdk_error *error)
{
  struct hosted_header h;
  const size_t size = f.sectors * SECTOR_SIZE + more;

  teardown (NULL);
  one_init (&o, div_up (size, SECTOR_SIZE));
  memcpy (o.data, f.data, f.sectors * SECTOR_SIZE);
  memset (o.data + f.sectors * SECTOR_SIZE, 0xee, more);
  o.size = size;
  one_prepare (&o);
  o.env.salvage = salvage;
  o.logger.interrupted = interrupted;
  h = stream_header (&f);
  if (hosted_validate (&h, size, "t.vmdk", &o.logger, error) == -1)
    return NULL;
  o.extent = extent_stream_new (o.io, &h, sectors * SECTOR_SIZE, &o.env,
                                error);
  return o.extent;
}

/* The same after a signal has come. */
static inline struct extent *
try_open_interrupted (struct vmdk_error *error)
{
  interrupted = is_interrupted;
  (void) try_open (159, 0, error);
  interrupted = NULL;
  return o.extent;
}

static inline void
open_stream (void)
{
  struct vmdk_error error;

  if (!try_open (159, 0, &error))
    fail_msg ("%s", error.message);
}

static inline void
check_all (const char *file, int line)
{
  one_check_read (&o, 0, f.disk, 159 * 512, file, line);
}

#define assert_all_right() check_all (__FILE__, __LINE__)

static inline void
check_refused (enum vmdk_error_kind kind, const char *piece,
               const char *file, int line)
{
  struct vmdk_error error;

  if (try_open (159, 0, &error)) {
    print_error ("opened; expected: %s\n", piece);
    _fail (file, line);
  }
  check_error (&error, kind, EINVAL, "t.vmdk: ", file, line);
  check_error (&error, kind, EINVAL, piece, file, line);
  _assert_true (o.io->refs == 1, "reference", file, line);
}

#define assert_refused(piece)                                           \
  check_refused (VMDK_ERROR_CORRUPT, piece, __FILE__, __LINE__)

/* Reading a grain fails for this reason, in whole and in part. */
static inline void
check_damaged (uint64_t grain, const char *piece, const char *file,
               int line)
{
  struct vmdk_error error;
  uint8_t buf[GRAIN_BYTES];
  char place[40];

  if (one_read (&o, grain * GRAIN_BYTES, buf, sizeof buf, &error) != -1 ||
      one_read (&o, grain * GRAIN_BYTES + 7, buf, 5, &error) != -1) {
    print_error ("read; expected: %s\n", piece);
    _fail (file, line);
  }
  snprintf (place, sizeof place, "damaged: grain %" PRIu64 ": ", grain);
  check_error (&error, VMDK_ERROR_CORRUPT, EIO, place, file, line);
  check_error (&error, VMDK_ERROR_CORRUPT, EIO, piece, file, line);
}

#define assert_damaged(grain, piece)                    \
  check_damaged (grain, piece, __FILE__, __LINE__)

#define TEST(t) cmocka_unit_test_setup_teardown (t, setup, teardown)

#endif /* VMDK_TESTS_STREAM_EXTENT_H */
