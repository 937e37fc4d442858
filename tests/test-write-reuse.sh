#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The places of freed grains are used again, but not before the flush that makes
# it durable that they are free; and they go back to the file system.  Also those
# that were freed before the image was opened are used.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

find_out_about_holes

# check KIND [OPTION OF MKVMDK...]
check ()
{
  make_image "$@" --fill=empty --size=34M
  "$PYTHON" - "$(ls "$TMP"/disk/*-delta.vmdk 2>/dev/null || echo "$IMAGE")" \
    "$host_has_holes" <<'END'
import os
import sys
from writing import Model, Server, Sparse, read

path, holes = sys.argv[1], sys.argv[2] == "yes"
MIB = 1 << 20


def in_file(data):
    with open(path, "rb") as f:
        return f.read().find(data)


model = Model.load()
server = Server(os.environ["IMAGE"])
h = server.connect()

# What is durable is not overwritten until the flush.
kept = model.write(h, MIB, 2 * MIB)[:512]
h.flush()
place = in_file(kept)
assert place > 0
model.zero(h, MIB, 2 * MIB)
model.write(h, 4 * MIB, 8 * MIB)
assert in_file(kept) == place
model.check(h)
h.flush()
model.check(h)

# Now it is free, and the next that is written goes there.
model.zero(h, 4 * MIB, 8 * MIB)
h.flush()
if holes:
    assert os.stat(path).st_blocks * 512 < 2 * MIB, os.stat(path)
for i in range(8):
    at = (12 + 2 * i) * MIB
    model.write(h, 2 * MIB, at)
    h.flush()
    assert read(h, 2 * MIB, at) == model.data[at:at + 2 * MIB]
    model.trim(h, 2 * MIB, at)
    assert not any(model.data[at:at + 2 * MIB])
    h.flush()
model.check(h)
model.write(h, MIB // 2, 32 * MIB + 5)
h.flush()
# Written again before the flush that would free it.
model.zero(h, MIB, 32 * MIB)
model.write(h, 1000, 32 * MIB + 300000)
model.check(h)
h.flush()
model.check(h)
h.shutdown()
server.stop()
# 22 MiB of grains were written, never more than 5 MiB at once.
assert os.path.getsize(path) < 7 * MIB, os.path.getsize(path)
Sparse(path).check()

# Again and again: a new writer knows what others have freed.
for i in range(4):
    server = Server(os.environ["IMAGE"])
    h = server.connect()
    model.check(h)
    model.write(h, 2 * MIB, (12 + 2 * i) * MIB)
    h.flush()
    model.trim(h, 2 * MIB, (12 + 2 * i) * MIB)
    h.shutdown()
    server.stop()
    assert os.path.getsize(path) < 7 * MIB, os.path.getsize(path)
    Sparse(path).check()
END
}

check monolithicSparse
check monolithicSparse --grain=8 --gtes=128
check monolithicSparse --zeroed
check vmfsSparse
