/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The image generator.
 *
 * It writes VMDK images of every kind, well formed or damaged in a
 * named way, together with a model of what a guest must see: the
 * bytes, and which of them are allocated.  It shares no code with the
 * reader it is there to test.
 *
 * One link is made like this:
 *
 *   link_make       places the extents (gen-link.c, gen-extents.c)
 *   plan_make       decides what every sector holds (gen-plan.c)
 *   *_write         one writer for each format of extent
 *   desc_make       the descriptor's text (gen-desc.c, gen-dialect.c)
 *   damage_*        spoils the text or the files, and the plan with them
 *   model_apply     lays the plan over the model of the parent
 *
 * Any error ends the program: nothing here has to survive one.
 */

#ifndef GEN_H
#define GEN_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECTOR 512

/* gen-util.c: memory, numbers, strings. */

extern void die (const char *fs, ...)
  __attribute__ ((noreturn, format (printf, 1, 2)));
extern void *xcalloc (size_t n, size_t size);
extern void *xreallocarray (void *p, size_t n, size_t size);
extern char *xstrdup (const char *s);
extern char *xasprintf (const char *fs, ...)
  __attribute__ ((format (printf, 1, 2)));

static inline uint64_t
div_up (uint64_t a, uint64_t b)
{
  return a / b + (a % b != 0);
}

static inline uint64_t
round_up (uint64_t a, uint64_t b)
{
  return div_up (a, b) * b;
}

static inline uint64_t
min_u64 (uint64_t a, uint64_t b)
{
  return a < b ? a : b;
}

extern void put_le16 (void *p, uint16_t v);
extern void put_le32 (void *p, uint32_t v);
extern void put_le64 (void *p, uint64_t v);
extern uint32_t get_le32 (const void *p);
extern uint64_t get_le64 (const void *p);

/* A small generator of random numbers (splitmix64). */
extern uint64_t prng (uint64_t *state);
extern uint64_t prng_below (uint64_t *state, uint64_t n);
extern uint64_t prng_hash (uint64_t a, uint64_t b);

/* A growing string.  It is always followed by a NUL. */
struct buf {
  char *data;
  size_t len;
  size_t alloc;
};

extern void buf_add (struct buf *b, const void *data, size_t len);
extern void buf_printf (struct buf *b, const char *fs, ...)
  __attribute__ ((format (printf, 2, 3)));
extern void buf_splice (struct buf *b, size_t at, size_t drop,
                        const char *text);
extern void buf_free (struct buf *b);

/* gen-file.c: files, with a write buffer. */

struct file {
  int fd;
  char *path;
  uint8_t *buf;
  size_t buf_len;
  uint64_t buf_offset;
};

extern void file_create (struct file *f, const char *path);
extern void file_open (struct file *f, const char *path);
extern void file_open_readonly (struct file *f, const char *path);
extern void file_write (struct file *f, const void *data, size_t len,
                        uint64_t offset);
extern void file_zero (struct file *f, uint64_t offset, uint64_t len);
/* What lies beyond the end of the file reads as zeros. */
extern void file_read (struct file *f, void *data, size_t len,
                       uint64_t offset);
extern uint64_t file_size (struct file *f);
extern void file_truncate (struct file *f, uint64_t size);
/* The next run of data at or after OFFSET; false if there is none. */
extern bool file_next_data (struct file *f, uint64_t offset,
                            uint64_t *start, uint64_t *end);
extern void file_close (struct file *f);

/* gen-runs.c: what each sector of a disk is, as a sorted list. */

enum run_type {
  RUN_HOLE,                     /* not allocated: the parent shows */
  RUN_DATA,                     /* allocated, the content of gen-content.c */
  RUN_BLANK,                    /* allocated, the bytes are zero */
  RUN_ZERO,                     /* marked as zero: hides the parent */
  RUN_ERROR,                    /* cannot be read */
};

struct run {
  uint64_t start;
  uint64_t len;
  enum run_type type;
};

struct runs {
  struct run *run;
  size_t n;
  size_t alloc;
};

extern uint64_t runs_end (const struct runs *rs);
extern void runs_append (struct runs *rs, uint64_t len, enum run_type type);
extern void runs_copy (struct runs *to, const struct runs *rs);
extern void runs_set (struct runs *rs, uint64_t start, uint64_t len,
                      enum run_type type);
extern void runs_overlay (struct runs *under, const struct runs *over);
extern void runs_resize (struct runs *rs, uint64_t len);
/* The run that holds SECTOR.  *HINT remembers the place. */
extern const struct run *runs_find (const struct runs *rs, uint64_t sector,
                                    size_t *hint);
extern void runs_free (struct runs *rs);

/* gen-content.c: the bytes of a data sector. */

enum data_class { DATA_MIXED, DATA_TEXT, DATA_RANDOM };

struct content {
  enum data_class class;
  uint64_t seed;
  struct file *from;            /* if set, the bytes come from this file */
};

extern void content_fill (const struct content *c, uint64_t sector,
                          uint64_t n, uint8_t *buf);

/* Options: everything the command line can ask for. */

enum kind {
  MONOLITHIC_SPARSE,
  TWO_GB_SPARSE,
  MONOLITHIC_FLAT,
  TWO_GB_FLAT,
  VMFS,
  CUSTOM,
  STREAM_OPTIMIZED,
  VMFS_SPARSE,
  SE_SPARSE,
};
#define NR_KINDS 9

extern const char *const kind_names[NR_KINDS];

enum fill {
  FILL_RANDOM, FILL_FULL, FILL_EMPTY, FILL_EVERY_OTHER, FILL_EDGES
};

enum stream_style {
  STYLE_A, STYLE_B, STYLE_C, STYLE_D, STYLE_E,
  STYLE_MARKERLESS_SIZED,       /* a 4 byte size in front of each grain */
  STYLE_MARKERLESS_BARE,        /* nothing in front */
};

struct options {
  enum kind kind;
  const char *output;
  uint64_t size;                /* this and all others in sectors */
  uint64_t grain;
  uint64_t gtes;
  unsigned version;             /* 0 = what the other options call for */
  bool no_rgd;
  bool primary_only;
  bool zeroed;
  bool sparse_gd;
  bool shuffle;
  bool gd_behind;
  bool unaligned;
  bool header_rounded;
  bool separate_descriptor;
  bool wrapped;
  bool one_file;
  bool old_cowd;
  bool bare;
  enum stream_style style;
  int level;                    /* of compression */
  bool progress_markers;
  uint64_t extent_size;
  uint64_t flat_offset;
  const char *extents;
  const char *name;
  const char *encoding;
  const char *dialect;
  enum fill fill;
  enum data_class data;
  uint64_t seed;
  const char *from;
  const char *parent;
  const char *parent_model;
  const char *parent_map;
  const char *hint;
  const char *cid;
  const char *parent_cid;
  const char *damage;
  const char *model;
  const char *map;
};

extern void options_init (struct options *opt);
/* Fill in what depends on other options, and check them. */
extern void options_finish (struct options *opt);

/* Extents and links. */

enum extent_type {
  EXT_SPARSE,
  EXT_FLAT,
  EXT_ZERO,
  EXT_VMFS,
  EXT_VMFSSPARSE,
  EXT_SESPARSE,
  EXT_VMFSRDM,
  EXT_VMFSRAW,
};
#define NR_EXTENT_TYPES 8

extern const char *const extent_type_names[NR_EXTENT_TYPES];

enum access { RW, RDONLY, NOACCESS };

extern const char *const access_names[3];

/* Where a writer has put the parts of a sparse extent.  Offsets are
 * sectors of the file.  A table that is NULL is all zero.
 */
struct layout {
  uint64_t grain;
  uint64_t gtes;                /* entries in a grain table */
  uint64_t ngrains;
  uint64_t ngts;
  uint64_t gt_sectors;
  uint64_t gd_sectors;
  uint64_t desc;                /* 0 = no descriptor in this file */
  uint64_t desc_sectors;
  uint64_t gd;
  uint64_t rgd;                 /* 0 = no redundant directory */
  uint64_t overhead;
  uint64_t first_gt;            /* seSparse: where table number 0 is */
  uint64_t footer;              /* 0 = not a stream that has one */
  uint64_t *gde;
  uint64_t *rgde;
  uint64_t **gt;                /* as stored in the file */
  uint32_t **size;              /* streams: bytes stored for each grain */
};

struct extent {
  enum extent_type type;
  enum access access;
  uint64_t start;               /* on the virtual disk */
  uint64_t sectors;
  uint64_t grain;
  uint64_t offset;              /* flat types: in the file */
  bool first_line;              /* that names its file */
  char *name;                   /* as in the descriptor, but UTF-8 */
  char *path;
  struct layout layout;
};

struct link {
  const struct options *opt;
  char *path;                   /* what a user would open */
  char *dir;
  char *base;                   /* the name, without .vmdk */
  uint64_t sectors;
  struct extent *extent;
  size_t nr_extents;
  struct runs plan;
  struct runs intact;           /* the plan before any damage */
  struct content content;
  uint32_t cid;
  uint32_t parent_cid;
  char *hint;                   /* NULL = no parent */
  const struct damage *damage;
};

/* Make one link and all its files. */
struct model;
extern void link_make (const struct options *opt, struct model *m);

/* gen-extents.c */
extern uint64_t parse_size (const char *what, const char *s);
extern void extents_place (struct link *l);
extern void extents_free (struct link *l);
static inline bool
extent_is_flat (const struct extent *e)
{
  return e->type == EXT_FLAT || e->type == EXT_VMFS ||
    e->type == EXT_VMFSRDM || e->type == EXT_VMFSRAW;
}

/* gen-plan.c */
extern void plan_make (struct link *l);
/* The bytes of an extent, from SECTOR of the disk.  What lies behind
 * the extent's end is filled with PAD.
 */
extern void plan_fill (const struct link *l, const struct extent *e,
                       uint64_t sector, uint64_t n, uint8_t pad,
                       uint8_t *buf);
extern bool extent_has_zeros (const struct link *l, const struct extent *e);

/* The grains of an extent that need an entry in its tables, in
 * ascending order.
 */
struct grain {
  uint64_t number;
  bool zero;                    /* marked, no data */
};

struct grains {
  struct grain *grain;
  size_t n;
};

extern struct grains plan_grains (const struct link *l,
                                  const struct extent *e);
extern void grains_shuffle (struct grains *gs, uint64_t seed);

/* gen-model.c: what the guest must see. */

struct model {
  struct file raw;
  bool have_raw;
  struct runs map;
};

extern void model_init (struct model *m, const char *raw);
extern void model_load_parent (struct model *m, const char *raw,
                               const char *map);
extern void model_apply (struct model *m, const struct link *l);
extern void model_save_map (const struct model *m, const char *path);
extern void model_free (struct model *m);

/* gen-desc.c, gen-dialect.c: the descriptor. */

extern void desc_make (const struct link *l, struct buf *text);
extern char *desc_convert (const struct options *opt, const char *name);
/* The CID in a file the generator has made. */
extern uint32_t desc_read_cid (const char *path);

extern bool dialect_is (const struct options *opt, const char *name);
extern void dialect_check (const char *name);
extern void dialect_apply (const struct link *l, struct buf *text);
extern void dialect_list (void);
extern const char *dialect_random (uint64_t *state);

/* gen-layout.c: tables common to all sparse formats. */

extern void layout_init (struct layout *lay, uint64_t sectors,
                         uint64_t grain, uint64_t gtes);
extern void layout_set (struct layout *lay, uint64_t grain, uint64_t entry);
extern uint64_t layout_get (const struct layout *lay, uint64_t grain);
extern void layout_free (struct layout *lay);
extern bool *layout_present (const struct layout *lay,
                             const struct grains *gs, bool used_only);
extern uint64_t layout_place_set (const struct layout *lay,
                                  const bool *present, uint64_t pos,
                                  uint64_t *gd, uint64_t *gde);
extern void layout_write_gt (const struct layout *lay, struct file *f,
                             const uint64_t *gt, uint64_t sector);
extern void layout_write_gd (const struct layout *lay, struct file *f,
                             const uint64_t *gde, uint64_t sector);
extern void layout_write_tables (const struct layout *lay, struct file *f);

/* The writers, one file each.  TEXT is a descriptor to embed, or NULL. */

extern void flat_write (struct link *l, struct extent *e);
extern void sparse_write (struct link *l, struct extent *e,
                          const struct buf *text);
extern void sparse_wrap (const struct link *l, const struct buf *text);
extern void stream_write (struct link *l, struct extent *e,
                          const struct buf *text);
extern void cowd_write (struct link *l, struct extent *e);
extern void sesparse_write (struct link *l, struct extent *e);

/* The header of a hosted sparse extent (gen-sparse.c). */

#define HDR_VERSION 4
#define HDR_FLAGS 8
#define HDR_CAPACITY 12
#define HDR_GRAIN 20
#define HDR_DESC 28
#define HDR_DESC_SIZE 36
#define HDR_GTES 44
#define HDR_RGD 48
#define HDR_GD 56
#define HDR_OVERHEAD 64
#define HDR_UNCLEAN 72
#define HDR_NEWLINE 73
#define HDR_COMPRESS 77

#define FLAG_NEWLINE 0x1
#define FLAG_RGD 0x2
#define FLAG_ZEROED 0x4
#define FLAG_COMPRESSED 0x10000
#define FLAG_MARKERS 0x20000

extern void sparse_header (const struct layout *lay, uint64_t capacity,
                           uint32_t version, uint32_t flags, uint64_t gd,
                           uint8_t header[SECTOR]);

/* The header of a COWD extent (gen-cowd.c). */

#define COWD_VERSION 4
#define COWD_FLAGS 8
#define COWD_SECTORS 12
#define COWD_GRAIN 16
#define COWD_GD 20
#define COWD_GDES 24
#define COWD_FREE 28

/* seSparse grain table entries with data (gen-sesparse.c). */
extern uint64_t sesparse_entry (uint64_t index);
extern uint64_t sesparse_index (uint64_t entry);

/* gen-random.c: a random chain in a directory. */
extern void random_make (const char *dir, uint64_t seed);

/* Damage. */

#define K(kind) (1u << (kind))
#define KINDS_KDMV (K (MONOLITHIC_SPARSE) | K (TWO_GB_SPARSE))
#define KINDS_FLAT (K (MONOLITHIC_FLAT) | K (TWO_GB_FLAT) | K (VMFS))
#define KINDS_ESX (K (VMFS_SPARSE) | K (SE_SPARSE))
#define KINDS_TEXT (K (TWO_GB_SPARSE) | KINDS_FLAT | KINDS_ESX)
#define KINDS_CHILD \
  (KINDS_KDMV | K (STREAM_OPTIMIZED) | KINDS_ESX)

struct damage {
  const char *name;
  enum { REFUSE, OPEN } verdict;
  unsigned kinds;
  const char *what;
  /* The options, where the damage needs some. */
  void (*prepare) (struct options *opt);
  /* The descriptor's text, before it is written. */
  void (*text) (struct link *l, struct buf *text);
  /* The files, after they are written.  It corrects the plan. */
  void (*files) (struct link *l);
  /* For the many that set one field of a header: see damage_header. */
  uint16_t offset;
  uint16_t size;
  uint64_t value;
};

/* One table in each file.  It ends with an entry that has no name. */
extern const struct damage damage_header[];
extern const struct damage damage_tables[];
extern const struct damage damage_text[];
extern const struct damage damage_files[];
extern const struct damage damage_stream[];
extern const struct damage damage_esx[];
extern const struct damage damage_chain[];

extern const struct damage *damage_find (const char *name, enum kind kind);
extern void damage_list (void);
extern void damage_apply (struct link *l);

/* For the functions that do damage. */
extern struct extent *damage_extent (struct link *l);
extern void damage_patch (const char *path, uint64_t offset, uint64_t value,
                          unsigned size);
extern void damage_fill (const char *path, uint64_t sector, uint64_t n,
                         uint8_t byte);
extern void damage_cut (const char *path, uint64_t bytes);
/* Grain G is from now on of this type. */
extern void damage_mark (struct link *l, const struct extent *e, uint64_t g,
                         enum run_type type);
/* A grain with data, about in the middle of the extent. */
extern uint64_t damage_grain (const struct extent *e);
extern void damage_need_rgd (const struct extent *e);
/* For prepare: room for one more grain in the last grain table; a last
 * grain that is allocated and goes beyond the end of the disk.
 */
extern void damage_roomy_size (struct options *opt);
extern void damage_odd_size (struct options *opt);

#endif /* GEN_H */
