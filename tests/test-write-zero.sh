#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Zero and trim, with their flags: what is read, what the map says, what other
# content changes, and that it is durable.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

# check GRAIN KIND [OPTION OF MKVMDK...]
check ()
{
  make_image "${@:2}"
  "$PYTHON" - "$1" <<'END'
import errno
import os
import sys
import nbd
from writing import Model, Server, fails, is_data, is_hole, rng

grain = int(sys.argv[1])
model = Model.load()
server = Server(os.environ["IMAGE"])
h, other = server.connect(), server.connect()
NO_HOLE, FAST, FUA = (nbd.CMD_FLAG_NO_HOLE, nbd.CMD_FLAG_FAST_ZERO,
                      nbd.CMD_FLAG_FUA)
at, n = 10 * grain, 20 * grain

# May be freed: whole grains become holes, parts of grains become zeroes.
model.write(h, n, at)
assert is_data(h, n, at)
model.zero(h, 7 * grain + 200, at + grain - 100)
model.check(other)
assert is_data(other, grain, at)
assert is_hole(other, 7 * grain, at + grain)
assert is_data(other, n - 8 * grain, at + 8 * grain)

# May not be freed: still reads as zeroes, stays allocated.
model.write(h, n, at)
model.zero(h, 5 * grain + 77, at + grain // 2, NO_HOLE)
model.check(other)
assert is_data(h, n, at)
# Where there is nothing, nothing is needed.
model.zero(h, n, at)
assert is_hole(h, n, at)
model.zero(h, n, at, NO_HOLE)
model.check(other)

# Fast: nothing need be written, or nothing happens.
model.write(h, n, at)
fails(errno.ENOTSUP, h.zero, n, at, FAST | NO_HOLE)
model.check(other)
fails(errno.ENOTSUP, h.zero, grain - 1, at, FAST)
fails(errno.ENOTSUP, h.zero, 3 * grain, at + 1, FAST)
fails(errno.ENOTSUP, h.zero, n + 1, at - 1 + grain, FAST)
model.check(other)
model.zero(h, 4 * grain, at + grain, FAST)
assert is_hole(h, 4 * grain, at + grain)
model.zero(h, 3 * grain + 5, at + grain + 3, FAST)
model.zero(h, 3 * grain + 5, at + grain + 3, FAST | NO_HOLE)
model.check(other)

# Trim: whole grains are freed, others stay.
model.write(h, n, at)
model.trim(h, 6 * grain, at + 2 * grain)
assert is_hole(h, 6 * grain, at + 2 * grain)
model.trim(h, 4 * grain, at + 9 * grain + 1)
assert is_hole(h, 3 * grain, at + 10 * grain)
assert is_data(h, grain, at + 9 * grain)
assert is_data(h, grain, at + 13 * grain)
model.check(other)
# The last grain of the disk, which it may hold only in part.
last = (model.size - 1) // grain * grain
model.write(h, model.size - last, last)
model.trim(h, model.size - last, last)
assert is_hole(h, model.size - last, last)

# Anywhere, of any size.
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
# All of it, in one request.
model.write(h, grain, 0, FUA)
model.zero(h, model.size, 0, FAST)
assert is_hole(h, model.size, 0)
model.check(h)
h.shutdown()
server.stop()

server = Server(os.environ["IMAGE"])
h = server.connect()
model.check(h)
assert is_hole(h, model.size, 0)
h.shutdown()
server.stop()
assert "error" not in server.messages(), server.messages()
END
}

check 65536 monolithicSparse --size=7001s
check 4096 monolithicSparse --size=7001s --grain=8 --gtes=128
check 65536 monolithicSparse --size=7001s --zeroed
check 65536 twoGbMaxExtentSparse --size=7001s --extent-size=2048s
check 512 vmfsSparse --size=7001s
check 4096 vmfsSparse --size=7001s --grain=8
