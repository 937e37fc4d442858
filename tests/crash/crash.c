/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Power cuts while an image is being written.
 *
 * A workload changes a small image at random, in two threads.  A recorder
 * between the core and the files (record.h) keeps each write, truncation
 * and sync; a model (model.h) what the disk may hold at each moment.  Then
 * the power is cut at many moments of the record: of what had not been
 * synced by then any part may have reached the disk (state.h), and each
 * such state must be a good image with content that the model permits,
 * that recovers, and can be written again (check.h).
 *
 * With --faults=any, or one of those in faults.c, one thread has calls that
 * fail, works on, and opens the image again if it cannot; the power is cut
 * after the first of these.
 *
 * A workload is made again from its seed, except for what depends on the
 * order in which its threads run; --threads=1 has none of that.  --keep
 * leaves the files of a state that failed.
 */

#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "faults.h"
#include "memory.h"
#include "state.h"
#include "util.h"
#include "work.h"

/* So many states are asked for, one is also shown to qemu-img. */
#define QEMU_EVERY 100

static struct {
  uint64_t seed, workloads, cuts, only_cut, only_state;
  const char *kinds[32];
  size_t nr_kinds;
  unsigned threads;
  enum lost_syncs lose;
  const char *keep;
  const char *faults;           /* one kind, "any" or NULL: none */
  bool qemu, verbose;
} options = {
  .seed = 1, .workloads = 100, .cuts = 20, .only_cut = UINT64_MAX,
  .only_state = UINT64_MAX, .threads = 2,
};

static uint64_t nr_states, nr_cuts, nr_failures, nr_hit;

/* One workload. */
struct test {
  uint64_t seed;
  const struct kind *kind;
  struct made made;
  struct record rec;
  struct model *m;
  char *folder, *states;        /* where its files, and states', are */
};

/* Leave the parents and the state, or else the image as it was made. */
static void
keep (const struct test *t, const struct disk *state)
{
  if (!options.keep)
    return;
  mkdir (options.keep, 0700);
  disk_save (&t->made.disk, options.keep);
  if (state)
    disk_save (state, options.keep);
  printf ("  the files are in %s\n", options.keep);
}

static void
fail (const struct test *t, const char *problem)
{
  nr_failures++;
  printf ("seed %" PRIu64 ", %s: %s\n", t->seed, t->kind->name, problem);
}

static int
compare_cuts (const void *a, const void *b)
{
  const uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

  return x < y ? -1 : x > y;
}

/* The moment before the first sync ends, of those behind a random event. */
static uint64_t
choose_sync (const struct test *t, uint64_t first, uint64_t *random)
{
  const uint64_t from = first + random_below (random, t->rec.seq - first + 1);
  size_t i;

  for (i = 0; i < t->rec.nr; ++i)
    if (t->rec.events[i].kind == EVENT_SYNC_END && t->rec.events[i].seq > from)
      return t->rec.events[i].seq - 1;
  return from;
}

/* A moment of interest; with faults, one behind the first. */
static uint64_t
choose_cut (const struct test *t, uint64_t *random)
{
  const uint64_t first = options.faults ? t->rec.first_hit : 0;
  const uint64_t flushed = model_flushed_at (t->m, next_random (random));

  if (flushed > first && random_below (random, 4) == 0)
    return flushed;
  if (options.faults && random_below (random, 2) == 0)
    return choose_sync (t, first, random);
  return first + random_below (random, t->rec.seq - first + 1);
}

/* Moments before and after each sync, as many as fit, and random ones. */
static uint64_t *
choose_cuts (const struct test *t, size_t *nr)
{
  uint64_t random = mix (t->seed, 2), *cuts;
  size_t nr_syncs = 0, i;

  for (i = 0; i < t->rec.nr && !options.faults; ++i)
    nr_syncs += t->rec.events[i].kind >= EVENT_SYNC_BEGIN;
  cuts = must_alloc ((2 * nr_syncs + options.cuts) * sizeof *cuts);
  *nr = 0;
  if (2 * nr_syncs <= options.cuts && !options.faults)
    for (i = 0; i < t->rec.nr; ++i)
      if (t->rec.events[i].kind >= EVENT_SYNC_BEGIN) {
        cuts[(*nr)++] = t->rec.events[i].seq - 1;
        cuts[(*nr)++] = t->rec.events[i].seq;
      }
  while (*nr < options.cuts)
    cuts[(*nr)++] = choose_cut (t, &random);
  qsort (cuts, *nr, sizeof *cuts, compare_cuts);
  return cuts;
}

static void
try_state (struct test *t, struct replay *replay, uint64_t cut,
           uint64_t number)
{
  const uint64_t seed = mix (t->seed, 1000 + number);
  const enum strategy strategy =
    (enum strategy) (mix (seed, 1) % NR_STRATEGIES);
  const struct check check = {
    .folder = t->states, .kind = t->kind, .seed = seed,
    .grain_size = t->made.grain_size,
    .qemu = options.qemu && seed % QEMU_EVERY == 0,
    .nested = mix (seed, 2) % 16 == 0,
    .number = 1000000, .m = t->m, .cut = cut,
    .cid = find_cid (&t->made.disk), .content = t->made.content,
  };
  struct disk state;
  char *problem;

  if (options.only_state != UINT64_MAX && options.only_state != number)
    return;
  nr_states++;
  replay_state (replay, cut, strategy, mix (seed, 3), &state);
  problem = check_state (&check, &state);
  if (problem) {
    fail (t, problem);
    printf ("  state %" PRIu64 " of the cut at %" PRIu64 " (%s); the events "
            "before it:\n", number, cut, strategy_name (strategy));
    record_print (&t->rec, cut > 60 && !options.verbose ? cut - 60 : 0, cut);
    keep (t, &state);
  }
  free (problem);
  disk_free (&state);
}

static void
try_cuts (struct test *t)
{
  size_t nr, i;
  uint64_t *cuts = choose_cuts (t, &nr);
  struct replay *replay = replay_new (&t->rec, &t->made.disk);

  for (i = 0; i < nr; ++i) {
    if (options.only_cut != UINT64_MAX && options.only_cut != cuts[i])
      continue;
    nr_cuts += i == 0 || cuts[i] != cuts[i - 1];
    try_state (t, replay, cuts[i], i);
  }
  replay_free (replay);
  free (cuts);
}

/* Does the record have all that has happened to the files? */
static char *
check_record (const struct test *t)
{
  struct replay *replay = replay_new (&t->rec, &t->made.disk);
  struct disk real, state;
  char *problem = NULL;
  size_t i;

  replay_state (replay, t->rec.seq, STATE_ALL, 0, &state);
  disk_load (&real, t->folder, "");
  for (i = 0; i < real.nr && !problem; ++i)
    if (file_compare (&real.files[i],
                      disk_find (&state, real.files[i].name)) != UINT64_MAX)
      problem = must_print ("%s has changed behind the recorder's back",
                            real.files[i].name);
  disk_free (&state);
  disk_free (&real);
  replay_free (replay);
  return problem;
}

/* Run the workload that the seed gives, over the image as it was made. */
static char *
run_work (struct test *t, const struct fault faults[MAX_FAULTS])
{
  uint64_t random = mix (t->seed, 3);
  char *path = must_print ("%s/top.vmdk", t->folder);
  struct work w = {
    .path = path, .rec = &t->rec, .hooked = true, .seed = mix (t->seed, 4),
    .size = t->made.size, .grain_size = t->made.grain_size,
    .nr_threads = options.threads,
    .nr_phases = 1 + (unsigned) random_below (&random, 4),
    .nr_ops = 5 + (unsigned) random_below (&random, 25),
  };

  disk_save (&t->made.disk, t->folder);
  record_init (&t->rec, mix (t->seed, 5));
  t->rec.lose = options.lose;
  t->m = model_new (&t->rec, 0, t->made.content, t->made.size);
  w.m = t->m;
  if (faults) {
    memcpy (t->rec.faults, faults, sizeof t->rec.faults);
    t->rec.alone = true;
    w.faults = FAULTS_MANY;
    w.nr_threads = 1;
    w.nr_phases += 2;
    memory_watch (&t->rec);
  }
  work_run (&w);
  memory_watch (NULL);
  free (path);
  return w.problem ? w.problem : check_record (t);
}

static void
forget_work (struct test *t)
{
  model_free (t->m);
  record_free (&t->rec);
}

static struct fault
choose_fault (uint64_t *random)
{
  size_t i;

  if (strcmp (options.faults, "any") == 0)
    return fault_kinds[random_below (random, nr_fault_kinds)].fault;
  for (i = 0; i < nr_fault_kinds; ++i)
    if (strcmp (options.faults, fault_kinds[i].name) == 0)
      return fault_kinds[i].fault;
  die ("%s: no such fault", options.faults);
}

/* Make calls of one kind or two fail, once or again and again.  How many
 * there are shows a run without faults.
 */
static char *
run_with_faults (struct test *t)
{
  uint64_t random = mix (t->seed, 6);
  struct fault faults[MAX_FAULTS] = { 0 };
  const uint64_t nr = 1 + random_below (&random, MAX_FAULTS);
  char *problem;
  uint64_t i;

  for (i = 0; i < nr; ++i) {
    faults[i] = choose_fault (&random);
    faults[i].n = UINT64_MAX;
  }
  problem = run_work (t, faults);
  for (i = 0; i < nr; ++i) {
    struct fault *f = &faults[i];

    f->n = 1 + random_below (&random, t->rec.faults[i].nr_calls / 2 + 1);
    if (random_below (&random, 3) == 0)
      f->times = 1 + random_below (&random, 5);
    if (random_below (&random, 4) != 0) {
      f->period = f->times + 1 + random_below (&random, 30);
      f->repeats = 1 + random_below (&random, 60);
    }
  }
  if (problem)
    return problem;
  forget_work (t);
  return run_work (t, faults);
}

static void
run_workload (uint64_t seed, const struct kind *kind, const char *tmp)
{
  struct test t = { .seed = seed, .kind = kind };
  char *problem;

  make_image (kind, seed, &t.made);
  t.folder = must_print ("%s/work", tmp);
  t.states = must_print ("%s/state", tmp);
  remove_folder (t.folder);
  remove_folder (t.states);
  if (mkdir (t.folder, 0700) == -1 || mkdir (t.states, 0700) == -1)
    die ("%s: %s", tmp, strerror (errno));
  disk_save (&t.made.disk, t.states);

  problem = options.faults ? run_with_faults (&t) : run_work (&t, NULL);
  nr_hit += t.rec.first_hit != UINT64_MAX;
  if (problem) {
    fail (&t, problem);
    if (options.verbose)
      record_print (&t.rec, 0, t.rec.seq);
    keep (&t, NULL);
    free (problem);
  }
  else if (!options.faults || t.rec.first_hit != UINT64_MAX)
    try_cuts (&t);

  free (t.folder);
  free (t.states);
  forget_work (&t);
  make_free (&t.made);
}

static const struct kind *
choose_kind (uint64_t number)
{
  const char *name;
  size_t i;

  if (options.nr_kinds == 0)
    return &make_kinds[number % nr_make_kinds];
  name = options.kinds[number % options.nr_kinds];
  for (i = 0; i < nr_make_kinds; ++i)
    if (strcmp (make_kinds[i].name, name) == 0)
      return &make_kinds[i];
  die ("%s: no such kind", name);
}

static void
usage (void)
{
  size_t i;

  puts ("crash-test [--seed=N] [--workloads=N] [--cuts=N] [--kind=KIND]...\n"
        "           [--threads=N] [--cut=N] [--state=N] [--keep=FOLDER]\n"
        "           [--lose-syncs=all|odd|even] [--faults=any|FAULT]\n"
        "           [--qemu] [--verbose]\n"
        "kinds:");
  for (i = 0; i < nr_make_kinds; ++i)
    printf ("  %s\n", make_kinds[i].name);
}

static void
parse_options (int argc, char *argv[])
{
  static const struct option longs[] = {
    { "seed", required_argument, NULL, 's' },
    { "workloads", required_argument, NULL, 'w' },
    { "cuts", required_argument, NULL, 'c' },
    { "kind", required_argument, NULL, 'k' },
    { "threads", required_argument, NULL, 't' },
    { "cut", required_argument, NULL, 'C' },
    { "state", required_argument, NULL, 'S' },
    { "keep", required_argument, NULL, 'K' },
    { "lose-syncs", required_argument, NULL, 'l' },
    { "faults", required_argument, NULL, 'f' },
    { "qemu", no_argument, NULL, 'q' },
    { "verbose", no_argument, NULL, 'v' },
    { "help", no_argument, NULL, 'h' },
    { 0 }
  };
  int c;

  while ((c = getopt_long (argc, argv, "", longs, NULL)) != -1)
    switch (c) {
    case 's': options.seed = strtoull (optarg, NULL, 0); break;
    case 'w': options.workloads = strtoull (optarg, NULL, 0); break;
    case 'c': options.cuts = strtoull (optarg, NULL, 0); break;
    case 't': options.threads = (unsigned) atoi (optarg); break;
    case 'C': options.only_cut = strtoull (optarg, NULL, 0); break;
    case 'S': options.only_state = strtoull (optarg, NULL, 0); break;
    case 'K': options.keep = optarg; break;
    case 'f': options.faults = optarg; break;
    case 'q': options.qemu = true; break;
    case 'v': options.verbose = true; break;
    case 'k':
      if (options.nr_kinds == sizeof options.kinds / sizeof *options.kinds)
        die ("too many kinds");
      options.kinds[options.nr_kinds++] = optarg;
      break;
    case 'l':
      options.lose = optarg[0] == 'a' ? LOSE_ALL :
        optarg[0] == 'o' ? LOSE_ODD : LOSE_EVEN;
      break;
    case 'h':
      usage ();
      exit (0);
    default:
      usage ();
      exit (2);
    }
  if (options.threads < 1 || options.threads > 4)
    die ("1 to 4 threads");
}

int
main (int argc, char *argv[])
{
  char *tmp;
  uint64_t i;

  parse_options (argc, argv);
  setlinebuf (stdout);
  tmp = make_folder ("crash");
  for (i = 0; i < options.workloads; ++i)
    run_workload (options.seed + i, choose_kind (options.seed + i), tmp);
  printf ("%" PRIu64 " workloads, %" PRIu64 " with faults, %" PRIu64
          " cuts, %" PRIu64 " states, %" PRIu64 " failures\n",
          options.workloads, nr_hit, nr_cuts, nr_states, nr_failures);
  remove_folder (tmp);
  free (tmp);
  return nr_failures > 0;
}
