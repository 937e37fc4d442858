/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#ifdef HAVE_MALLOPT
#include <malloc.h>
#endif
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "adapt.h"
#include "exports.h"
#include "params.h"
#include "vmdkcore.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

/* Memory for large grains is to go back to the system when they are not needed
 * any more.  By itself glibc learns from the first one that blocks so large
 * come and go, and keeps some for each thread.
 */
static void
plugin_load (void)
{
#ifdef HAVE_MALLOPT
  mallopt (M_MMAP_THRESHOLD, 1024 * 1024);
#endif
}

static void
plugin_unload (void)
{
  exports_free ();
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
  printf ("vmdk_features=create,dir,salvage,unbuffered,vmx\n");
  printf ("vmdk_libdeflate=%s\n", vmdk_libdeflate_version ());
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

/* Open what is to be served while relative paths and the user's terminal are
 * there, and with the privileges that the server starts with.  Where files have
 * a limit of size (ulimit -f), what is behind it when a disk is made is an
 * error, and does not end the program with files half made; but what nbdkit
 * runs (--run) is to find that signal as it was.
 */
static int
plugin_get_ready (void)
{
  void (*const action) (int) = signal (SIGXFSZ, SIG_IGN);
  int r;

  raise_file_limit ();
  r = exports_ready ();
  if (action != SIG_ERR)
    signal (SIGXFSZ, action);
  return r;
}

/* Clients, too, are told of writes behind such a limit. */
static int
plugin_after_fork (void)
{
  signal (SIGXFSZ, SIG_IGN);
  adapt_has_clients ();
  return 0;
}

/* A disk made for larger sectors than usual is advertised with them, so that
 * the client's does not get smaller ones, unless it ends within one.
 */
static uint32_t
smallest_block (struct vmdk_image *image)
{
  struct vmdk_description d;

  vmdk_describe (image, &d);
  return d.sector_size > 512 && vmdk_size (image) % d.sector_size == 0 ?
    d.sector_size : 1;
}

static void *
plugin_open (int readonly)
{
  struct connection *connection = exports_connect (readonly);

  if (connection)
    connection->block = smallest_block (connection->image);
  return connection;
}

static void
plugin_close (void *handle)
{
  exports_disconnect (handle);
}

static struct vmdk_image *
image_of (void *handle)
{
  const struct connection *connection = handle;

  return connection->image;
}

static const char *
plugin_export_description (void *handle)
{
  struct vmdk_description d;
  char grains[64] = "", links[64] = "";
  char why[sizeof ((struct vmdk_error *) 0)->message];

  vmdk_describe (image_of (handle), &d);
  if (d.grain_size != 0)
    snprintf (grains, sizeof grains, ", grains of %" PRIu64 " bytes",
              d.grain_size);
  if (d.nr_links > 1)
    snprintf (links, sizeof links, ", %zu links", d.nr_links);
  else if (d.has_unopened_parent)
    snprintf (links, sizeof links, ", without its parent");
  exports_can_write (handle, why, sizeof why);
  vmdk_make_utf8 (why);
  return nbdkit_printf_intern ("VMDK %s, %zu extent%s%s%s%s%s", d.create_type,
                               d.nr_extents, d.nr_extents == 1 ? "" : "s",
                               grains, links, *why ? "; " : "", why);
}

static int64_t
plugin_get_size (void *handle)
{
  return (int64_t) vmdk_size (image_of (handle));
}

/* Any request is served; whole grains in one are served best, unless
 * grains are so small or large that a client would do badly with them.
 */
static int
plugin_block_size (void *handle, uint32_t *minimum, uint32_t *preferred,
                   uint32_t *maximum)
{
  const struct connection *connection = handle;
  struct vmdk_description d;

  vmdk_describe (connection->image, &d);
  *minimum = connection->block;
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
  char why[sizeof ((struct vmdk_error *) 0)->message];

  return exports_can_write (handle, why, sizeof why);
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

  if (vmdk_pread (image_of (handle), buf, count, offset, &error) == -1)
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

  if (vmdk_pwrite (image_of (handle), buf, count, offset,
                   core_flags (flags), &error) == -1)
    return adapt_error (&error);
  return 0;
}

static int
plugin_zero (void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
  struct vmdk_error error;

  if (vmdk_zero (image_of (handle), count, offset, core_flags (flags),
                 &error) == 0)
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

  if (vmdk_trim (image_of (handle), count, offset, core_flags (flags),
                 &error) == -1)
    return adapt_error (&error);
  return 0;
}

static int
plugin_flush (void *handle, uint32_t flags)
{
  struct vmdk_error error;

  if (vmdk_flush (image_of (handle), &error) == -1)
    return adapt_error (&error);
  return 0;
}

static int
plugin_extents (void *handle, uint32_t count, uint64_t offset,
                uint32_t flags, struct nbdkit_extents *extents)
{
  const struct connection *connection = handle;

  return adapt_extents (connection->image, count, offset, connection->block,
                        flags & NBDKIT_FLAG_REQ_ONE, extents);
}

static int
plugin_cache (void *handle, uint32_t count, uint64_t offset,
              uint32_t flags)
{
  struct vmdk_error error;

  if (vmdk_prefetch (image_of (handle), count, offset, &error) == -1)
    return adapt_error (&error);
  return 0;
}

static struct nbdkit_plugin plugin = {
  .name               = "vmdk",
  .longname           = "nbdkit VMDK plugin",
  .version            = PACKAGE_VERSION,
  .description        = "serve VMware VMDK disk images",
  .load               = plugin_load,
  .unload             = plugin_unload,
  .dump_plugin        = plugin_dump_plugin,
  .config             = params_set,
  .config_complete    = params_complete,
  .config_help        = PARAMS_HELP,
  .magic_config_key   = "file",
  .get_ready          = plugin_get_ready,
  .after_fork         = plugin_after_fork,
  .list_exports       = exports_list,
  .default_export     = exports_default,
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
