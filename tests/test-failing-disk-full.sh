#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A file system may have no room even for what is written over, as where files
# share blocks.  Tables that could not be written for that are not lost, and are
# written when there is room again.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/failing-disk-functions.sh
. "$srcdir/failing-disk-functions.sh"

# check NAME KIND [OPTION OF MKVMDK...]: NAME is the file that has no room.  It
# has the disk from 2 MiB on.
check ()
{
  make_image "${@:2}"
  "$PYTHON" - "$1" <<'END'
import errno
import os
import sys
import time
from failing_disk import fail
from writing import Model, Server, Sparse, fails, is_data, is_hole

name = sys.argv[1]
image = os.environ["IMAGE"]
path = os.path.join(os.path.dirname(image), name)
model = Model.load()
GRAIN = Sparse(path).grain * 512
START = 2 << 20
free = []


def tables(which):
    """Rules: these copies of the tables cannot be written."""
    s = Sparse(path)
    return [("pwrite", name, 512 * gde, 512 * gde + 4 * s.entries, number)
            for d in [s.directories[i] for i in which] for gde in d if gde]


def start():
    """And find grains that there are not."""
    server = Server(image)
    h = server.connect()
    free[:] = [at for at in range(START, model.size, GRAIN)
               if is_hole(h, GRAIN, at)]
    return server, h


def in_order():
    assert Sparse(path).check().unclean == 0


copies = [[0], [1], [0, 1]] if len(Sparse(path).directories) == 2 else [[0]]
for which in copies:
    number = errno.EDQUOT if which == [1] else errno.ENOSPC
    server, h = start()
    # Some that are published already.
    for _ in range(3):
        model.write(h, GRAIN, free.pop())
    published = [free.pop() for _ in range(3)]
    for at in published:
        model.write(h, 5000, at)
    h.flush()

    # Grains are made, and freed.
    fresh = free.pop()
    model.write(h, 700, fresh + 300)
    model.zero(h, GRAIN, published[0])
    model.trim(h, GRAIN, published[1])
    fail(*tables(which))
    fails(errno.ENOSPC, h.flush)
    model.check(h)
    # The same grains change again, and others for the first time.
    model.write(h, 1000, published[0] + 512)
    model.trim(h, GRAIN, fresh)
    model.write(h, GRAIN, published[1])
    model.zero(h, GRAIN, published[2])
    model.write(h, 600, free.pop())
    fails(errno.ENOSPC, h.flush)
    model.check(h)
    fail()
    h.flush()
    model.check(h)
    # It is there, without the server, in both copies.
    server.kill()
    Sparse(path).check()
    server, h = start()
    model.check(h)
    assert is_data(h, 512, published[0] + 512)
    assert is_hole(h, GRAIN, published[2])
    model.write(h, 5000, published[2])
    model.check(h)
    h.shutdown()
    server.stop()
    in_order()
    assert "put right" not in server.messages(), server.messages()

    # The same at the end of one who does not try again.
    server, h = start()
    model.write(h, 5000, published[1])
    model.zero(h, GRAIN, published[2])
    fail(*tables(which))
    fails(errno.ENOSPC, h.flush)
    fail()
    h.shutdown()
    server.stop()
    in_order()

# NFS tells late of what it has lost, and once for each file descriptor: a write
# that hears of it must not keep the flush from it.
for is_told in False, True:
    fail(("fstatfs", name))
    server, h = start()
    at = free.pop()
    model.write(h, GRAIN, at)
    h.flush()
    model.write(h, GRAIN, at)
    if is_told:
        fail(("told", name))
        fails(errno.EIO, h.flush)
        fail()
        fails(errno.EIO, h.flush)
        fails(errno.EIO, h.pwrite, b"x", START)
        assert "data may have been lost" in server.messages()
    else:
        h.flush()
    model.check(h)
    h.shutdown()
    server.stop()

# Nobody is left who could try again.
server, h = start()
at = free.pop()
model.write(h, 600, at)
fail(*tables(copies[-1]))
h.shutdown()
for _ in range(600):
    if "data may have been lost" in server.messages():
        break
    time.sleep(0.1)
assert "data may have been lost" in server.messages(), server.messages()
fail()
h = server.connect()
assert h.is_read_only(), server.messages()
model.check(h)
h.shutdown()
server.stop()
server, h = start()
model.data[at:at + 600] = h.pread(600, at)
model.check(h)
model.write(h, 600, at)
h.shutdown()
server.stop()
in_order()

# What is written before the first change.
server, h = start()
where = (1648, 1652) if Sparse(path).is_cowd else (72, 73)
fail(("pwrite", name, *where, number))
fails(errno.ENOSPC, h.pwrite, b"x" * 5000, START)
model.check(h)
fail()
model.write(h, 5000, START)
model.check(h)
h.shutdown()
server.stop()
in_order()

# Tables that have to be put right before.
s = Sparse(path)
if len(s.directories) == 2:
    tables_before = s.copies[0]
    with open(path, "r+b") as f:
        for i, gte in enumerate(s.copies[1]):
            if gte and i % 3 == 0:
                f.seek(512 * s.directories[1][i // s.entries] +
                       4 * (i % s.entries))
                f.write(bytes(4))
    number = errno.ENOSPC
    server, h = start()
    fail(*tables([1]))
    fails(errno.ENOSPC, h.pwrite, b"x" * 5000, START)
    fail()
    model.write(h, 5000, START)
    h.flush()
    model.check(h)
    assert "have been put right" in server.messages(), server.messages()
    h.shutdown()
    server.stop()
    in_order()
END
}

check disk.vmdk monolithicSparse --size=6M --grain=16
check disk-s002.vmdk twoGbMaxExtentSparse --size=4M --extent-size=2M --grain=16
check disk-delta.vmdk vmfsSparse --size=6M

# Changes that cannot be published do not take more and more memory: no more are
# made when they have their part of it.
make_image_without_model monolithicSparse --size=1T --fill=empty
"$PYTHON" - <<'END'
import errno
import os
import nbd
from failing_disk import fail
from writing import Server, Sparse

image = os.environ["IMAGE"]
STEP = 1 << 30
with open(image, "rb") as f:
    end = os.fstat(f.fileno()).st_size
server = Server(image, "cache-size=1M")
h = server.connect()
fail(("pwrite", "disk.vmdk", 1024, end, errno.ENOSPC))
sizes = []
for i in range(600):
    try:
        h.pwrite(b"x" * 512, i * STEP)
    except nbd.Error as e:
        assert e.errnum == errno.ENOSPC, e
    if i % 300 == 299:
        sizes.append(os.stat(image).st_size)
assert sizes[0] == sizes[1], sizes
fail()
for i in range(600):
    h.pwrite(b"y" * 512, i * STEP)
h.shutdown()
server.stop()
server = Server(image, options=["-r"])
h = server.connect()
assert all(h.pread(512, i * STEP) == b"y" * 512 for i in range(600))
h.shutdown()
server.stop()
END
