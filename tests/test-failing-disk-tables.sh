#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Tables that cannot be read while the disk is served.  If there is a second
# copy nothing is missing; if not, what they are for is an I/O error, and is
# not taken for a hole or for the parent's data.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/failing-disk-functions.sh
. "$srcdir/failing-disk-functions.sh"

# A grain table is for 2 MiB: 512 sectors of 4 KiB grains.
make_image monolithicSparse --size=8M --grain=8 --fill=every-other
mv "$IMAGE" "$TMP/disk/base.vmdk"
mv "$MODEL" "$TMP/base.raw"
mv "$MAP" "$TMP/base.map"
mkvmdk --parent="$TMP/disk/base.vmdk" --parent-model="$TMP/base.raw" \
  --parent-map="$TMP/base.map" --model="$MODEL" --map="$MAP" --size=8M \
  --grain=8 --seed=9 monolithicSparse "$IMAGE"

"$PYTHON" - <<'END'
import errno
import os
from failing_disk import fail
from writing import Model, Server, Sparse, allocation, fails, is_data

image = os.environ["IMAGE"]
model = Model.load()
TABLE = 2 * 1024 * 1024
sparse = Sparse(image)
# Of the second of four tables, in both copies.
primary, second = (512 * d[1] for d in sparse.directories)
rules = [("pread", "disk.vmdk", at, at + 2048) for at in (primary, second)]


def opened():
    fail()
    server = Server(image, options=["-r"])
    return server, server.connect()


for rule in rules:
    server, h = opened()
    fail(rule)
    model.check(h)
    h.shutdown()
    server.stop()

server, h = opened()
fail(*rules)
for offset in range(0, model.size, TABLE):
    if offset == TABLE:
        fails(errno.EIO, h.pread, TABLE, offset)
        # It is not taken for a hole.
        assert is_data(h, TABLE, offset)
    else:
        assert len(allocation(h, TABLE, offset)) > 1
model.check(h, TABLE, 0)
model.check(h, 2 * TABLE, 2 * TABLE)
assert "disk.vmdk" in server.messages()
fail()
model.check(h)
h.shutdown()
server.stop()
END
