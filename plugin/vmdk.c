/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "adapt.h"
#include "params.h"
#include "vmdkcore.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

/* The disk, shared by all connections. */
static struct vmdk_image *image;

static void
plugin_unload (void)
{
  vmdk_close (image);
  params_free ();
}

static void
plugin_dump_plugin (void)
{
  printf ("vmdk_read=monolithicSparse,twoGbMaxExtentSparse,monolithicFlat,"
          "twoGbMaxExtentFlat,vmfs,streamOptimized,vmfsSparse,seSparse,"
          "vmfsRaw,vmfsRawDeviceMap,vmfsPassthroughRawDeviceMap,fullDevice,"
          "partitionedDevice,custom\n");
  printf ("vmdk_write=\n");
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
 * and with the privileges that the server starts with.
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
    .log = adapt_log,
  };
  struct vmdk_error error;

  raise_file_limit ();
  image = vmdk_open (params.file, &options, &error);
  return image ? 0 : adapt_error (&error);
}

static void *
plugin_open (int readonly)
{
  return NBDKIT_HANDLE_NOT_NEEDED;
}

static const char *
plugin_export_description (void *handle)
{
  struct vmdk_description d;
  char grains[64] = "", links[64] = "";

  vmdk_describe (image, &d);
  if (d.grain_size != 0)
    snprintf (grains, sizeof grains, ", grains of %" PRIu64 " bytes",
              d.grain_size);
  if (d.nr_links > 1)
    snprintf (links, sizeof links, ", %zu links", d.nr_links);
  else if (d.has_unopened_parent)
    snprintf (links, sizeof links, ", without its parent");
  return nbdkit_printf_intern ("VMDK %s, %zu extent%s%s%s", d.create_type,
                               d.nr_extents, d.nr_extents == 1 ? "" : "s",
                               grains, links);
}

static int64_t
plugin_get_size (void *handle)
{
  return (int64_t) vmdk_size (image);
}

/* Any request is served; whole grains in one are served best, unless
 * grains are so small or large that a client would do badly with them.
 */
static int
plugin_block_size (void *handle, uint32_t *minimum, uint32_t *preferred,
                   uint32_t *maximum)
{
  struct vmdk_description d;

  vmdk_describe (image, &d);
  *minimum = 1;
  *maximum = 0xffffffff;
  if (d.grain_size == 0)
    *preferred = 65536;
  else if (d.grain_size < 4096)
    *preferred = 4096;
  else if (d.grain_size > 1024 * 1024)
    *preferred = 1024 * 1024;
  else
    *preferred = (uint32_t) d.grain_size;
  return 0;
}

/* All connections share the image, and nothing changes it. */
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
  .export_description = plugin_export_description,
  .get_size           = plugin_get_size,
  .block_size         = plugin_block_size,
  .can_multi_conn     = plugin_can_multi_conn,
  .can_cache          = plugin_can_cache,
  .pread              = plugin_pread,
  .extents            = plugin_extents,
  .cache              = plugin_cache,
  .errno_is_preserved = 1,
};

NBDKIT_REGISTER_PLUGIN (plugin)
