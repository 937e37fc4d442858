#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# To write tables at a flush nothing has to be read, though little memory is left
# for tables: a disk that cannot be read for a while does not end all writing.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/failing-disk-functions.sh
. "$srcdir/failing-disk-functions.sh"

# check NAME KIND [OPTION OF MKVMDK...]: a disk of 1 TiB with NAME for a file.
check ()
{
  make_image_without_model "${@:2}" --size=1T --fill=empty
  "$PYTHON" - "$1" <<'END'
import os
import sys
from failing_disk import fail
from writing import Server, read

server = Server(os.environ["IMAGE"], "cache-size=1M")
h = server.connect()
h.pwrite(b"x" * 512, 1 << 39)
h.flush()
h.pwrite(b"y" * 512, (1 << 39) + (1 << 20))
# Tables of other parts take the place of the directory.
for at in range(0, 1 << 40, 1 << 33):
    assert h.pread(512, at) == (b"x" * 512 if at == 1 << 39 else bytes(512))
fail(("pread", sys.argv[1]))
h.flush()
fail()
h.pwrite(b"z" * 512, 0)
h.shutdown()
server.stop()
server = Server(os.environ["IMAGE"], options=["-r"])
h = server.connect()
for at, byte in ((1 << 39, b"x"), ((1 << 39) + (1 << 20), b"y"), (0, b"z")):
    assert read(h, 512, at) == byte * 512
h.shutdown()
server.stop()
END
}

check disk-delta.vmdk vmfsSparse
check disk.vmdk monolithicSparse

# A table whose directory cannot be read just then: it may be the redundant one,
# of which nothing must be kept.
make_image monolithicSparse --size=64M --grain=8 --fill=empty
"$PYTHON" - <<'END'
import os
import struct
import nbd
from failing_disk import fail
from writing import Model, Server

image = os.environ["IMAGE"]
with open(image, "rb") as f:
    rgd, gd = struct.unpack("<QQ", f.read(512)[48:64])
model = Model.load()
server = Server(image)
h = server.connect()
table = 512 * 4096
for first, directory in ((0, gd), (3, rgd)):
    # In memory is the table, and no more the directory.
    model.check(h, 512, (first + 1) * table)
    model.write(h, 4096, first * table)
    h.flush()
    fail(("pread", "disk.vmdk", directory * 512, directory * 512 + 512))
    try:
        model.write(h, 4096, (first + 1) * table)
    except nbd.Error:
        pass
    fail()
    h.flush()
    model.check(h)
    model.write(h, 4096, (first + 1) * table)
h.shutdown()
server.stop()
server = Server(image)
h = server.connect()
model.check(h)
model.write(h, 512, 0)
model.check(h)
h.shutdown()
server.stop()
assert "put right" not in server.messages(), server.messages()
END
