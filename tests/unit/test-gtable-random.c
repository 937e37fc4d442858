/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Random tables, with damage that the redundant copy mends and damage
 * that it does not, against a model that looks at one grain at a time.
 */

#include <config.h>

#include "tables.h"

static uint64_t seed = 20;

static uint64_t
below (uint64_t n)
{
  return random_below (&seed, n);
}

struct model {
  struct tables t;
  uint64_t *codes;              /* what each grain should give */
  uint64_t bad_raw;             /* an entry that cannot be right */
};

/* Set a grain so that it should give 'code', whole or mended. */
static void
set_grain (struct model *m, uint64_t grain, uint64_t code)
{
  const bool redundant = m->t.layout.directory[1] != 0;
  const uint64_t raw = code == ENTRY_BAD ? m->bad_raw : code;

  m->codes[grain] = code;
  tables_set_grains (&m->t, grain, raw);
  if (redundant && below (10) == 0)
    tables_set_grain (&m->t, 0, grain, m->bad_raw);
  else if (redundant && code != ENTRY_BAD && below (10) == 0)
    tables_set_grain (&m->t, 1, grain, below (2) ? 0 : m->bad_raw);
}

static void
set_table (struct model *m, uint64_t table, uint64_t code)
{
  const uint64_t e = m->t.layout.entries_per_table;
  const uint64_t raw = code == ENTRY_BAD ? m->bad_raw : code;
  uint64_t i;

  tables_set_table (&m->t, 0, table, raw);
  if (m->t.layout.directory[1] != 0)
    tables_set_table (&m->t, 1, table, raw);
  for (i = table * e; i < (table + 1) * e && i < m->t.layout.nr_grains; ++i)
    m->codes[i] = code;
}

static void
fill (struct model *m)
{
  static const uint64_t codes[] = { ENTRY_HOLE, ENTRY_ZERO, ENTRY_BAD };
  const uint64_t nr = m->t.layout.nr_grains;
  const uint64_t grain_size = m->t.layout.grain_size;
  uint64_t i = 0, n, place;

  /* Runs of one kind each, short and long. */
  while (i < nr) {
    const uint64_t kind = below (5);

    n = 1 + below (below (2) ? 4 : 2 * m->t.layout.entries_per_table);
    place = tables_end (&m->t) + below (1000000);
    for (; n > 0 && i < nr; --n, ++i) {
      set_grain (m, i, kind < 3 ? codes[kind] : place);
      place += kind == 3 ? grain_size : 1 + below (2 * grain_size);
    }
  }
  /* Directory entries that are no tables, or are only in one copy. */
  for (i = 0; i < m->t.nr_tables; ++i)
    switch (below (12)) {
    case 0:
      set_table (m, i, ENTRY_HOLE);
      break;
    case 1:
      set_table (m, i, ENTRY_BAD);
      break;
    }
}

/* The longest run by the definition in gtable.h. */
static void
run_of_model (const struct model *m, uint64_t grain, uint64_t max,
              bool by_allocation, uint64_t *code, uint64_t *count)
{
  uint64_t n;

  *code = m->codes[grain];
  for (n = 1; n < max; ++n) {
    const uint64_t next = m->codes[grain + n];

    if (!entry_is_place (*code) ? next != *code :
        by_allocation ? !entry_is_place (next) :
        next != *code + n * m->t.layout.grain_size)
      break;
  }
  *count = n;
}

static void
compare (struct model *m, uint64_t grain, uint64_t max)
{
  const bool by_allocation = below (2);
  uint64_t code, count;

  run_of_model (m, grain, max, by_allocation, &code, &count);
  tables_check_run (&m->t, grain, max, by_allocation, code, count,
                    __FILE__, __LINE__);
}

static void
check_one (unsigned entry_size, uint32_t e, uint64_t nr, bool redundant)
{
  struct model m;
  uint64_t grain, i;

  tables_init (&m.t, entry_size, e, nr, UINT64_C (1) << below (8),
               redundant);
  m.bad_raw = entry_size == 4 ? 0xfffffff0 : UINT64_MAX - 5;
  m.codes = calloc (nr, sizeof *m.codes);
  assert_non_null (m.codes);
  fill (&m);
  tables_open (&m.t);
  if (below (2)) {
    /* Hardly a page stays. */
    table_cache_free (m.t.layout.cache);
    m.t.layout.cache = table_cache_new (0);
    assert_non_null (m.t.layout.cache);
    gtable_free (m.t.gt);
    tables_open (&m.t);
  }
  for (i = 0; i < 300; ++i) {
    grain = below (nr);
    compare (&m, grain, 1 + below (nr - grain));
  }
  /* From one end to the other. */
  for (grain = 0; grain < nr;) {
    uint64_t code, count;

    run_of_model (&m, grain, nr - grain, false, &code, &count);
    tables_check_run (&m.t, grain, nr - grain, false, code, count,
                      __FILE__, __LINE__);
    grain += count;
  }
  free (m.codes);
  tables_free (&m.t);
}

static void
test_random (void **state)
{
  static const uint32_t sizes[] = { 1, 2, 64, 512, 4096, 8192, 65536 };
  size_t i;

  for (i = 0; i < 49; ++i) {
    const uint32_t e = sizes[i % ARRAY_LENGTH (sizes)];
    const uint64_t most = e < 64 ? 9000 : e < 8192 ? 6 * (uint64_t) e :
      2 * (uint64_t) e + 1000;

    check_one (below (2) ? 4 : 8, e, 1 + below (most), below (2));
  }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_random),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
