/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Disks that are opened by name. */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "image.h"
#include "survey.h"
#include "vmx.h"

/* A file system notes when a folder was changed, but more than one change may
 * have the same time.  After so many seconds there will be none any more.
 */
#define SETTLED_SECONDS 3

struct vmdk_disks {
  char *name;                   /* of the folder, for messages; NULL if the
                                   disks are those of a virtual machine */
  int dir;                      /* an O_PATH descriptor */
  struct path_policy policy;
  struct logger logger;
  bool single_link, ignore_cid;

  /* Held while the folder is looked at, which may take long. */
  pthread_mutex_t survey_lock;

  /* The disks, by the configuration of the machine; or what there was when the
   * folder was last looked at, which counts as long as the folder has not been
   * changed.  To be read with either lock, and changed with both.
   */
  pthread_mutex_t lock;
  struct name_list list;
  bool is_settled;
  bool is_complete;             /* nothing there could not be read */
  struct timespec modified, changed;
  struct timespec looked;       /* when that began */
};

/* Take survey_lock.  Who has waited for others that look at the folder does not
 * do it too, and as long, if nobody is interested any more.
 */
static int
lock_survey (struct vmdk_disks *disks, struct vmdk_error *error)
{
  if (pthread_mutex_trylock (&disks->survey_lock) == 0)
    return 0;
  pthread_mutex_lock (&disks->survey_lock);
  if (!disks->name || !logger_interrupted (&disks->logger))
    return 0;
  pthread_mutex_unlock (&disks->survey_lock);
  return error_set (error, VMDK_ERROR_INTERRUPTED, EINTR,
                    "%s: waiting for others to look for disks: was "
                    "interrupted", disks->name);
}

/* Look at the folder again, if it is one.  survey_lock is held. */
static int
update (struct vmdk_disks *disks, bool for_writing, struct vmdk_error *error)
{
  const struct survey_options options = {
    .policy = &disks->policy,
    .with_parents = disks->single_link,
    .ignore_cid = disks->ignore_cid,
    .for_writing = for_writing && !disks->single_link,
    .logger = &disks->logger,
  };
  struct name_list list;
  struct timespec now;
  struct stat statbuf;
  bool complete;

  if (!disks->name)
    return 0;
  clock_gettime (CLOCK_REALTIME, &now);
  if (fstat (disks->dir, &statbuf) == -1)
    return error_sys (error, errno, "fstat: %s", disks->name);
  if (survey_folder (disks->dir, disks->name, &options, &list, &complete,
                     error) == -1)
    return -1;
  pthread_mutex_lock (&disks->lock);
  name_list_free (&disks->list);
  disks->list = list;
  disks->modified = statbuf.st_mtim;
  disks->changed = statbuf.st_ctim;
  disks->looked = now;
  disks->is_complete = complete;
  disks->is_settled =
    statbuf.st_mtim.tv_sec < now.tv_sec - SETTLED_SECONDS &&
    statbuf.st_ctim.tv_sec < now.tv_sec - SETTLED_SECONDS;
  pthread_mutex_unlock (&disks->lock);
  return 0;
}

static bool
same_time (const struct timespec *a, const struct timespec *b)
{
  return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Are there the same files in the folder as when it was looked at?  Locked. */
static bool
is_up_to_date (const struct vmdk_disks *disks)
{
  struct stat statbuf;

  return disks->is_settled && fstat (disks->dir, &statbuf) == 0 &&
    same_time (&statbuf.st_mtim, &disks->modified) &&
    same_time (&statbuf.st_ctim, &disks->changed);
}

/* Is it known without a look at the folder that no disk has this name?  Who
 * asks for what is not there must not keep others waiting.
 */
static bool
is_no_disk (struct vmdk_disks *disks, const char *name)
{
  struct stat statbuf;
  bool r;

  if (!disks->name)
    return false;
  if (!survey_has_file (disks->dir, name, &statbuf))
    return true;
  /* It was there, and not a disk, when the folder was looked at; and has not
   * become one by a change to it.
   */
  pthread_mutex_lock (&disks->lock);
  r = is_up_to_date (disks) && disks->is_complete &&
    !name_list_has (&disks->list, name) &&
    statbuf.st_ctim.tv_sec < disks->looked.tv_sec - SETTLED_SECONDS;
  pthread_mutex_unlock (&disks->lock);
  return r;
}

/* All but where the disks are. */
static struct vmdk_disks *
new_disks (const struct vmdk_options *options, struct vmdk_error *error)
{
  struct vmdk_disks *disks = calloc (1, sizeof *disks);

  if (!disks) {
    error_nomem (error);
    return NULL;
  }
  disks->dir = -1;
  disks->logger = logger_of (options);
  disks->single_link = options->single_link;
  disks->ignore_cid = options->ignore_cid;
  pthread_mutex_init (&disks->survey_lock, NULL);
  pthread_mutex_init (&disks->lock, NULL);
  if (path_policy_init (&disks->policy, options->allow_dirs,
                        options->nr_allow_dirs, error) == -1) {
    vmdk_disks_close (disks);
    return NULL;
  }
  disks->policy.unlocked = true;
  return disks;
}

static int
open_folder (struct vmdk_disks *disks, const char *path,
             struct vmdk_error *error)
{
  const char *slash = strrchr (path, '/');

  disks->name = strdup (slash && slash[1] ? slash + 1 : path);
  if (!disks->name)
    return error_nomem (error);
  disks->dir = open (path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (disks->dir == -1)
    return error_sys (error, errno, "open: %s", path);
  return update (disks, false, error);
}

struct vmdk_disks *
vmdk_disks_in_folder (const char *path, const struct vmdk_options *options,
                      struct vmdk_error *error)
{
  struct vmdk_disks *disks = new_disks (options, error);

  if (!disks || open_folder (disks, path, error) == 0)
    return disks;
  vmdk_disks_close (disks);
  return NULL;
}

static int
read_machine (struct vmdk_disks *disks, struct io *io,
              struct vmdk_error *error)
{
  char *text;
  int r;

  if (io->size > VMX_MAX_SIZE)
    return error_set (error, VMDK_ERROR_UNSUPPORTED, EFBIG,
                      "%s: a configuration of %" PRIu64 " bytes is too large "
                      "(at most %d)", io->name, io->size, VMX_MAX_SIZE);
  text = malloc ((size_t) io->size + 1);
  if (!text)
    return error_nomem (error);
  r = io_pread (io, text, (size_t) io->size, 0, error);
  if (r == 0)
    r = vmx_parse (text, (size_t) io->size, io->name, &disks->logger,
                   &disks->list, error);
  free (text);
  return r;
}

struct vmdk_disks *
vmdk_disks_of_machine (const char *path, const struct vmdk_options *options,
                       struct vmdk_error *error)
{
  struct vmdk_disks *disks = new_disks (options, error);
  struct io *io;
  int r = -1;

  if (!disks)
    return NULL;
  io = path_open_user (&disks->policy, path, &disks->dir, error);
  if (io)
    r = read_machine (disks, io, error);
  io_unref (io);
  if (r == 0)
    return disks;
  vmdk_disks_close (disks);
  return NULL;
}

int
vmdk_disks_list (struct vmdk_disks *disks, vmdk_disks_callback *callback,
                 void *opaque, struct vmdk_error *error)
{
  size_t i;
  int r;

  if (lock_survey (disks, error) == -1)
    return -1;
  r = update (disks, false, error);
  for (i = 0; i < disks->list.nr && r == 0; ++i)
    r = callback (opaque, disks->list.disks[i].name,
                  disks->list.disks[i].type);
  pthread_mutex_unlock (&disks->survey_lock);
  return r;
}

struct vmdk_image *
vmdk_disks_open (struct vmdk_disks *disks, const char *name,
                 const struct vmdk_options *options,
                 struct vmdk_error *error)
{
  const bool missing = is_no_disk (disks, name);
  bool found = false;
  int r = 0;

  /* What a file says may have changed without a change to the folder, and
   * what is written now may be the parent of what was not one before.
   */
  if (!missing && !options->writable) {
    pthread_mutex_lock (&disks->lock);
    found = is_up_to_date (disks) && name_list_has (&disks->list, name);
    pthread_mutex_unlock (&disks->lock);
  }
  if (!missing && !found) {
    if (lock_survey (disks, error) == -1)
      return NULL;
    r = update (disks, options->writable, error);
    found = r == 0 && name_list_has (&disks->list, name);
    pthread_mutex_unlock (&disks->survey_lock);
  }
  if (r == -1)
    return NULL;
  if (!found) {
    error_set (error, VMDK_ERROR_INVALID, ENOENT,
               "there is no disk that is called '%.300s'", name);
    return NULL;
  }
  /* The name that a machine has for it may be one of Windows. */
  return image_open_in (disks->dir, name, disks->name != NULL, options, error);
}

void
vmdk_disks_close (struct vmdk_disks *disks)
{
  if (!disks)
    return;
  name_list_free (&disks->list);
  pthread_mutex_destroy (&disks->lock);
  pthread_mutex_destroy (&disks->survey_lock);
  if (disks->dir != -1)
    close (disks->dir);
  path_policy_destroy (&disks->policy);
  free (disks->name);
  free (disks);
}
