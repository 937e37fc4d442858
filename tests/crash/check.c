/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "state.h"
#include "tables.h"
#include "util.h"
#include "work.h"

extern char **environ;

#define NESTED_CUTS 4

/* Returns the problem, with where it was found in front. */
static char *
found (const char *where, char *problem)
{
  char *text;

  if (!problem)
    return NULL;
  text = must_print ("%s: %s", where, problem);
  free (problem);
  return text;
}

static char *
failure (const char *where, const struct vmdk_error *error)
{
  return must_print ("%s: %s", where, error->message);
}

static char *
top_path (const struct check *c)
{
  return must_print ("%s/top.vmdk", c->folder);
}

static char *
check_tables (const struct check *c, bool closed)
{
  struct disk disk;
  char *problem = NULL;
  size_t i;

  disk_load (&disk, c->folder, "top");
  for (i = 0; i < disk.nr && !problem; ++i)
    problem = tables_check (&disk.files[i], closed);
  disk_free (&disk);
  return problem;
}

/* A COWD has one copy of its tables, which must be good at every moment, for
 * programs too that do not know of the mark.
 */
static char *
check_cowd (const struct disk *state)
{
  char *problem = NULL, magic[4];
  size_t i;

  for (i = 0; i < state->nr && !problem; ++i) {
    file_read (&state->files[i], magic, sizeof magic, 0);
    if (memcmp (magic, "COWD", sizeof magic) == 0)
      problem = tables_check (&state->files[i], false);
  }
  return problem;
}

static char *
same (const uint8_t *a, const uint8_t *b, uint64_t size)
{
  uint64_t i;

  if (memcmp (a, b, size) == 0)
    return NULL;
  for (i = 0; a[i] == b[i]; ++i)
    ;
  return must_print ("byte %" PRIu64 " (sector %" PRIu64 ") has changed", i,
                     i / SECTOR);
}

/* Run qemu-img, with its output in the file 'log'. */
static char *
run_qemu (const char *const *argv, const char *log)
{
  posix_spawn_file_actions_t actions;
  char text[600] = "";
  int status, r;
  pid_t pid;
  FILE *fp;

  posix_spawn_file_actions_init (&actions);
  posix_spawn_file_actions_addopen (&actions, 1, log,
                                    O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2 (&actions, 1, 2);
  r = posix_spawnp (&pid, argv[0], &actions, NULL, (char **) argv, environ);
  posix_spawn_file_actions_destroy (&actions);
  if (r != 0 || waitpid (pid, &status, 0) == -1)
    die ("%s: %s", argv[0], strerror (r != 0 ? r : errno));
  if (status == 0)
    return NULL;
  fp = fopen (log, "r");
  if (fp) {
    text[fread (text, 1, sizeof text - 1, fp)] = '\0';
    fclose (fp);
  }
  return must_print ("%s %s: status %d: %s", argv[0], argv[1], status, text);
}

static char *
ask_qemu (const struct check *c, const uint8_t *content, uint64_t size)
{
  char *path = top_path (c), *raw = must_print ("%s/model.raw", c->folder);
  char *log = must_print ("%s/qemu.log", c->folder);
  const char *const check[] = {
    "qemu-img", "check", "-f", "vmdk", path, NULL
  };
  const char *const compare[] = {
    "qemu-img", "compare", "-f", "vmdk", "-F", "raw", path, raw, NULL
  };
  FILE *fp = fopen (raw, "w");
  char *problem;

  if (!fp || fwrite (content, size, 1, fp) != 1 || fclose (fp) != 0)
    die ("%s: %s", raw, strerror (errno));
  problem = run_qemu (compare, log);
  if (!problem && c->kind->type != MAKE_FLAT)
    problem = run_qemu (check, log);
  unlink (raw);
  unlink (log);
  free (path);
  free (raw);
  free (log);
  return problem;
}

/* Change the image, which is open, and see that this works. */
static char *
change (const struct check *c, struct vmdk_image *image,
        const uint8_t *content)
{
  struct record rec;            /* of moments only */
  struct work w = {
    .rec = &rec, .image = image, .seed = mix (c->seed, 4),
    .size = vmdk_size (image), .grain_size = c->grain_size,
    .nr_threads = 1, .nr_ops = 12,
  };
  struct vmdk_error error;
  char *problem, *path = top_path (c);
  uint8_t *buf = NULL;

  record_init (&rec, 0);
  pthread_mutex_init (&w.lock, NULL);
  w.m = model_new (&rec, c->number, content, w.size);
  work_phase (&w, 0);
  problem = found ("changing it", w.problem);
  if (!problem && vmdk_end_writing (image, &error) == -1)
    problem = failure ("end", &error);
  vmdk_close (image);
  if (!problem)
    problem = found ("tables at the end", check_tables (c, true));
  if (!problem) {
    image = vmdk_open (path, &(struct vmdk_options) { 0 }, &error);
    buf = image ? work_read (image, &error) : NULL;
    problem = buf ? found ("opened again",
                           model_compare (w.m, buf, w.size, 0)) :
      failure ("open again", &error);
    vmdk_close (image);
  }
  if (!problem && c->qemu)
    problem = ask_qemu (c, model_content (w.m), w.size);
  free (buf);
  free (path);
  model_free (w.m);
  pthread_mutex_destroy (&w.lock);
  record_free (&rec);
  return problem;
}

/* Recover the state again, and change it, with power cuts on the way. */
static char *
cut_again (const struct check *c, const struct disk *state,
           const uint8_t *content, uint64_t size)
{
  struct check again = *c;
  struct record rec;
  struct work w = {
    .rec = &rec, .hooked = true, .seed = mix (c->seed, 5), .size = size,
    .grain_size = c->grain_size, .nr_threads = 1, .nr_phases = 1,
    .nr_ops = 8,
  };
  char *problem, *path = top_path (c);
  struct replay *replay;
  uint64_t random = mix (c->seed, 6), cut = 0;
  unsigned i;

  disk_save (state, c->folder);
  record_init (&rec, mix (c->seed, 7));
  rec.alone = true;
  w.path = path;
  w.m = model_new (&rec, c->number + 1000, content, size);
  work_run (&w);
  problem = found ("the second time", w.problem);
  again.nested = false;
  again.number = c->number + 2000;
  again.m = w.m;
  again.content = NULL;
  replay = replay_new (&rec, state);
  for (i = 0; i < NESTED_CUTS && !problem; ++i) {
    const uint64_t left = rec.seq - cut;
    struct disk after;

    cut += random_below (&random, left / (NESTED_CUTS - i) * 2 + 1);
    if (cut > rec.seq)
      cut = rec.seq;
    again.cut = cut;
    again.seed = mix (c->seed, 8 + i);
    replay_state (replay, cut,
                  (enum strategy) random_below (&random, NR_STRATEGIES),
                  mix (again.seed, 1), &after);
    problem = found ("second power cut", check_state (&again, &after));
    if (problem)
      record_print (&rec, 0, cut);
    disk_free (&after);
  }
  replay_free (replay);
  model_free (w.m);
  record_free (&rec);
  free (path);
  return problem;
}

/* What has changed must have another content ID than before. */
static char *
check_cid (const struct check *c, const struct disk *state,
           const uint8_t *buf, uint64_t size)
{
  return c->content && memcmp (buf, c->content, size) != 0 &&
    find_cid (state) == c->cid ?
    must_print ("the content has changed, but not the content ID") : NULL;
}

/* Let 'image', which has been begun, put right what it found, by the first
 * change: to a byte that stays what it is.  Closes it.
 */
static char *
check_recovered (const struct check *c, struct vmdk_image *image,
                 const uint8_t *content, uint64_t size)
{
  struct vmdk_error error;
  uint8_t *buf = NULL;
  char *problem = NULL;

  if (vmdk_pwrite (image, content, 1, 0, 0, &error) == -1)
    problem = failure ("first change", &error);
  if (!problem) {
    buf = work_read (image, &error);
    problem = buf ? found ("recovery", same (content, buf, size)) :
      failure ("read after recovery", &error);
  }
  free (buf);
  if (!problem)
    problem = found ("tables after recovery", check_tables (c, false));
  if (!problem)
    return change (c, image, content);
  vmdk_close (image);
  return problem;
}

char *
check_state (const struct check *c, const struct disk *state)
{
  struct vmdk_options options = { .writable = true };
  char *path = top_path (c), *problem;
  struct vmdk_image *image;
  struct vmdk_error error;
  uint8_t *content = NULL;
  uint64_t size = 0;

  problem = found ("tables", check_cowd (state));
  if (problem)
    return problem;
  disk_save (state, c->folder);
  image = vmdk_open (path, &options, &error);
  free (path);
  if (!image)
    return failure ("open", &error);
  size = vmdk_size (image);
  content = work_read (image, &error);
  problem = content ? found ("content", model_check (c->m, c->cut, content)) :
    failure ("read", &error);
  if (!problem)
    problem = check_cid (c, state, content, size);
  if (!problem && vmdk_begin_writing (image, &error) == -1)
    problem = failure ("begin", &error);
  if (problem)
    vmdk_close (image);
  else
    problem = check_recovered (c, image, content, size);
  if (!problem && c->nested)
    problem = cut_again (c, state, content, size);
  free (content);
  return problem;
}
