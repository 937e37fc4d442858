#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The mark of a disk that was not closed cleanly: it is there from the first change
# until the last client has gone, stays when the server is killed, and makes the
# next server put the tables right before its first change, which says what it
# did.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

# check FILE KIND [OPTION OF MKVMDK...]
check ()
{
  make_image "${@:2}"
  "$PYTHON" - "$TMP/disk/$1" <<'END'
import os
import struct
import sys
from writing import Model, Server, Sparse, checksums

path, image = sys.argv[1], os.environ["IMAGE"]
MIB = 1 << 20


def mark():
    return Sparse(path).unclean


model = Model.load()
assert mark() == 0
server = Server(image)
h = server.connect()
model.check(h)
h.flush()
assert mark() == 0
model.write(h, MIB + 3, 12345)
assert mark() == 1
h.flush()
assert mark() == 1
# It goes with the last client.
other = server.connect()
other.pread(1, 0)
h.shutdown()
model.write(other, 1000, 5)
assert mark() == 1
other.shutdown()
# The server ends the connection behind the client's back.
server.stop()
assert mark() == 0
Sparse(path).check()

# The next client of one server.
server = Server(image)
for i in range(2):
    h = server.connect()
    model.check(h)
    model.zero(h, 2 * MIB, 0)
    assert mark() == 1
    model.write(h, 300000, MIB + 200000 * i)
    h.shutdown()
server.stop()
assert mark() == 0

# A server that is killed: what was flushed is there, whether or not it was
# killed before it wrote more.
for kills in range(3):
    server = Server(image)
    h = server.connect()
    model.zero(h, 300000, 500000 * kills)
    h.flush()
    model.write(h, 300000, 500000 * kills)
    h.flush()
    server.kill()
    assert mark() == 1
    # -r looks and changes nothing.
    reader = Server(image, options=["-r"])
    h = reader.connect()
    model.check(h)
    h.shutdown()
    reader.stop()
    assert mark() == 1
server = Server(image, options=["-v"])
h = server.connect()
assert "was not closed cleanly" in server.messages(), server.messages()
model.check(h)
h.shutdown()
server.stop()
# Nobody wrote.
assert mark() == 1

# Unflushed data of a killed server: old or new, and what is left behind is
# put right.
server = Server(image)
h = server.connect()
model.write(h, 70000, 0)
h.flush()
old = bytes(model.data)
for at in range(0, 2 * MIB, 77777):
    model.write(h, 33333, at)
server.kill()
server = Server(image)
h = server.connect()
got = h.pread(model.size, 0)
for at in range(0, model.size, 512):
    sector = got[at:at + 512]
    assert sector in (old[at:at + 512], bytes(model.data[at:at + 512])), at
model.data[:] = got
model.write(h, MIB, 3)
model.check(h)
h.shutdown()
server.stop()
assert mark() == 0

# Two copies of a table that differ, as after a kill between the two.
s = Sparse(path).check()
if len(s.copies) == 2:
    wanted = [0, max(s.copies[0])]
    grain = s.copies[0].index(wanted[1])
    at = 512 * s.directories[1][grain // s.entries] + 4 * (grain % s.entries)
    with open(path, "r+b") as f:
        f.seek(72)
        f.write(b"\1")
        f.seek(at)
        f.write(struct.pack("<I", 0))
    before = checksums(path)
    server = Server(image, options=["-v"])
    h = server.connect()
    assert "will be put right before the first change" in server.messages()
    model.check(h)
    h.shutdown()
    assert checksums(path) == before
    # Not a byte is different when it is written for the first time.
    h = server.connect()
    model.write(h, 1, 0)
    said = [line for line in server.messages().splitlines()
            if "have been put right" in line]
    assert len(said) == 1 and os.path.basename(path) in said[0], said
    model.check(h)
    h.shutdown()
    server.stop()
    Sparse(path).check()
    assert mark() == 0
    server = Server(image)
    h = server.connect()
    model.check(h)
    assert server.messages() == "", server.messages()
    h.shutdown()
    server.stop()
END
}

check disk.vmdk monolithicSparse --size=3M
check disk.vmdk monolithicSparse --size=3M --grain=8 --gtes=128 --zeroed
check disk-s001.vmdk twoGbMaxExtentSparse --size=3M --extent-size=4M
check disk-delta.vmdk vmfsSparse --size=3M
