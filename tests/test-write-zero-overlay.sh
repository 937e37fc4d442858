#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Zero and trim of a snapshot: what is zeroed reads as zeroes whatever its parent
# has, what is trimmed keeps its content or reads as zeroes, and the parent does
# not change.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

# shellcheck source=tests/chain-functions.sh
. "$srcdir/chain-functions.sh"

export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

# check GRAIN BASE HAS-ZERO-ENTRIES KIND [OPTION OF MKVMDK...]
check ()
{
  # shellcheck disable=SC2086
  make_base $2 --size=5001s
  make_child "${@:4}" --size=7001s
  find "$TMP/disk" -name 'base*' -type f -exec sha256sum {} + >"$TMP/sums"
  "$PYTHON" - "$1" "$3" <<'END'
import errno
import os
import sys
import nbd
from writing import Model, Server, fails, is_data, is_hole, rng

grain, can_hide = int(sys.argv[1]), sys.argv[2] == "yes"
NO_HOLE, FAST, FUA = (nbd.CMD_FLAG_NO_HOLE, nbd.CMD_FLAG_FAST_ZERO,
                      nbd.CMD_FLAG_FUA)
model = Model.load()
server = Server(os.environ["IMAGE"])
h, other = server.connect(), server.connect()

# Over grains of the snapshot, and over nothing but the parent.
at, n = 4 * grain, 12 * grain
model.write(h, 6 * grain, at)
model.zero(h, n - grain, at + 17)
model.check(other)
if can_hide:
    assert is_hole(h, n - 2 * grain, at + grain)
    model.write(h, 6 * grain, at)
    model.zero(h, n, at, FAST)
    assert is_hole(h, n, at)
    model.write(h, 6 * grain, at)
    model.trim(h, n, at)
    assert is_hole(h, 6 * grain, at)
else:
    model.write(h, n, at)
    fails(errno.ENOTSUP, h.zero, n, at, FAST)
    model.check(other)
    assert is_data(h, n, at)
    model.trim(h, n, at)
model.check(other)
# Behind the end of the parent.
end = 5002 * 512 // grain * grain + grain
model.write(h, n, end)
model.zero(h, n - 100, end + 1)
model.check(other)

# A grain of which the parent has the first sectors only.
edge = 5001 * 512 // grain * grain
model.zero(h, max(grain - 700, 100), edge)
model.check(other)
model.write(h, 10, edge + grain - 20)
model.check(other)

for i in range(200):
    count = min(model.size, rng.choice((1, 511, 512, 4096, 70000, 1 << 20)))
    offset = rng.randint(0, model.size - count)
    flags = rng.choice((0, NO_HOLE, FUA, NO_HOLE | FUA))
    if i % 3 == 0:
        model.write(h, count, offset, flags & FUA)
    elif i % 3 == 1:
        model.zero(h, count, offset, flags)
    else:
        model.trim(h, count, offset, flags & FUA)
    model.check(other, count + 2000, offset - 1000)
model.check(other)
h.shutdown()
other.shutdown()
server.stop()

server = Server(os.environ["IMAGE"])
h = server.connect()
model.check(h)
model.zero(h, model.size, 0)
model.check(h)
h.shutdown()
server.stop()

server = Server(os.environ["IMAGE"])
h = server.connect()
model.check(h)
h.shutdown()
server.stop()
END
  sha256sum -c --quiet "$TMP/sums"
}

for base in "monolithicSparse --fill=full" "vmfsSparse" "streamOptimized" \
  "monolithicFlat"; do
  check 65536 "$base" no monolithicSparse
  check 65536 "$base" yes monolithicSparse --zeroed
done
check 4096 "monolithicSparse --zeroed" no monolithicSparse --grain=8
check 65536 "twoGbMaxExtentSparse --extent-size=900s" no twoGbMaxExtentSparse \
  --extent-size=2048s
check 512 "monolithicSparse --fill=full" no vmfsSparse
check 4096 "vmfsSparse" no vmfsSparse --grain=8
