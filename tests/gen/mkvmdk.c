/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* mkvmdk: the command line of the image generator. */

#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen.h"

static const char usage_text[] =
"mkvmdk - write a VMDK image, well formed or not, and a model of it\n"
"\n"
"Usage: mkvmdk [options] KIND OUTPUT.vmdk\n"
"       mkvmdk --random --seed=N OUTDIR\n"
"       mkvmdk --list-damage | --list-dialects | --help\n"
"\n"
"KIND is monolithicSparse, twoGbMaxExtentSparse, monolithicFlat,\n"
"twoGbMaxExtentFlat, vmfs, streamOptimized, vmfsSparse, seSparse or custom.\n"
"\n"
"A size is in bytes, or has the suffix s (sectors), K, M, G or T.\n"
"\n"
"The disk:\n"
"  --size=N            size of the disk (default 64M, or that of --from)\n"
"  --fill=PATTERN      random (default), full, empty, every-other, edges\n"
"  --seed=N            of everything that is random (default 1)\n"
"  --data=CLASS        mixed (default), text, random\n"
"  --from=RAWFILE      take the content from a raw file\n"
"\n"
"The model:\n"
"  --model=FILE        write the guest's bytes to a raw file\n"
"  --map=FILE          write the map: OFFSET LENGTH TYPE in bytes, TYPE is\n"
"                      data or hole,zero or error; where it is error the\n"
"                      model has the bytes from before the damage\n"
"\n"
"Sparse extents:\n"
"  --grain=SECTORS     sectors in a grain (default 128, vmfsSparse 1)\n"
"  --gtes=N            entries in a grain table (default 512)\n"
"  --version=N         version in the header\n"
"  --no-rgd            no redundant grain directory\n"
"  --primary-only      the redundant grain tables are all zero\n"
"  --zeroed            grain table entries of 1 mark zero grains\n"
"  --sparse-gd         no grain tables without entries\n"
"  --shuffle           grains in random order in the file\n"
"  --gd-behind         directories and tables behind the grains\n"
"  --unaligned         grains are not aligned to the grain size\n"
"  --header-rounded    capacity in the header is rounded up to a grain\n"
"\n"
"streamOptimized:\n"
"  --layout-style=A    footer, tables behind their grains (default)\n"
"                 B    tables in front    C  both    D  as open-vmdk\n"
"                 E    as QEMU\n"
"                 markerless-sized, markerless-bare\n"
"  --level=N           of compression, 0 to 12 (default 1)\n"
"  --progress-markers  markers of type 4 between the grains\n"
"\n"
"vmfsSparse:\n"
"  --old-cowd          the hosted shape: tables of 512 entries\n"
"\n"
"Extents and files:\n"
"  --extent-size=N     of the split kinds (default 2047M)\n"
"  --extents=LIST      of custom: TYPE[/ACCESS]:SIZE[:GRAIN], comma between\n"
"  --flat-offset=N     flat extents begin there in their files\n"
"  --one-file          all FLAT extents are in one file\n"
"  --name=NAME         base of the names of files\n"
"  --separate-descriptor  monolithicSparse in two files\n"
"  --bare              an extent and no descriptor at all\n"
"  --wrapped           the descriptor is inside an empty sparse header\n"
"\n"
"The descriptor:\n"
"  --dialect=NAME      see --list-dialects\n"
"  --encoding=NAME     encoding of the descriptor (default UTF-8)\n"
"  --cid=HEX           (default: from the seed)\n"
"\n"
"Chains:\n"
"  --parent=FILE       make a child of this image\n"
"  --parent-model=FILE, --parent-map=FILE  the model and map of the parent\n"
"  --hint=TEXT         parentFileNameHint, if not the parent's path\n"
"  --parent-cid=HEX    if not the parent's CID\n"
"\n"
"--random makes OUTDIR/top.vmdk, a disk of any kind or a chain of up to 5,\n"
"with OUTDIR/model.raw and OUTDIR/model.map, and prints what it made.\n"
"\n"
"Damage:\n"
"  --damage=NAME       see --list-damage: name, open or refuse, kinds, what\n"
"                      is wrong.  The model has what can still be read.\n";

enum {
  OPT_SIZE = 256, OPT_GRAIN, OPT_GTES, OPT_VERSION, OPT_NO_RGD,
  OPT_PRIMARY_ONLY, OPT_ZEROED, OPT_SPARSE_GD, OPT_SHUFFLE, OPT_GD_BEHIND,
  OPT_UNALIGNED, OPT_HEADER_ROUNDED, OPT_EXTENT_SIZE, OPT_EXTENTS,
  OPT_FLAT_OFFSET, OPT_ONE_FILE, OPT_NAME, OPT_SEPARATE_DESCRIPTOR,
  OPT_WRAPPED, OPT_DIALECT, OPT_ENCODING, OPT_CID, OPT_FILL, OPT_SEED,
  OPT_DATA, OPT_FROM, OPT_MODEL, OPT_MAP, OPT_DAMAGE, OPT_LIST_DAMAGE,
  OPT_LIST_DIALECTS, OPT_HELP, OPT_LAYOUT_STYLE, OPT_LEVEL,
  OPT_PROGRESS_MARKERS, OPT_OLD_COWD, OPT_BARE, OPT_PARENT,
  OPT_PARENT_MODEL, OPT_PARENT_MAP, OPT_HINT, OPT_PARENT_CID, OPT_RANDOM,
};

static const struct option long_options[] = {
  { "size", required_argument, NULL, OPT_SIZE },
  { "grain", required_argument, NULL, OPT_GRAIN },
  { "gtes", required_argument, NULL, OPT_GTES },
  { "version", required_argument, NULL, OPT_VERSION },
  { "no-rgd", no_argument, NULL, OPT_NO_RGD },
  { "primary-only", no_argument, NULL, OPT_PRIMARY_ONLY },
  { "zeroed", no_argument, NULL, OPT_ZEROED },
  { "sparse-gd", no_argument, NULL, OPT_SPARSE_GD },
  { "shuffle", no_argument, NULL, OPT_SHUFFLE },
  { "gd-behind", no_argument, NULL, OPT_GD_BEHIND },
  { "unaligned", no_argument, NULL, OPT_UNALIGNED },
  { "header-rounded", no_argument, NULL, OPT_HEADER_ROUNDED },
  { "extent-size", required_argument, NULL, OPT_EXTENT_SIZE },
  { "extents", required_argument, NULL, OPT_EXTENTS },
  { "flat-offset", required_argument, NULL, OPT_FLAT_OFFSET },
  { "one-file", no_argument, NULL, OPT_ONE_FILE },
  { "name", required_argument, NULL, OPT_NAME },
  { "separate-descriptor", no_argument, NULL, OPT_SEPARATE_DESCRIPTOR },
  { "wrapped", no_argument, NULL, OPT_WRAPPED },
  { "layout-style", required_argument, NULL, OPT_LAYOUT_STYLE },
  { "level", required_argument, NULL, OPT_LEVEL },
  { "progress-markers", no_argument, NULL, OPT_PROGRESS_MARKERS },
  { "old-cowd", no_argument, NULL, OPT_OLD_COWD },
  { "bare", no_argument, NULL, OPT_BARE },
  { "parent", required_argument, NULL, OPT_PARENT },
  { "parent-model", required_argument, NULL, OPT_PARENT_MODEL },
  { "parent-map", required_argument, NULL, OPT_PARENT_MAP },
  { "hint", required_argument, NULL, OPT_HINT },
  { "parent-cid", required_argument, NULL, OPT_PARENT_CID },
  { "random", no_argument, NULL, OPT_RANDOM },
  { "dialect", required_argument, NULL, OPT_DIALECT },
  { "encoding", required_argument, NULL, OPT_ENCODING },
  { "cid", required_argument, NULL, OPT_CID },
  { "fill", required_argument, NULL, OPT_FILL },
  { "seed", required_argument, NULL, OPT_SEED },
  { "data", required_argument, NULL, OPT_DATA },
  { "from", required_argument, NULL, OPT_FROM },
  { "model", required_argument, NULL, OPT_MODEL },
  { "map", required_argument, NULL, OPT_MAP },
  { "damage", required_argument, NULL, OPT_DAMAGE },
  { "list-damage", no_argument, NULL, OPT_LIST_DAMAGE },
  { "list-dialects", no_argument, NULL, OPT_LIST_DIALECTS },
  { "help", no_argument, NULL, OPT_HELP },
  { NULL, 0, NULL, 0 }
};

/* In the order of the enums. */
static const char *const fill_names[] = {
  "random", "full", "empty", "every-other", "edges"
};
static const char *const data_names[] = { "mixed", "text", "random" };
static const char *const style_names[] = {
  "A", "B", "C", "D", "E", "markerless-sized", "markerless-bare"
};

static bool random_chain;

#define NR(a) (sizeof (a) / sizeof (a)[0])

static unsigned
parse_choice (const char *what, const char *s, const char *const *names,
              size_t n)
{
  unsigned i;

  for (i = 0; i < n; i++)
    if (strcmp (names[i], s) == 0)
      return i;
  die ("%s cannot be '%s'; see --help", what, s);
}

static uint64_t
parse_number (const char *what, const char *s, uint64_t min, uint64_t max)
{
  char *end;
  uint64_t v;

  errno = 0;
  v = strtoull (s, &end, 0);
  if (errno || end == s || *end != '\0' || *s == '-' || v < min || v > max)
    die ("%s cannot be '%s'", what, s);
  return v;
}

static uint64_t
parse_power (const char *what, const char *s)
{
  uint64_t v = parse_number (what, s, 1, 65536);

  if (v & (v - 1))
    die ("%s must be a power of two", what);
  return v;
}

static void
parse_option (struct options *opt, int c, char *arg)
{
  switch (c) {
  case OPT_SIZE:
    opt->size = parse_size ("--size", arg);
    if (opt->size == 0)
      die ("--size cannot be 0");
    break;
  case OPT_GRAIN:
    opt->grain = parse_power ("--grain", arg);
    break;
  case OPT_GTES:
    opt->gtes = parse_power ("--gtes", arg);
    break;
  case OPT_VERSION:
    opt->version = (unsigned) parse_number ("--version", arg, 1, 3);
    break;
  case OPT_NO_RGD:
    opt->no_rgd = true;
    break;
  case OPT_PRIMARY_ONLY:
    opt->primary_only = true;
    break;
  case OPT_ZEROED:
    opt->zeroed = true;
    break;
  case OPT_SPARSE_GD:
    opt->sparse_gd = true;
    break;
  case OPT_SHUFFLE:
    opt->shuffle = true;
    break;
  case OPT_GD_BEHIND:
    opt->gd_behind = true;
    break;
  case OPT_UNALIGNED:
    opt->unaligned = true;
    break;
  case OPT_HEADER_ROUNDED:
    opt->header_rounded = true;
    break;
  case OPT_EXTENT_SIZE:
    opt->extent_size = parse_size ("--extent-size", arg);
    if (opt->extent_size == 0)
      die ("--extent-size cannot be 0");
    break;
  case OPT_EXTENTS:
    opt->extents = arg;
    break;
  case OPT_FLAT_OFFSET:
    opt->flat_offset = parse_size ("--flat-offset", arg);
    break;
  case OPT_ONE_FILE:
    opt->one_file = true;
    break;
  case OPT_NAME:
    opt->name = arg;
    break;
  case OPT_SEPARATE_DESCRIPTOR:
    opt->separate_descriptor = true;
    break;
  case OPT_WRAPPED:
    opt->wrapped = true;
    break;
  case OPT_LAYOUT_STYLE:
    opt->style = (enum stream_style) parse_choice ("--layout-style", arg,
                                                   style_names,
                                                   NR (style_names));
    break;
  case OPT_LEVEL:
    opt->level = (int) parse_number ("--level", arg, 0, 12);
    break;
  case OPT_PROGRESS_MARKERS:
    opt->progress_markers = true;
    break;
  case OPT_OLD_COWD:
    opt->old_cowd = true;
    break;
  case OPT_BARE:
    opt->bare = true;
    break;
  case OPT_PARENT:
    opt->parent = arg;
    break;
  case OPT_PARENT_MODEL:
    opt->parent_model = arg;
    break;
  case OPT_PARENT_MAP:
    opt->parent_map = arg;
    break;
  case OPT_HINT:
    opt->hint = arg;
    break;
  case OPT_PARENT_CID:
    opt->parent_cid = arg;
    break;
  case OPT_RANDOM:
    random_chain = true;
    break;
  case OPT_DIALECT:
    dialect_check (arg);
    opt->dialect = arg;
    break;
  case OPT_ENCODING:
    opt->encoding = arg;
    break;
  case OPT_CID:
    opt->cid = arg;
    break;
  case OPT_FILL:
    opt->fill = (enum fill) parse_choice ("--fill", arg, fill_names,
                                          NR (fill_names));
    break;
  case OPT_SEED:
    opt->seed = parse_number ("--seed", arg, 0, UINT64_MAX);
    break;
  case OPT_DATA:
    opt->data = (enum data_class) parse_choice ("--data", arg, data_names,
                                                NR (data_names));
    break;
  case OPT_FROM:
    opt->from = arg;
    break;
  case OPT_MODEL:
    opt->model = arg;
    break;
  case OPT_MAP:
    opt->map = arg;
    break;
  case OPT_DAMAGE:
    opt->damage = arg;
    break;
  case OPT_LIST_DAMAGE:
    damage_list ();
    exit (EXIT_SUCCESS);
  case OPT_LIST_DIALECTS:
    dialect_list ();
    exit (EXIT_SUCCESS);
  case OPT_HELP:
    fputs (usage_text, stdout);
    exit (EXIT_SUCCESS);
  default:
    exit (EXIT_FAILURE);
  }
}

int
main (int argc, char *argv[])
{
  struct options opt;
  struct model model;
  int c;

  options_init (&opt);
  while ((c = getopt_long (argc, argv, "", long_options, NULL)) != -1)
    parse_option (&opt, c, optarg);
  if (random_chain) {
    if (argc - optind != 1)
      die ("with --random the argument is OUTDIR; see --help");
    random_make (argv[optind], opt.seed);
    exit (EXIT_SUCCESS);
  }
  if (argc - optind != 2)
    die ("the arguments are KIND OUTPUT.vmdk; see --help");
  opt.kind = (enum kind) parse_choice ("KIND", argv[optind], kind_names,
                                       NR_KINDS);
  opt.output = argv[optind + 1];
  options_finish (&opt);

  model_init (&model, opt.model);
  if (opt.parent_map)
    model_load_parent (&model, opt.parent_model, opt.parent_map);
  link_make (&opt, &model);
  if (opt.map)
    model_save_map (&model, opt.map);
  model_free (&model);
  exit (EXIT_SUCCESS);
}
