#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Where a directory of a sparse disk has no table, the first write makes one for
# each directory; QEMU writes into the header then.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires_qemu_img
export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

# check WITHOUT KIND [OPTION OF MKVMDK...]: take the entries of table 1 out of
# this directory, 0 or 1, of both (2), or of none (-1).
check ()
{
  make_image "${@:2}"
  "$PYTHON" - "$1" <<'END'
import os
import struct
import sys
from writing import Model, Server, Sparse

path, which = os.environ["IMAGE"], int(sys.argv[1])
model = Model.load()
old = Sparse(path)
table = old.entries * old.grain * 512
if which >= 0:
    gd, rgd = struct.unpack_from("<QQ", old.bytes, 48)[::-1]
    with open(path, "r+b") as f:
        for k, at in enumerate((gd, rgd)):
            if which in (k, 2) and at:
                f.seek(at * 512 + 4)
                f.write(bytes(4))
    if which == 2 or len(old.directories) == 1:
        end = min(model.size, 2 * table)
        model.data[table:end] = bytes(end - table)
    old = Sparse(path)

server = Server(path)
h = server.connect()
model.check(h)
model.write(h, 1000, table + 5)
model.write(h, 140000, table + 300000)
model.write(h, 1, model.size - 1)
h.flush()
model.check(h)
h.shutdown()
server.stop()

s = Sparse(path).check()
# The header and the descriptor's place.
assert s.bytes[:72] == old.bytes[:72] and s.bytes[73:512] == old.bytes[73:512]
for d in s.directories:
    assert d[1] and d[-1], d
    if which == -1:
        assert not any(d[2:-1]), d
server = Server(path, options=["-r"])
h = server.connect()
model.check(h)
h.shutdown()
server.stop()
assert "warning" not in server.messages(), server.messages()
model.save(os.environ["MODEL"])
END
  qemu-img check -f vmdk "$IMAGE"
  qemu-img compare -f vmdk -F raw "$IMAGE" "$MODEL"
}

check -1 monolithicSparse --sparse-gd --fill=empty --size=150001s --grain=32
check -1 monolithicSparse --sparse-gd --fill=empty --size=150001s --grain=32 \
  --no-rgd
check -1 monolithicSparse --sparse-gd --fill=empty --size=9001s --grain=8 \
  --gtes=128
check 2 monolithicSparse --size=9001s --grain=8 --gtes=128
check 0 monolithicSparse --size=9001s --grain=8 --gtes=128
check 1 monolithicSparse --size=9001s --grain=8 --gtes=128
check 0 monolithicSparse --size=9001s --grain=8 --gtes=128 --no-rgd
