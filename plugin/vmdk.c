/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "adapt.h"
#include "params.h"
#include "vmdkcore.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

/* The disk, shared by all connections. */
static struct vmdk_image *image;

/* Connections that may write, and what came of the attempt to let the first
 * of them: the image is written while there is one.
 */
static pthread_mutex_t writers_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned nr_writers;
static bool can_write;
static char why_read_only[sizeof ((struct vmdk_error *) 0)->message];

static void
plugin_unload (void)
{
  vmdk_close (image);
  params_free ();
}

static void
plugin_dump_plugin (void)
{
  unsigned i;

  printf ("vmdk_read=monolithicSparse,twoGbMaxExtentSparse,monolithicFlat,"
          "twoGbMaxExtentFlat,vmfs,streamOptimized,vmfsSparse,seSparse,"
          "vmfsRaw,vmfsRawDeviceMap,vmfsPassthroughRawDeviceMap,fullDevice,"
          "partitionedDevice,custom\n");
  printf ("vmdk_write=monolithicSparse,twoGbMaxExtentSparse,monolithicFlat,"
          "twoGbMaxExtentFlat,vmfs,vmfsSparse,vmfsRaw,vmfsRawDeviceMap,"
          "vmfsPassthroughRawDeviceMap,fullDevice,partitionedDevice,custom\n");
  printf ("vmdk_create=");
  for (i = 0; vmdk_create_type (i); ++i)
    printf ("%s%s", i == 0 ? "" : ",", vmdk_create_type (i));
  putchar ('\n');
}

/* A split disk may have a thousand files and more, and each is kept open:
 * use as many descriptors as the server may have.
 */
static void
raise_file_limit (void)
{
  struct rlimit limit;

  if (getrlimit (RLIMIT_NOFILE, &limit) == 0 &&
      limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit (RLIMIT_NOFILE, &limit) == -1)
      nbdkit_debug ("setrlimit: %m");
  }
}

/* Open the disk while relative paths and the user's terminal are there,
 * and with the privileges that the server starts with.  Whether there is a
 * -r is told with the first client only, when it would be too late to open
 * files for writing: the server may have changed its user by then, and not be
 * able to.  So they are opened for writing if that is permitted, but under
 * -r nothing is ever written to them.
 */
static int
plugin_get_ready (void)
{
  const struct vmdk_options options = {
    .allow_dirs = (const char *const *) params.allow_dirs,
    .nr_allow_dirs = params.nr_allow_dirs,
    .cache_size = params.cache_size,
    .single_link = params.single_link,
    .parent = params.parent,
    .ignore_cid = params.ignore_cid,
    .salvage = params.salvage,
    .unbuffered = params.unbuffered,
    .writable = true,
    .log = adapt_log,
  };
  const struct vmdk_create_options create = {
    .size = params.create_size,
    .type = params.create_type,
    .adapter_type = params.create_adapter_type,
    .hwversion = params.create_hwversion,
    .parent = params.create_parent,
    .compress_level = params.create_compress_level,
  };
  struct vmdk_error error;

  raise_file_limit ();
  image = params.create ?
    vmdk_create (params.file, &create, &options, &error) :
    vmdk_open (params.file, &options, &error);
  return image ? 0 : adapt_error (&error);
}

/* Whether there is a -r is not known before, so that it is here that an
 * image that others use is refused.  What cannot be written for another
 * reason is served read-only.
 */
static int
add_writer (void)
{
  struct vmdk_error error;
  int r = 0;

  pthread_mutex_lock (&writers_lock);
  if (nr_writers == 0) {
    can_write = vmdk_begin_writing (image, &error) == 0;
    if (!can_write && error.kind == VMDK_ERROR_BUSY)
      r = adapt_error (&error);
    else if (!can_write && strcmp (why_read_only, error.message) != 0) {
      snprintf (why_read_only, sizeof why_read_only, "%s", error.message);
      nbdkit_error ("warning: served read-only: %s", error.message);
    }
  }
  if (r == 0)
    nr_writers++;
  pthread_mutex_unlock (&writers_lock);
  return r;
}

static void
remove_writer (void)
{
  struct vmdk_error error;

  pthread_mutex_lock (&writers_lock);
  if (--nr_writers == 0 && can_write &&
      vmdk_end_writing (image, &error) == -1)
    nbdkit_error ("%s", error.message);
  pthread_mutex_unlock (&writers_lock);
}

/* A handle only tells whether the connection may write. */
static char reader, writer;

static void *
plugin_open (int readonly)
{
  if (readonly)
    return &reader;
  return add_writer () == 0 ? &writer : NULL;
}

static void
plugin_close (void *handle)
{
  if (handle == &writer)
    remove_writer ();
}

static bool
is_read_only (const void *handle)
{
  bool r;

  if (handle != &writer)
    return true;
  pthread_mutex_lock (&writers_lock);
  r = !can_write;
  pthread_mutex_unlock (&writers_lock);
  return r;
}

/* For the description of the export: why a client that may write cannot. */
static void
describe_read_only (const void *handle, char *text, size_t size)
{
  text[0] = '\0';
  if (handle != &writer)
    return;
  pthread_mutex_lock (&writers_lock);
  if (!can_write)
    snprintf (text, size, "; %s", why_read_only);
  pthread_mutex_unlock (&writers_lock);
}

static const char *
plugin_export_description (void *handle)
{
  struct vmdk_description d;
  char grains[64] = "", links[64] = "", read_only[sizeof why_read_only + 2];

  vmdk_describe (image, &d);
  if (d.grain_size != 0)
    snprintf (grains, sizeof grains, ", grains of %" PRIu64 " bytes",
              d.grain_size);
  if (d.nr_links > 1)
    snprintf (links, sizeof links, ", %zu links", d.nr_links);
  else if (d.has_unopened_parent)
    snprintf (links, sizeof links, ", without its parent");
  describe_read_only (handle, read_only, sizeof read_only);
  return nbdkit_printf_intern ("VMDK %s, %zu extent%s%s%s%s", d.create_type,
                               d.nr_extents, d.nr_extents == 1 ? "" : "s",
                               grains, links, read_only);
}

static int64_t
plugin_get_size (void *handle)
{
  return (int64_t) vmdk_size (image);
}

/* Any request is served; whole grains in one are served best, unless
 * grains are so small or large that a client would do badly with them.  A
 * disk made for larger sectors than usual is advertised with them, so that
 * the client's does not get smaller ones, unless it ends within one.
 */
static int
plugin_block_size (void *handle, uint32_t *minimum, uint32_t *preferred,
                   uint32_t *maximum)
{
  struct vmdk_description d;

  vmdk_describe (image, &d);
  *minimum = d.sector_size > 512 && vmdk_size (image) % d.sector_size == 0 ?
    d.sector_size : 1;
  *maximum = 0xffffffff;
  if (d.grain_size == 0)
    *preferred = 65536;
  else if (d.grain_size < 4096)
    *preferred = 4096;
  else if (d.grain_size > 1024 * 1024)
    *preferred = 1024 * 1024;
  else
    *preferred = (uint32_t) d.grain_size;
  if (*preferred < *minimum)
    *preferred = *minimum;
  return 0;
}

static int
plugin_can_write (void *handle)
{
  return !is_read_only (handle);
}

static int
plugin_can_fast_zero (void *handle)
{
  return 1;
}

static int
plugin_can_fua (void *handle)
{
  return NBDKIT_FUA_NATIVE;
}

/* All connections share the image: what one has written all read, and a
 * flush of any makes it durable.
 */
static int
plugin_can_multi_conn (void *handle)
{
  return 1;
}

static int
plugin_can_cache (void *handle)
{
  return NBDKIT_CACHE_NATIVE;
}

static int
plugin_pread (void *handle, void *buf, uint32_t count, uint64_t offset,
              uint32_t flags)
{
  struct vmdk_error error;

  if (vmdk_pread (image, buf, count, offset, &error) == -1)
    return adapt_error (&error);
  return 0;
}

static unsigned
core_flags (uint32_t flags)
{
  return (flags & NBDKIT_FLAG_FUA ? VMDK_FUA : 0) |
    (flags & NBDKIT_FLAG_MAY_TRIM ? VMDK_MAY_TRIM : 0) |
    (flags & NBDKIT_FLAG_FAST_ZERO ? VMDK_FAST : 0);
}

static int
plugin_pwrite (void *handle, const void *buf, uint32_t count,
               uint64_t offset, uint32_t flags)
{
  struct vmdk_error error;

  if (vmdk_pwrite (image, buf, count, offset, core_flags (flags),
                   &error) == -1)
    return adapt_error (&error);
  return 0;
}

static int
plugin_zero (void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
  struct vmdk_error error;

  if (vmdk_zero (image, count, offset, core_flags (flags), &error) == 0)
    return 0;
  if (flags & NBDKIT_FLAG_FAST_ZERO &&
      error.kind == VMDK_ERROR_UNSUPPORTED) {
    errno = ENOTSUP;            /* the answer that was asked for */
    return -1;
  }
  return adapt_error (&error);
}

static int
plugin_trim (void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
  struct vmdk_error error;

  if (vmdk_trim (image, count, offset, core_flags (flags), &error) == -1)
    return adapt_error (&error);
  return 0;
}

static int
plugin_flush (void *handle, uint32_t flags)
{
  struct vmdk_error error;

  if (vmdk_flush (image, &error) == -1)
    return adapt_error (&error);
  return 0;
}

static int
plugin_extents (void *handle, uint32_t count, uint64_t offset,
                uint32_t flags, struct nbdkit_extents *extents)
{
  return adapt_extents (image, count, offset,
                        flags & NBDKIT_FLAG_REQ_ONE, extents);
}

static int
plugin_cache (void *handle, uint32_t count, uint64_t offset,
              uint32_t flags)
{
  struct vmdk_error error;

  if (vmdk_prefetch (image, count, offset, &error) == -1)
    return adapt_error (&error);
  return 0;
}

static struct nbdkit_plugin plugin = {
  .name               = "vmdk",
  .longname           = "nbdkit VMDK plugin",
  .version            = PACKAGE_VERSION,
  .description        = "serve VMware VMDK disk images",
  .unload             = plugin_unload,
  .dump_plugin        = plugin_dump_plugin,
  .config             = params_set,
  .config_complete    = params_complete,
  .config_help        = PARAMS_HELP,
  .magic_config_key   = "file",
  .get_ready          = plugin_get_ready,
  .open               = plugin_open,
  .close              = plugin_close,
  .export_description = plugin_export_description,
  .get_size           = plugin_get_size,
  .block_size         = plugin_block_size,
  .can_write          = plugin_can_write,
  .can_fast_zero      = plugin_can_fast_zero,
  .can_fua            = plugin_can_fua,
  .can_multi_conn     = plugin_can_multi_conn,
  .can_cache          = plugin_can_cache,
  .pread              = plugin_pread,
  .pwrite             = plugin_pwrite,
  .zero               = plugin_zero,
  .trim               = plugin_trim,
  .flush              = plugin_flush,
  .extents            = plugin_extents,
  .cache              = plugin_cache,
  .errno_is_preserved = 1,
};

NBDKIT_REGISTER_PLUGIN (plugin)
