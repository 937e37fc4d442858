/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* A random disk, or a chain of disks, all of it determined by one seed. */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "gen.h"

#define MAX_DEPTH 5
#define MAX_SECTORS 40000

#define SEED_RANDOM 0x72616e646f6du

/* A name for what has been decided, as options of mkvmdk. */
struct choice {
  uint64_t *state;
  struct options opt;
  struct buf command;
  char *extents;
};

static bool
one_in (struct choice *c, uint64_t n)
{
  return prng_below (c->state, n) == 0;
}

static void
flag (struct choice *c, uint64_t n, bool *option, const char *name)
{
  if (!one_in (c, n))
    return;
  *option = true;
  buf_printf (&c->command, " --%s", name);
}

static void
number (struct choice *c, const char *name, uint64_t value)
{
  buf_printf (&c->command, " --%s=%" PRIu64, name, value);
}

static uint64_t
power (struct choice *c, unsigned min, unsigned max)
{
  return UINT64_C (1) << (min + prng_below (c->state, max - min + 1));
}

/* Half of all sizes are whole MiB, the others any number of sectors. */
static uint64_t
random_size (struct choice *c)
{
  if (one_in (c, 2))
    return 2048 * (1 + prng_below (c->state, MAX_SECTORS / 2048));
  return 1 + prng_below (c->state, MAX_SECTORS);
}

static void
choose_size (struct choice *c, uint64_t parent)
{
  c->opt.size = parent == 0 || one_in (c, 3) ? random_size (c) : parent;
}

static void
choose_kind (struct choice *c, bool child)
{
  static const enum kind kinds[] = {
    MONOLITHIC_SPARSE, TWO_GB_SPARSE, STREAM_OPTIMIZED, VMFS_SPARSE,
    SE_SPARSE, CUSTOM, MONOLITHIC_FLAT, TWO_GB_FLAT, VMFS
  };

  /* A flat link hides its parent, and a custom one may. */
  c->opt.kind = kinds[prng_below (c->state, child ? 6 : 9)];
}

static void
choose_extents (struct choice *c)
{
  static const char *const words[] = {
    "SPARSE", "SPARSE", "SPARSE/RDONLY", "VMFSSPARSE", "SESPARSE", "FLAT",
    "VMFS", "ZERO", "FLAT/RDONLY"
  };
  uint64_t n = 2 + prng_below (c->state, 4), i;
  struct buf list = { .len = 0 };

  for (i = 0; i < n; i++) {
    size_t word = (size_t) prng_below (c->state,
                                       sizeof words / sizeof words[0]);

    buf_printf (&list, "%s%s:%" PRIu64 "s", i ? "," : "", words[word],
                1 + prng_below (c->state, MAX_SECTORS / 4));
    if (strncmp (words[word], "SPARSE", 6) == 0)
      buf_printf (&list, ":%" PRIu64, power (c, 0, 11));
  }
  c->extents = list.data;
  c->opt.extents = c->extents;
  buf_printf (&c->command, " --extents='%s'", c->extents);
}

static void
choose_sparse (struct choice *c)
{
  struct options *opt = &c->opt;

  flag (c, 4, &opt->zeroed, "zeroed");
  flag (c, 4, &opt->shuffle, "shuffle");
  if (opt->kind == VMFS_SPARSE || opt->kind == SE_SPARSE)
    return;
  opt->gtes = one_in (c, 2) ? 512 : power (c, 4, 10);
  number (c, "gtes", opt->gtes);
  flag (c, 4, &opt->no_rgd, "no-rgd");
  flag (c, 4, &opt->sparse_gd, "sparse-gd");
  if (opt->kind == STREAM_OPTIMIZED)
    return;
  flag (c, 4, &opt->gd_behind, "gd-behind");
  flag (c, 4, &opt->unaligned, "unaligned");
  flag (c, 4, &opt->header_rounded, "header-rounded");
}

static void
choose_stream (struct choice *c)
{
  static const char *const styles[] = { "A", "B", "C", "D", "E" };
  size_t style = (size_t) prng_below (c->state, 5);

  c->opt.style = (enum stream_style) style;
  buf_printf (&c->command, " --layout-style=%s", styles[style]);
  c->opt.level = (int) prng_below (c->state, 10);
  number (c, "level", (uint64_t) c->opt.level);
  flag (c, 8, &c->opt.progress_markers, "progress-markers");
}

static void
choose_files (struct choice *c)
{
  struct options *opt = &c->opt;

  if (opt->kind == TWO_GB_SPARSE || opt->kind == TWO_GB_FLAT) {
    opt->extent_size = opt->size / (1 + prng_below (c->state, 5)) + 1;
    buf_printf (&c->command, " --extent-size=%" PRIu64 "s",
                opt->extent_size);
  }
  if (opt->kind == MONOLITHIC_FLAT || opt->kind == TWO_GB_FLAT ||
      opt->kind == CUSTOM) {
    if (one_in (c, 3)) {
      opt->flat_offset = prng_below (c->state, 3000);
      buf_printf (&c->command, " --flat-offset=%" PRIu64 "s",
                  opt->flat_offset);
    }
    if (opt->kind != MONOLITHIC_FLAT)
      flag (c, 3, &opt->one_file, "one-file");
  }
  if (opt->kind == MONOLITHIC_SPARSE)
    flag (c, 4, &opt->separate_descriptor, "separate-descriptor");
  else if (opt->kind != STREAM_OPTIMIZED)
    flag (c, 8, &opt->wrapped, "wrapped");
}

static void
choose_fill (struct choice *c)
{
  static const struct { enum fill fill; const char *name; } fills[] = {
    { FILL_RANDOM, "random" }, { FILL_RANDOM, "random" },
    { FILL_RANDOM, "random" }, { FILL_RANDOM, "random" },
    { FILL_FULL, "full" }, { FILL_EMPTY, "empty" },
    { FILL_EVERY_OTHER, "every-other" }, { FILL_EDGES, "edges" }
  };
  size_t i = (size_t) prng_below (c->state, 8);

  c->opt.fill = fills[i].fill;
  buf_printf (&c->command, " --fill=%s", fills[i].name);
  c->opt.seed = prng (c->state);
  number (c, "seed", c->opt.seed);
}

static void
choose_grain (struct choice *c)
{
  struct options *opt = &c->opt;

  /* seSparse has no choice. */
  if (opt->kind == SE_SPARSE)
    return;
  opt->grain = one_in (c, 3) ? 128 : power (c, 0, 11);
  number (c, "grain", opt->grain);
  if (opt->kind == VMFS_SPARSE && opt->size > 512 * opt->grain)
    flag (c, 4, &opt->old_cowd, "old-cowd");
}

static void
make_one (uint64_t *state, const char *output, const char *parent,
          struct model *m)
{
  struct choice c = { .state = state };

  options_init (&c.opt);
  c.opt.output = output;
  c.opt.parent = parent;
  choose_kind (&c, parent != NULL);
  choose_size (&c, runs_end (&m->map));
  if (c.opt.kind == CUSTOM)
    choose_extents (&c);
  else
    buf_printf (&c.command, " --size=%" PRIu64 "s", c.opt.size);
  choose_grain (&c);
  choose_sparse (&c);
  if (c.opt.kind == STREAM_OPTIMIZED)
    choose_stream (&c);
  choose_files (&c);
  choose_fill (&c);
  if (one_in (&c, 3)) {
    c.opt.dialect = dialect_random (state);
    buf_printf (&c.command, " --dialect=%s", c.opt.dialect);
  }
  printf ("mkvmdk%s%s%s %s %s\n", c.command.data,
          parent ? " --parent=" : "", parent ? parent : "",
          kind_names[c.opt.kind], output);

  options_finish (&c.opt);
  link_make (&c.opt, m);
  buf_free (&c.command);
  free (c.extents);
}

void
random_make (const char *dir, uint64_t seed)
{
  uint64_t state = prng_hash (seed, SEED_RANDOM);
  unsigned depth = 1 + (unsigned) prng_below (&state, MAX_DEPTH), i;
  char *raw = xasprintf ("%s/model.raw", dir);
  char *map = xasprintf ("%s/model.map", dir);
  char *parent = NULL;
  struct model m;

  if (mkdir (dir, 0777) == -1 && errno != EEXIST)
    die ("mkdir: %s: %s", dir, strerror (errno));
  model_init (&m, raw);
  for (i = 1; i <= depth; i++) {
    char *output = i == depth ? xasprintf ("%s/top.vmdk", dir) :
      xasprintf ("%s/link%u.vmdk", dir, i);

    make_one (&state, output, parent, &m);
    free (parent);
    parent = output;
  }
  model_save_map (&m, map);
  model_free (&m);
  free (parent);
  free (raw);
  free (map);
}
