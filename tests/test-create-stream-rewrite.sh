#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Grains that are written again, trimmed or zeroed before the end hold what came
# last, and the stream holds nothing of what they held before.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/create-functions.sh
. "$srcdir/create-functions.sh"

make_raw $(((20 << 20) + 512)) 9
for cache in 64M 2M; do
  copy_in cache-size=$cache
  check_stream
  first=$(stat -c %s "$STREAM")

  # In order, backwards, and at last what it shall be.
  create_stream $(((20 << 20) + 512)) cache-size=$cache
  "$PYTHON" - "${create[@]}" <<'END'
import os, random, sys
from writing import Server, read

with open(os.environ["RAW"], "rb") as f:
    raw = f.read()
rng = random.Random(3)
server = Server(sys.argv[1], *sys.argv[2:])
h = server.connect()
step = 192 << 10
places = range(0, len(raw), step)
for at in places:
    h.pwrite(rng.randbytes(min(step, len(raw) - at)), at)
for at in reversed(places):
    n = min(step, len(raw) - at)
    (h.zero, h.trim)[at // step % 2](n, at)
for i, at in enumerate(places):
    if i % 2:
        h.pwrite(rng.randbytes(min(1000, len(raw) - at)), at)
for at in rng.sample(places, len(places)):
    h.pwrite(raw[at:at + step], at)
assert read(h, len(raw), 0) == raw
h.shutdown()
server.stop()
END
  check_stream
  # Whatever way it was written, it is the same length.
  [ "$(stat -c %s "$STREAM")" -eq "$first" ]
done
