/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "util.h"

struct version {
  uint32_t op;                  /* index */
  uint64_t hash;                /* of the sector */
};

struct sector {
  size_t nr, max;
  struct version *versions;
};

struct op {
  uint64_t offset, count;
  uint64_t begin, end;          /* moments; UINT64_MAX: not yet */
  bool fua;
};

struct flush {
  uint64_t begin, end;
};

struct model {
  struct record *rec;
  uint32_t first;
  uint64_t size;
  uint8_t *live;
  struct sector *sectors;
  pthread_mutex_t lock;         /* of what follows */
  size_t nr_ops, max_ops;
  struct op *ops;               /* the first one is the content before */
  size_t nr_flushes;
  struct flush *flushes;
};

static uint64_t
hash (const uint8_t *sector)
{
  uint64_t h = 1;
  size_t i;

  for (i = 0; i < SECTOR; i += 8) {
    uint64_t word;

    memcpy (&word, sector + i, 8);
    h = (h ^ word) * UINT64_C (0x9fb21c651e98df25);
    h ^= h >> 32;
  }
  return h;
}

static void
add_version (struct model *m, uint64_t sector, uint32_t op,
             const uint8_t *content)
{
  struct sector *s = &m->sectors[sector];

  if (s->nr == s->max) {
    s->max = s->max * 2 + 2;
    s->versions = must_realloc (s->versions, s->max * sizeof *s->versions);
  }
  s->versions[s->nr++] = (struct version) { .op = op,
                                            .hash = hash (content) };
}

struct model *
model_new (struct record *rec, uint32_t first, const uint8_t *content,
           uint64_t size)
{
  struct model *m = must_alloc (sizeof *m);
  uint64_t i;

  m->rec = rec;
  m->first = first;
  m->size = size;
  m->live = must_alloc (size);
  memcpy (m->live, content, size);
  m->sectors = must_alloc (size / SECTOR * sizeof *m->sectors);
  pthread_mutex_init (&m->lock, NULL);
  m->max_ops = 64;
  m->ops = must_alloc (m->max_ops * sizeof *m->ops);
  m->ops[0].fua = true;
  m->nr_ops = 1;
  for (i = 0; i < size / SECTOR; ++i)
    add_version (m, i, 0, content + i * SECTOR);
  return m;
}

void
model_free (struct model *m)
{
  uint64_t i;

  for (i = 0; i < m->size / SECTOR; ++i)
    free (m->sectors[i].versions);
  free (m->sectors);
  free (m->live);
  free (m->ops);
  free (m->flushes);
  pthread_mutex_destroy (&m->lock);
  free (m);
}

uint32_t
model_number (struct model *m)
{
  uint32_t number;

  pthread_mutex_lock (&m->lock);
  if (m->nr_ops == m->max_ops) {
    m->max_ops *= 2;
    m->ops = must_realloc (m->ops, m->max_ops * sizeof *m->ops);
  }
  m->ops[m->nr_ops] = (struct op) { .begin = UINT64_MAX,
                                    .end = UINT64_MAX };
  number = m->first + (uint32_t) m->nr_ops++;
  pthread_mutex_unlock (&m->lock);
  return number;
}

static struct op
get_op (struct model *m, uint32_t op)
{
  struct op o;

  pthread_mutex_lock (&m->lock);
  o = m->ops[op];
  pthread_mutex_unlock (&m->lock);
  return o;
}

static void
set_op (struct model *m, uint32_t op, const struct op *o)
{
  pthread_mutex_lock (&m->lock);
  m->ops[op] = *o;
  pthread_mutex_unlock (&m->lock);
}

/* Put the part of an operation's content that is in a sector into it. */
static void
overlay (const struct op *o, uint64_t sector, const uint8_t *new,
         uint8_t *buf)
{
  const uint64_t start = sector * SECTOR;
  const uint64_t from = o->offset > start ? o->offset : start;
  const uint64_t end = o->offset + o->count < start + SECTOR ?
    o->offset + o->count : start + SECTOR;

  if (new)
    memcpy (buf + (from - start), new + (from - o->offset), end - from);
  else
    memset (buf + (from - start), 0, end - from);
}

static uint64_t
first_sector (const struct op *o)
{
  return o->offset / SECTOR;
}

static uint64_t
last_sector (const struct op *o)
{
  return (o->offset + o->count - 1) / SECTOR;
}

void
model_begin (struct model *m, uint32_t number, const uint8_t *new,
             uint64_t count, uint64_t offset, bool fua)
{
  const struct op o = {
    .offset = offset, .count = count, .fua = fua,
    .begin = record_mark (m->rec), .end = UINT64_MAX,
  };
  uint8_t buf[SECTOR];
  uint64_t s;

  set_op (m, number - m->first, &o);
  for (s = first_sector (&o); s <= last_sector (&o); ++s) {
    memcpy (buf, m->live + s * SECTOR, SECTOR);
    overlay (&o, s, new, buf);
    add_version (m, s, number - m->first, buf);
  }
}

static void
end_op (struct model *m, uint32_t op, struct op *o)
{
  o->end = record_mark (m->rec);
  set_op (m, op, o);
}

void
model_done (struct model *m, uint32_t number, const uint8_t *new)
{
  struct op o = get_op (m, number - m->first);

  if (new)
    memcpy (m->live + o.offset, new, o.count);
  else
    memset (m->live + o.offset, 0, o.count);
  end_op (m, number - m->first, &o);
}

void
model_void (struct model *m, uint32_t number)
{
  const struct op o = { .begin = UINT64_MAX, .end = UINT64_MAX };

  set_op (m, number - m->first, &o);
}

char *
model_done_maybe (struct model *m, uint32_t number, const uint8_t *new,
                  const uint8_t *now, bool failed)
{
  struct op o = get_op (m, number - m->first);
  uint64_t i, s;

  for (i = 0; i < o.count; ++i)
    if (now[i] != (new ? new[i] : 0) && now[i] != m->live[o.offset + i])
      return must_print ("byte %" PRIu64 " of the disk is neither what it "
                         "was nor what it became", o.offset + i);
  memcpy (m->live + o.offset, now, o.count);
  for (s = first_sector (&o); s <= last_sector (&o); ++s)
    add_version (m, s, number - m->first, m->live + s * SECTOR);
  o.fua &= !failed;
  end_op (m, number - m->first, &o);
  return NULL;
}

uint64_t
model_flush_begin (struct model *m)
{
  return record_mark (m->rec);
}

void
model_flush_done (struct model *m, uint64_t begin)
{
  const uint64_t end = record_mark (m->rec);

  pthread_mutex_lock (&m->lock);
  m->flushes = must_realloc (m->flushes,
                             (m->nr_flushes + 1) * sizeof *m->flushes);
  m->flushes[m->nr_flushes++] = (struct flush) { begin, end };
  pthread_mutex_unlock (&m->lock);
}

uint64_t
model_flushed_at (const struct model *m, uint64_t random)
{
  return m->nr_flushes == 0 ? 0 :
    m->flushes[random % m->nr_flushes].end;
}

char *
model_compare (struct model *m, const uint8_t *buf, uint64_t count,
               uint64_t offset)
{
  uint64_t i;

  if (memcmp (buf, m->live + offset, count) == 0)
    return NULL;
  for (i = 0; buf[i] == m->live[offset + i]; ++i)
    ;
  return must_print ("byte %" PRIu64 " (sector %" PRIu64 ") of the disk is "
                     "%02x and must be %02x", offset + i,
                     (offset + i) / SECTOR, buf[i], m->live[offset + i]);
}

/* What had returned before this moment was durable at the moment 'cut'. */
static uint64_t
flushed_until (const struct model *m, uint64_t cut)
{
  uint64_t flushed = 0;
  size_t i;

  for (i = 0; i < m->nr_flushes; ++i)
    if (m->flushes[i].end <= cut && m->flushes[i].begin > flushed)
      flushed = m->flushes[i].begin;
  return flushed;
}

/* The first version that a sector may have, if all that had returned
 * before 'flushed' is durable.
 */
static size_t
oldest (const struct model *m, uint64_t flushed, uint64_t cut,
        const struct sector *s)
{
  size_t i;

  for (i = s->nr - 1; i > 0; --i) {
    const struct op *o = &m->ops[s->versions[i].op];

    if (o->end < flushed || (o->fua && o->end <= cut))
      break;
  }
  return i;
}

static char *
explain (const struct model *m, uint64_t cut, uint64_t sector, size_t from,
         const uint8_t *content)
{
  const struct sector *s = &m->sectors[sector];
  char holds[128], *text, *more;
  size_t i;

  describe_sector (content, holds, sizeof holds);
  text = must_print ("sector %" PRIu64 " holds %s, but may hold", sector,
                     holds);
  for (i = from; i < s->nr && m->ops[s->versions[i].op].begin <= cut; ++i) {
    more = must_print ("%s %s%" PRIu32, text,
                       i == from ? "what it did after operation " : "or ",
                       s->versions[i].op == 0 ? 0 :
                       m->first + s->versions[i].op);
    free (text);
    text = more;
  }
  return text;
}

char *
model_check (struct model *m, uint64_t cut, const uint8_t *content)
{
  const uint64_t flushed = flushed_until (m, cut);
  uint64_t sector;
  size_t i;

  for (sector = 0; sector < m->size / SECTOR; ++sector) {
    const struct sector *s = &m->sectors[sector];
    const uint64_t h = hash (content + sector * SECTOR);
    const size_t from = oldest (m, flushed, cut, s);

    for (i = from; i < s->nr; ++i)
      if (m->ops[s->versions[i].op].begin <= cut && s->versions[i].hash == h)
        break;
    if (i == s->nr)
      return explain (m, cut, sector, from, content + sector * SECTOR);
  }
  return NULL;
}

char *
model_adopt (struct model *m, const uint8_t *now)
{
  const uint64_t flushed = flushed_until (m, UINT64_MAX);
  char *problem = model_check (m, record_mark (m->rec), now);
  uint32_t number;
  uint64_t i;

  if (problem)
    return problem;

  /* No later flush need cover what was not flushed by now. */
  for (i = 0; i < m->nr_ops; ++i)
    if (m->ops[i].end >= flushed && !m->ops[i].fua)
      m->ops[i].end = UINT64_MAX;
  number = model_number (m);
  set_op (m, number - m->first, &(struct op) {
      .count = m->size, .begin = record_mark (m->rec), .end = UINT64_MAX });
  for (i = 0; i < m->size / SECTOR; ++i)
    if (memcmp (m->live + i * SECTOR, now + i * SECTOR, SECTOR) != 0)
      add_version (m, i, number - m->first, now + i * SECTOR);
  memcpy (m->live, now, m->size);
  return NULL;
}

const uint8_t *
model_content (const struct model *m)
{
  return m->live;
}
