/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Damage to streamOptimized files. */

#include <config.h>

#include <stdlib.h>

#include <libdeflate.h>

#include "gen.h"

#define MARKER_SIZE 8           /* offset of the field in a grain marker */
#define MARKER_DATA 12

/* The grain that is spoiled: what its marker says, and where it is. */
struct victim {
  struct extent *e;
  uint64_t g;
  uint64_t byte;                /* of the marker in the file */
  uint32_t size;                /* of the compressed data */
};

static struct victim
choose_victim (struct link *l)
{
  struct extent *e = damage_extent (l);
  const struct layout *lay = &e->layout;
  struct victim v = { .e = e, .g = damage_grain (e) };

  if (l->opt->style > STYLE_E)
    die ("this damage needs a layout style with markers");
  v.byte = layout_get (lay, v.g) * SECTOR;
  v.size = lay->size[v.g / lay->gtes][v.g % lay->gtes];
  return v;
}

static uint64_t
end_of_file (const char *path)
{
  struct file f;
  uint64_t size;

  file_open_readonly (&f, path);
  size = file_size (&f);
  file_close (&f);
  return size;
}

static void
need_footer (const struct extent *e)
{
  if (e->layout.footer == 0)
    die ("this damage needs a layout style with a footer");
}

static void
style_b (struct options *opt)
{
  opt->style = STYLE_B;
}

static void
style_c (struct options *opt)
{
  opt->style = STYLE_C;
}

static void
style_e_odd_size (struct options *opt)
{
  opt->style = STYLE_E;
  damage_odd_size (opt);
}

static void
progress_markers (struct options *opt)
{
  opt->progress_markers = true;
}

static void
no_footer (struct link *l)
{
  struct extent *e = damage_extent (l);

  need_footer (e);
  damage_cut (e->path, (e->layout.footer - 1) * SECTOR);
}

static void
cut_in_stream (struct link *l)
{
  struct victim v = choose_victim (l);

  need_footer (v.e);
  damage_cut (v.e->path, v.byte + 20);
}

static void
footer_magic (struct link *l)
{
  struct extent *e = damage_extent (l);

  need_footer (e);
  damage_patch (e->path, e->layout.footer * SECTOR, 0x58585858, 4);
}

static void
footer_capacity (struct link *l)
{
  struct extent *e = damage_extent (l);

  need_footer (e);
  damage_patch (e->path, e->layout.footer * SECTOR + HDR_CAPACITY,
                e->sectors * 2, 8);
}

static void
footer_marker_val (struct link *l)
{
  struct extent *e = damage_extent (l);

  need_footer (e);
  damage_patch (e->path, (e->layout.footer - 1) * SECTOR, 0, 8);
}

static void
header_gd_wrong (struct link *l)
{
  struct extent *e = damage_extent (l);

  need_footer (e);
  damage_patch (e->path, HDR_GD, 1, 8);
}

static void
no_eos (struct link *l)
{
  struct extent *e = damage_extent (l);

  damage_cut (e->path, end_of_file (e->path) - SECTOR);
}

static void
trailing (struct link *l, uint8_t byte)
{
  struct extent *e = damage_extent (l);
  uint64_t end = end_of_file (e->path);

  damage_fill (e->path, end / SECTOR, 2, byte);
  damage_cut (e->path, end + 1000);
}

static void
trailing_garbage (struct link *l)
{
  trailing (l, 0x5a);
}

static void
trailing_zeros (struct link *l)
{
  trailing (l, 0);
}

static void
spoil (struct link *l, const struct victim *v, uint64_t offset,
       uint64_t value, unsigned size)
{
  damage_patch (v->e->path, v->byte + offset, value, size);
  damage_mark (l, v->e, v->g, RUN_ERROR);
}

static void
lba_of_another (struct link *l)
{
  struct victim v = choose_victim (l);

  spoil (l, &v, 0, (v.g ^ 1) * v.e->grain, 8);
}

static void
lba_past_end (struct link *l)
{
  struct victim v = choose_victim (l);

  spoil (l, &v, 0, round_up (v.e->sectors, v.e->grain), 8);
}

static void
lba_huge (struct link *l)
{
  struct victim v = choose_victim (l);

  spoil (l, &v, 0, UINT64_C (1) << 55 | v.g * v.e->grain, 8);
}

static void
size_0 (struct link *l)
{
  struct victim v = choose_victim (l);

  spoil (l, &v, MARKER_SIZE, 0, 4);
}

static void
size_ones (struct link *l)
{
  struct victim v = choose_victim (l);

  spoil (l, &v, MARKER_SIZE, UINT32_MAX, 4);
}

static void
size_past_file (struct link *l)
{
  struct victim v = choose_victim (l);

  spoil (l, &v, MARKER_SIZE, end_of_file (v.e->path) - v.byte, 4);
}

/* The compressed data lose their last byte. */
static void
size_too_small (struct link *l)
{
  struct victim v = choose_victim (l);

  spoil (l, &v, MARKER_SIZE, v.size - 1, 4);
}

static void
zlib_header (struct link *l)
{
  struct victim v = choose_victim (l);

  spoil (l, &v, MARKER_DATA, 0xff, 1);
}

/* A deflate block of the type that does not exist. */
static void
zlib_data (struct link *l)
{
  struct victim v = choose_victim (l);

  spoil (l, &v, MARKER_DATA + 2, 0x07, 1);
}

static void
zlib_adler (struct link *l)
{
  struct victim v = choose_victim (l);
  uint8_t byte;
  struct file f;

  file_open_readonly (&f, v.e->path);
  file_read (&f, &byte, 1, v.byte + MARKER_DATA + v.size - 1);
  file_close (&f);
  spoil (l, &v, MARKER_DATA + v.size - 1, byte ^ 1u, 1);
}

/* A good zlib stream of another length in the place of the grain. */
static void
zlib_of_length (struct link *l, uint64_t sectors)
{
  struct victim v = choose_victim (l);
  struct libdeflate_compressor *c = libdeflate_alloc_compressor (9);
  size_t room = (size_t) (round_up (MARKER_DATA + v.size, SECTOR) -
                          MARKER_DATA), len;
  uint8_t *raw = xcalloc (sectors, SECTOR), *data = xcalloc (1, room);
  struct file f;

  if (c == NULL)
    die ("out of memory");
  len = libdeflate_zlib_compress (c, raw, (size_t) sectors * SECTOR, data,
                                  room);
  if (len == 0)
    die ("this damage needs a grain that compresses less well");
  file_open (&f, v.e->path);
  file_write (&f, data, room, v.byte + MARKER_DATA);
  file_close (&f);
  spoil (l, &v, MARKER_SIZE, len, 4);
  libdeflate_free_compressor (c);
  free (raw);
  free (data);
}

static void
zlib_too_short (struct link *l)
{
  zlib_of_length (l, div_up (damage_extent (l)->grain, 2));
}

static void
zlib_too_long (struct link *l)
{
  zlib_of_length (l, damage_extent (l)->grain * 2);
}

/* At the end of the stream, a second grain for a place that has one.
 * The grain table knows the first.
 */
static void
lba_twice (struct link *l)
{
  struct victim v = choose_victim (l);
  const struct layout *lay = &v.e->layout;
  size_t len = (size_t) round_up (MARKER_DATA + v.size, SECTOR);
  uint8_t *copy = xcalloc (1, len + SECTOR);
  uint64_t end = end_of_file (v.e->path) - SECTOR, other = 0;
  struct file f;

  if (l->opt->style != STYLE_B && l->opt->style != STYLE_D)
    die ("this damage needs layout style B or D");
  while (other < v.g && layout_get (lay, other) <= 1)
    other++;
  if (other == v.g)
    die ("this damage needs two grains with data");
  file_open (&f, v.e->path);
  file_read (&f, copy, len, v.byte);
  put_le64 (copy, other * v.e->grain);
  file_write (&f, copy, len + SECTOR, end);
  file_close (&f);
  free (copy);
}

#define STREAM(name, verdict, prepare, fn, what)                        \
  { name, verdict, K (STREAM_OPTIMIZED), what, prepare, NULL, fn, 0, 0, 0 }

const struct damage damage_stream[] = {
  STREAM ("stream-no-footer", REFUSE, NULL, no_footer,
          "the file ends in front of the footer"),
  STREAM ("stream-cut", REFUSE, NULL, cut_in_stream,
          "the file ends in a grain, and so has no footer"),
  STREAM ("footer-magic", REFUSE, NULL, footer_magic,
          "the footer is no header"),
  STREAM ("footer-capacity", REFUSE, NULL, footer_capacity,
          "the footer has another capacity than the header"),
  STREAM ("footer-marker-val", OPEN, NULL, footer_marker_val,
          "the footer's marker counts 0 sectors"),
  STREAM ("header-gd-wrong", OPEN, style_c, header_gd_wrong,
          "the header has a wrong gdOffset, the footer the right one"),
  STREAM ("no-eos", OPEN, style_b, no_eos,
          "no end of stream marker, tables in front"),
  STREAM ("trailing-garbage", OPEN, NULL, trailing_garbage,
          "1000 bytes that are not zero behind the end of the stream"),
  STREAM ("trailing-zeros", OPEN, NULL, trailing_zeros,
          "1000 zeros behind the end of the stream"),
  STREAM ("progress-markers", OPEN, progress_markers, NULL,
          "markers of type 4 between grains"),
  STREAM ("last-grain-short", OPEN, style_e_odd_size, NULL,
          "the last grain ends where the disk does, as QEMU writes it"),
  STREAM ("lba-twice", OPEN, style_b, lba_twice,
          "two grains for one place, the grain table decides"),
  STREAM ("lba-of-another", OPEN, NULL, lba_of_another,
          "a marker has the lba of another grain"),
  STREAM ("lba-past-end", OPEN, NULL, lba_past_end,
          "a marker's lba is behind the end of the disk"),
  STREAM ("lba-huge", OPEN, NULL, lba_huge,
          "a marker's lba is right but for bit 55"),
  STREAM ("size-0", OPEN, NULL, size_0, "a marker's size is 0"),
  STREAM ("size-ones", OPEN, NULL, size_ones,
          "a marker's size is 2^32 - 1"),
  STREAM ("size-past-file", OPEN, NULL, size_past_file,
          "a grain ends behind the end of the file"),
  STREAM ("size-too-small", OPEN, NULL, size_too_small,
          "a marker's size is a byte too small"),
  STREAM ("zlib-header", OPEN, NULL, zlib_header,
          "a grain's zlib header is wrong"),
  STREAM ("zlib-data", OPEN, NULL, zlib_data,
          "a grain's deflate data are wrong"),
  STREAM ("zlib-adler", OPEN, NULL, zlib_adler,
          "a grain's Adler-32 is wrong"),
  STREAM ("zlib-too-short", OPEN, NULL, zlib_too_short,
          "a grain inflates to half a grain"),
  STREAM ("zlib-too-long", OPEN, NULL, zlib_too_long,
          "a grain inflates to two grains"),
  { .name = NULL }
};
