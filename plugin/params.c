/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "params.h"
#include "vmdkcore.h"

struct params params;

/* Parameters of nbdkit-vddk-plugin that reach a server, which users of
 * that plugin may try here.
 */
static const char *const remote_keys[] = {
  "compression", "config", "cookie", "libdir", "nfchostport", "password",
  "port", "server", "snapshot", "thumbprint", "transports", "user",
  "vimapiver", "vm",
};

static int
set_path (const char *key, const char *value, char **path)
{
  if (*path) {
    nbdkit_error ("%s= was given twice; one server serves one disk, or with "
                  "dir= those in one folder", key);
    return -1;
  }
  *path = nbdkit_absolute_path (value);
  return *path ? 0 : -1;
}

static int
set_bool (const char *value, bool *flag)
{
  const int r = nbdkit_parse_bool (value);

  if (r == -1)
    return -1;
  *flag = r;
  return 0;
}

static int
set_string (const char *key, const char *value, char **string)
{
  if (*string) {
    nbdkit_error ("%s= was given twice", key);
    return -1;
  }
  *string = strdup (value);
  if (!*string) {
    nbdkit_error ("strdup: %m");
    return -1;
  }
  return 0;
}

static int
set_create_size (const char *value)
{
  const int64_t size = nbdkit_parse_size (value);

  if (size == -1)
    return -1;
  if (size == 0) {
    nbdkit_error ("create-size=%s: a disk has at least one sector of 512 "
                  "bytes", value);
    return -1;
  }
  params.create_size = (uint64_t) size;
  return 0;
}

static int
set_compress_level (const char *value)
{
  if (nbdkit_parse_unsigned ("create-compress-level", value,
                             &params.create_compress_level) == -1)
    return -1;
  if (params.create_compress_level < 1 ||
      params.create_compress_level > 12) {
    nbdkit_error ("create-compress-level=%s: must be 1 to 12", value);
    return -1;
  }
  return 0;
}

static int
add_allow_dir (const char *value)
{
  char **dirs = reallocarray (params.allow_dirs, params.nr_allow_dirs + 1,
                              sizeof *dirs);

  if (!dirs) {
    nbdkit_error ("reallocarray: %m");
    return -1;
  }
  params.allow_dirs = dirs;
  dirs[params.nr_allow_dirs] = nbdkit_absolute_path (value);
  if (!dirs[params.nr_allow_dirs])
    return -1;
  params.nr_allow_dirs++;
  return 0;
}

static int
set_cache_size (const char *value)
{
  const int64_t size = nbdkit_parse_size (value);

  if (size == -1)
    return -1;
  if ((uint64_t) size < VMDK_CACHE_MIN) {
    nbdkit_error ("cache-size=%s is too small: at least %" PRIu64
                  " bytes are needed", value, VMDK_CACHE_MIN);
    return -1;
  }
  params.cache_size = (uint64_t) size;
  return 0;
}

int
params_set (const char *key, const char *value)
{
  size_t i;

  if (strcmp (key, "file") == 0)
    return set_path (key, value, &params.file);
  if (strcmp (key, "allow-dir") == 0)
    return add_allow_dir (value);
  if (strcmp (key, "cache-size") == 0)
    return set_cache_size (value);
  if (strcmp (key, "create") == 0)
    return set_bool (value, &params.create);
  if (strcmp (key, "create-adapter-type") == 0)
    return set_string (key, value, &params.create_adapter_type);
  if (strcmp (key, "create-compress-level") == 0)
    return set_compress_level (value);
  if (strcmp (key, "create-hwversion") == 0)
    return set_string (key, value, &params.create_hwversion);
  if (strcmp (key, "create-parent") == 0)
    return set_path (key, value, &params.create_parent);
  if (strcmp (key, "create-size") == 0)
    return set_create_size (value);
  if (strcmp (key, "create-type") == 0)
    return set_string (key, value, &params.create_type);
  if (strcmp (key, "dir") == 0)
    return set_path (key, value, &params.dir);
  if (strcmp (key, "export") == 0)
    return set_string (key, value, &params.export);
  if (strcmp (key, "ignore-cid") == 0)
    return set_bool (value, &params.ignore_cid);
  if (strcmp (key, "parent") == 0)
    return set_path (key, value, &params.parent);
  if (strcmp (key, "salvage") == 0)
    return set_bool (value, &params.salvage);
  if (strcmp (key, "single-link") == 0)
    return set_bool (value, &params.single_link);
  if (strcmp (key, "unbuffered") == 0)
    return set_bool (value, &params.unbuffered);

  for (i = 0; i < sizeof remote_keys / sizeof remote_keys[0]; ++i)
    if (strcmp (key, remote_keys[i]) == 0) {
      nbdkit_error ("%s= is for disks on a VMware server, and this plugin "
                    "reads local files only: use nbdkit-vddk-plugin", key);
      return -1;
    }
  nbdkit_error ("unknown parameter '%s'", key);
  return -1;
}

/* Which of the parameters that need create=true was given, if one was? */
static const char *
create_key (void)
{
  return params.create_adapter_type ? "create-adapter-type" :
    params.create_compress_level ? "create-compress-level" :
    params.create_hwversion ? "create-hwversion" :
    params.create_parent ? "create-parent" :
    params.create_size ? "create-size" :
    params.create_type ? "create-type" : NULL;
}

static int
check_create (void)
{
  if (!params.create) {
    if (!create_key ())
      return 0;
    nbdkit_error ("%s= needs create=true", create_key ());
    return -1;
  }
  if (params.parent || params.single_link || params.salvage) {
    nbdkit_error ("create=true and %s contradict each other",
                  params.parent ? "parent= (use create-parent=)" :
                  params.single_link ? "single-link=true" : "salvage=true");
    return -1;
  }
  if (params.create_size == 0 && !params.create_parent) {
    nbdkit_error ("create=true needs create-size=, or create-parent= for a "
                  "disk of the same size");
    return -1;
  }
  return 0;
}

bool
params_has_many (void)
{
  const size_t len = params.file ? strlen (params.file) : 0;

  return params.dir ||
    (len > 4 && strcasecmp (params.file + len - 4, ".vmx") == 0);
}

/* A plausible mistake, which only who knows dir= can explain. */
static int
check_file (void)
{
  struct stat statbuf;

  if (!params.file || params.create || stat (params.file, &statbuf) == -1 ||
      !S_ISDIR (statbuf.st_mode))
    return 0;
  nbdkit_error ("file=%s is a folder; dir= serves the disks in it",
                params.file);
  return -1;
}

/* If several disks are served, what is about one cannot be meant. */
static int
check_many (void)
{
  if (params.dir && params.file) {
    nbdkit_error ("dir= and file= contradict each other");
    return -1;
  }
  if (!params_has_many ()) {
    if (!params.export)
      return 0;
    nbdkit_error ("export= needs dir= or file=X.vmx: file= names the only "
                  "disk");
    return -1;
  }
  if (params.create || params.parent) {
    nbdkit_error ("%s and %s contradict each other",
                  params.dir ? "dir=" : "file=X.vmx",
                  params.create ? "create=true" : "parent=");
    return -1;
  }
  return 0;
}

int
params_complete (void)
{
  if (!params.file && !params.dir) {
    nbdkit_error ("you must give the disk to serve: nbdkit vmdk "
                  "[file=]DISK.vmdk, or a folder of disks: dir=DIR");
    return -1;
  }
  if (check_file () == -1 || check_many () == -1)
    return -1;
  if (params.parent && params.single_link) {
    nbdkit_error ("parent= and single-link=true contradict each other");
    return -1;
  }
  return check_create ();
}

void
params_free (void)
{
  size_t i;

  for (i = 0; i < params.nr_allow_dirs; ++i)
    free (params.allow_dirs[i]);
  free (params.allow_dirs);
  free (params.create_adapter_type);
  free (params.create_hwversion);
  free (params.create_parent);
  free (params.create_type);
  free (params.dir);
  free (params.export);
  free (params.file);
  free (params.parent);
}
