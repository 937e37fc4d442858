/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Calls on the files, and allocations, that fail.
 *
 * A short workload in one thread, which is the same each time, is run once
 * to count its calls, and then again with one of them failing: each in turn
 * if they are few, in each way that such a call can.  The caller must hear
 * of it, with a reason; what comes after must either succeed or, where data
 * may have been lost, be refused for good (work_judge in work.c); and in the
 * end the image must hold all that was flushed, also if the power was cut
 * then.
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

/* So many seconds no run takes: it hangs. */
#define TIME_LIMIT 20

static struct {
  uint64_t seed, workloads, calls, only_call;
  const char *kind, *fault;
  bool verbose;
} options = { .seed = 1, .workloads = 2, .calls = 300 };

static uint64_t nr_runs, nr_failures;

/* One workload. */
struct test {
  uint64_t seed;
  const struct kind *kind;
  struct made made;
  char *folder, *path;
};

/* The image must hold what was flushed: as its files are now, and after a
 * power cut.
 */
static char *
check_after (const struct test *t, struct record *rec, struct model *m)
{
  struct check check = {
    .folder = t->folder, .kind = t->kind, .seed = mix (t->seed, 9),
    .grain_size = t->made.grain_size, .number = 1000000, .m = m,
    .cut = rec->seq, .cid = find_cid (&t->made.disk),
    .content = t->made.content,
  };
  struct replay *replay = replay_new (rec, &t->made.disk);
  struct disk state;
  char *problem;
  uint64_t i;

  disk_load (&state, t->folder, "top");
  problem = check_state (&check, &state);
  disk_free (&state);
  for (i = 0; i < 2 && !problem; ++i) {
    const uint64_t seed = mix (mix (t->seed, rec->faults[0].n), i);

    replay_state (replay, check.cut, (enum strategy) (seed % NR_STRATEGIES),
                  mix (seed, 1), &state);
    problem = check_state (&check, &state);
    if (problem) {
      char *text = must_print ("power cut at the end: %s", problem);

      free (problem);
      problem = text;
    }
    disk_free (&state);
  }
  replay_free (replay);
  return problem;
}

/* Returns the number of calls that were counted. */
static uint64_t
run (const struct test *t, const char *name, const struct fault *fault)
{
  uint64_t random = mix (t->seed, 3);
  struct record rec;
  struct work w = {
    .path = t->path, .rec = &rec, .hooked = true, .seed = mix (t->seed, 4),
    .size = t->made.size, .grain_size = t->made.grain_size,
    .nr_threads = 1, .nr_phases = 2 + (unsigned) random_below (&random, 2),
    .nr_ops = 12, .faults = FAULTS_ONE,
  };
  uint64_t nr_calls;
  char *problem;

  nr_runs++;
  alarm (TIME_LIMIT);
  disk_save (&t->made.disk, t->folder);
  record_init (&rec, mix (t->seed, 5));
  rec.alone = true;
  rec.faults[0] = *fault;
  w.m = model_new (&rec, 0, t->made.content, t->made.size);
  memory_watch (&rec);
  work_run (&w);
  memory_watch (NULL);
  nr_calls = rec.faults[0].nr_calls;
  problem = w.problem ? w.problem : check_after (t, &rec, w.m);
  if (problem) {
    nr_failures++;
    printf ("seed %" PRIu64 ", %s, %s %" PRIu64 ": %s\n", t->seed,
            t->kind->name, name, fault->n, problem);
    if (options.verbose)
      record_print (&rec, 0, rec.seq);
    free (problem);
  }
  model_free (w.m);
  record_free (&rec);
  return nr_calls;
}

/* One way to fail, at all calls or as many as are asked for. */
static void
run_fault (const struct test *t, const char *name, struct fault fault)
{
  uint64_t nr, step, i, random = mix (t->seed, fault.calls);

  fault.n = UINT64_MAX;
  nr = run (t, name, &fault);
  step = (nr + options.calls - 1) / options.calls;
  for (i = 0; i < nr; i += step) {
    fault.n = 1 + i + random_below (&random, step);
    if (fault.n <= nr &&
        (options.only_call == 0 || fault.n == options.only_call))
      run (t, name, &fault);
  }
}

/* Change the image and cut the power on the way: what is to be recovered is
 * the image of the test.
 */
static void
cut_power (struct test *t)
{
  struct record rec;
  struct work w = {
    .path = t->path, .rec = &rec, .hooked = true, .seed = mix (t->seed, 6),
    .size = t->made.size, .grain_size = t->made.grain_size,
    .nr_threads = 1, .nr_phases = 1, .nr_ops = 20,
  };
  uint64_t random = mix (t->seed, 7), cut;
  struct vmdk_image *image;
  struct vmdk_error error;
  struct replay *replay;
  struct disk state;

  disk_save (&t->made.disk, t->folder);
  record_init (&rec, mix (t->seed, 8));
  rec.alone = true;
  w.m = model_new (&rec, 2000000, t->made.content, t->made.size);
  work_run (&w);
  if (w.problem)
    die ("%s", w.problem);
  replay = replay_new (&rec, &t->made.disk);
  cut = rec.seq / 2 + random_below (&random, rec.seq / 2);
  replay_state (replay, cut, STATE_TORN, next_random (&random), &state);
  replay_free (replay);
  disk_free (&t->made.disk);
  t->made.disk = state;
  model_free (w.m);
  record_free (&rec);

  disk_save (&state, t->folder);
  free (t->made.content);
  image = vmdk_open (t->path, &(struct vmdk_options) { 0 }, &error);
  t->made.content = image ? work_read (image, &error) : NULL;
  if (!t->made.content)
    die ("%s", error.message);
  vmdk_close (image);
}

/* Every other image is one that has to be recovered. */
static void
run_workload (uint64_t seed, const struct kind *kind, const char *tmp)
{
  struct test t = { .seed = seed, .kind = kind };
  size_t i;

  make_image (kind, seed, &t.made);
  t.folder = must_print ("%s/image", tmp);
  t.path = must_print ("%s/top.vmdk", t.folder);
  remove_folder (t.folder);
  if (mkdir (t.folder, 0700) == -1)
    die ("%s: %s", t.folder, strerror (errno));
  if (seed % 2 == 0)
    cut_power (&t);
  for (i = 0; i < nr_fault_kinds; ++i)
    if (!options.fault || strcmp (options.fault, fault_kinds[i].name) == 0)
      run_fault (&t, fault_kinds[i].name, fault_kinds[i].fault);
  free (t.path);
  free (t.folder);
  make_free (&t.made);
}

static void
usage (void)
{
  size_t i;

  puts ("fault-test [--seed=N] [--workloads=N] [--calls=N] [--kind=KIND]\n"
        "           [--fault=FAULT] [--call=N] [--verbose]\n"
        "--workloads is for each kind, --calls for each fault\nkinds:");
  for (i = 0; i < nr_make_kinds; ++i)
    printf ("  %s\n", make_kinds[i].name);
  puts ("faults:");
  for (i = 0; i < nr_fault_kinds; ++i)
    printf ("  %s\n", fault_kinds[i].name);
}

static void
parse_options (int argc, char *argv[])
{
  static const struct option longs[] = {
    { "seed", required_argument, NULL, 's' },
    { "workloads", required_argument, NULL, 'w' },
    { "calls", required_argument, NULL, 'c' },
    { "kind", required_argument, NULL, 'k' },
    { "fault", required_argument, NULL, 'f' },
    { "call", required_argument, NULL, 'C' },
    { "verbose", no_argument, NULL, 'v' },
    { "help", no_argument, NULL, 'h' },
    { 0 }
  };
  int c;

  while ((c = getopt_long (argc, argv, "", longs, NULL)) != -1)
    switch (c) {
    case 's': options.seed = strtoull (optarg, NULL, 0); break;
    case 'w': options.workloads = strtoull (optarg, NULL, 0); break;
    case 'c': options.calls = strtoull (optarg, NULL, 0); break;
    case 'C': options.only_call = strtoull (optarg, NULL, 0); break;
    case 'k': options.kind = optarg; break;
    case 'f': options.fault = optarg; break;
    case 'v': options.verbose = true; break;
    case 'h':
      usage ();
      exit (0);
    default:
      usage ();
      exit (2);
    }
  if (options.calls == 0)
    die ("--calls=0");
}

int
main (int argc, char *argv[])
{
  char *tmp;
  uint64_t i;
  size_t k;

  parse_options (argc, argv);
  setlinebuf (stdout);
  tmp = make_folder ("fault");
  for (i = 0; i < options.workloads; ++i)
    for (k = 0; k < nr_make_kinds; ++k)
      if (!options.kind || strcmp (options.kind, make_kinds[k].name) == 0)
        run_workload (options.seed + i, &make_kinds[k], tmp);
  printf ("%" PRIu64 " runs, %" PRIu64 " failures\n", nr_runs, nr_failures);
  remove_folder (tmp);
  free (tmp);
  return nr_failures > 0;
}
