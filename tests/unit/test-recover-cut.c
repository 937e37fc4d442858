/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* A repair that the power cuts off. */

#include <config.h>

#include "recover-image.h"

/* The power goes off: of what was not synced any sectors are lost, and the
 * file may be as short as it was.
 */
static void
cut_power (void)
{
  const uint64_t tail = MAX_META * SECTOR_SIZE;
  uint64_t i;

  for (i = 0; i < sizeof m.data; i += SECTOR_SIZE)
    if (next_random (&seed) >> 40 & 1)
      memcpy (m.data + i, m.durable + i, SECTOR_SIZE);
  if (next_random (&seed) >> 40 & 1)
    m.io.size = m.durable_size;
  memset (m.data + tail + (m.io.size - m.sectors * SECTOR_SIZE), 0,
          sizeof m.data - tail - (m.io.size - m.sectors * SECTOR_SIZE));
  memcpy (m.durable, m.data, sizeof m.data);
  m.durable_size = m.io.size;
  m.max_writes = UINT32_MAX;
  /* Who comes then opens it anew. */
  atomic_store (&m.io.sync_failed, false);
}

/* Cut off after any of its writes, and that once more, a repair is finished
 * by the next one with the same result.
 */
static void
test_cut_repair (void **state)
{
  static struct image before;
  static uint32_t old[1300], new[1300], whole[1300];
  unsigned round, k, total, again, cuts = 0;
  uint64_t i;

  (void) state;
  for (round = 0; round < 30; ++round) {
    const bool interrupted = round / 2 % 2;

    make_shape (round % 2);
    fill ();
    publish (old, new);
    if (round % 5 == 0) {
      set_all (m.layout.nr_grains - 1, 0);
      set (round / 5 % 2, m.layout.nr_grains - 1, UINT32_MAX - 9);
    }
    if (round % 3 == 0)
      store_le32 (directory_entry (round / 3 % 2, 0), 0);
    if (round % 3 == 1)
      store_le32 (directory_entry (1, 1), UINT32_MAX);
    image_sync (&m.io, &error);
    before = m;
    assert_done (run (interrupted, true, 0));
    total = m.writes;
    cuts += total;
    for (i = 0; i < m.layout.nr_grains; ++i)
      whole[i] = get (0, i);
    check_consistent ();

    for (k = 0; k <= total + 1; ++k) {
      m = before;
      for (again = 0; again < 2; ++again) {
        m.max_writes = again == 0 ? k : (unsigned) random_below (&seed, 4);
        if (run (interrupted, true, 0) == -1)
          assert_error (&error, VMDK_ERROR_IO, EIO, "power");
        cut_power ();
      }
      assert_done (run (interrupted, true, 0));
      for (i = 0; i < m.layout.nr_grains; ++i)
        assert_int_equal (get (0, i), whole[i]);
      check_consistent ();
    }
  }
  assert_true (cuts > 100);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_cut_repair),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
