#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Zero and trim of flat disks make holes in their files, where the file system of
# the host can; neighbours keep their content.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

find_out_about_holes
[ "$host_has_holes" = yes ] || skip "the file system here has no holes"

# check FILE KIND [OPTION OF MKVMDK...]
check ()
{
  make_image "${@:2}"
  "$PYTHON" - "$TMP/disk/$1" <<'END'
import errno
import os
import sys
import nbd
from writing import Model, Server, fails, is_data, is_hole

path = sys.argv[1]
MIB = 1 << 20


def blocks():
    return os.stat(path).st_blocks * 512


model = Model.load()
server = Server(os.environ["IMAGE"])
h, other = server.connect(), server.connect()
size = os.path.getsize(path)
for free in (model.trim, model.zero):
    model.write(h, 2 * MIB, 0)
    h.flush()
    assert is_data(h, 2 * MIB, 0)
    before = blocks()
    free(h, MIB + 300, MIB // 2 - 100)
    h.flush()
    model.check(other)
    assert blocks() <= before - MIB + 65536, (before, blocks())
    assert is_hole(other, MIB - 65536, MIB // 2 + 32768)
    assert bytes(model.data[MIB // 2:MIB // 2 + MIB]) == bytes(MIB)

# May not be freed: it is allocated after it.
model.zero(h, MIB, MIB // 2, nbd.CMD_FLAG_NO_HOLE)
assert is_data(other, MIB, MIB // 2)
model.check(other)
fails(errno.ENOTSUP, h.zero, MIB, 0,
      nbd.CMD_FLAG_NO_HOLE | nbd.CMD_FLAG_FAST_ZERO)
model.write(h, MIB, 0)
model.check(other)
model.zero(h, MIB, 0, nbd.CMD_FLAG_FAST_ZERO)
model.check(other)
# The end of the disk: the file keeps its length.
model.write(h, 5000, model.size - 5000)
model.zero(h, 4999, model.size - 4999)
model.check(other)
h.shutdown()
other.shutdown()
server.stop()
assert os.path.getsize(path) == size

server = Server(os.environ["IMAGE"])
h = server.connect()
model.check(h)
h.shutdown()
server.stop()
END
}

check disk-flat.vmdk monolithicFlat --size=7001s
check disk-f001.vmdk twoGbMaxExtentFlat --size=12001s --extent-size=6001s
check disk-flat.vmdk monolithicFlat --size=7001s --flat-offset=333s
check disk-flat.vmdk vmfs --size=7001s
