/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Memory, numbers and strings. */

#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen.h"

void
die (const char *fs, ...)
{
  va_list args;

  fputs ("mkvmdk: ", stderr);
  va_start (args, fs);
  vfprintf (stderr, fs, args);
  va_end (args);
  fputc ('\n', stderr);
  exit (EXIT_FAILURE);
}

void *
xcalloc (size_t n, size_t size)
{
  void *p = calloc (n ? n : 1, size);

  if (p == NULL)
    die ("out of memory");
  return p;
}

void *
xreallocarray (void *p, size_t n, size_t size)
{
  p = reallocarray (p, n ? n : 1, size);
  if (p == NULL)
    die ("out of memory");
  return p;
}

char *
xstrdup (const char *s)
{
  char *r = strdup (s);

  if (r == NULL)
    die ("out of memory");
  return r;
}

char *
xasprintf (const char *fs, ...)
{
  va_list args;
  char *r;
  int n;

  va_start (args, fs);
  n = vasprintf (&r, fs, args);
  va_end (args);
  if (n == -1)
    die ("out of memory");
  return r;
}

static void
put_le (uint8_t *p, uint64_t v, size_t size)
{
  size_t i;

  for (i = 0; i < size; i++)
    p[i] = (uint8_t) (v >> (8 * i));
}

void
put_le16 (void *p, uint16_t v)
{
  put_le (p, v, 2);
}

void
put_le32 (void *p, uint32_t v)
{
  put_le (p, v, 4);
}

void
put_le64 (void *p, uint64_t v)
{
  put_le (p, v, 8);
}

static uint64_t
get_le (const uint8_t *p, size_t size)
{
  uint64_t v = 0;

  while (size > 0)
    v = v << 8 | p[--size];
  return v;
}

uint32_t
get_le32 (const void *p)
{
  return (uint32_t) get_le (p, 4);
}

uint64_t
get_le64 (const void *p)
{
  return get_le (p, 8);
}

uint64_t
prng (uint64_t *state)
{
  uint64_t z = *state += UINT64_C (0x9e3779b97f4a7c15);

  z = (z ^ (z >> 30)) * UINT64_C (0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C (0x94d049bb133111eb);
  return z ^ (z >> 31);
}

/* 0 … n-1.  The bias is of no importance here. */
uint64_t
prng_below (uint64_t *state, uint64_t n)
{
  return prng (state) % n;
}

/* A number that depends on both A and B and nothing else. */
uint64_t
prng_hash (uint64_t a, uint64_t b)
{
  uint64_t state = a;

  state = prng (&state) ^ b;
  return prng (&state);
}

static void
buf_reserve (struct buf *b, size_t more)
{
  size_t need = b->len + more + 1;

  if (need <= b->alloc)
    return;
  b->alloc = need + need / 2;
  b->data = xreallocarray (b->data, b->alloc, 1);
}

void
buf_add (struct buf *b, const void *data, size_t len)
{
  buf_reserve (b, len);
  if (len > 0)
    memcpy (b->data + b->len, data, len);
  b->len += len;
  b->data[b->len] = '\0';
}

void
buf_printf (struct buf *b, const char *fs, ...)
{
  va_list args;
  char *s;
  int n;

  va_start (args, fs);
  n = vasprintf (&s, fs, args);
  va_end (args);
  if (n == -1)
    die ("out of memory");
  buf_add (b, s, (size_t) n);
  free (s);
}

/* Replace DROP bytes at AT by TEXT. */
void
buf_splice (struct buf *b, size_t at, size_t drop, const char *text)
{
  size_t len = strlen (text);

  buf_reserve (b, len);
  memmove (b->data + at + len, b->data + at + drop, b->len - at - drop + 1);
  memcpy (b->data + at, text, len);
  b->len = b->len + len - drop;
}

void
buf_free (struct buf *b)
{
  free (b->data);
  *b = (struct buf) { .data = NULL };
}
