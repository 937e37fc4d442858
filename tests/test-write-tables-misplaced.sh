#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Directories that lie, or send tables, upon something else.  A table that would
# begin beside a directory and reach into it is none, and the other copy is
# used, by readers and before the first change alike; a directory in the
# descriptor is read if it makes sense, but nothing is written.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires_nbdsh
export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

make_image monolithicSparse --size=3M --grain=8
"$PYTHON" - <<'END'
import os
import struct
from writing import Model, Server

image = os.environ["IMAGE"]
model = Model.load()
with open(image, "r+b") as f:
    rgd, gd = struct.unpack("<QQ", os.pread(f.fileno(), 16, 48))
    size = os.pread(f.fileno(), 8, gd * 512)
    # Its first sector is the last one in front of the directory.
    assert rgd < gd
    os.pwrite(f.fileno(), struct.pack("<I", gd - 1), gd * 512)
server = Server(image)
h = server.connect()
model.check(h)
model.write(h, 70000, 1000000)
model.check(h)
h.shutdown()
server.stop()
server = Server(image)
h = server.connect()
model.check(h)
h.shutdown()
server.stop()
END
qemu-img check -f vmdk "$IMAGE"

make_image monolithicSparse --size=3M --grain=8
"$PYTHON" - <<'END'
import os
import struct
from writing import Model, Server

image = os.environ["IMAGE"]
model = Model.load()
with open(image, "r+b") as f:
    os.pwrite(f.fileno(), struct.pack("<Q", 1), 56)
with open(image, "rb") as f:
    before = f.read()
server = Server(image)
h = server.connect()
assert h.is_read_only()
assert "lies upon something else" in server.messages(), server.messages()
model.check(h)
h.shutdown()
server.stop()
with open(image, "rb") as f:
    assert f.read() == before
END
