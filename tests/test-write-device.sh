#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A sparse disk in a block device, which does not get larger: when that is full
# clients hear that there is no space, and what there is stays and can be
# written.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

requires losetup --version
make_image monolithicSparse --size=4M --fill=empty
# What is behind the file in the device is not zeroes.
head -c 1M /dev/zero | tr '\0' x >"$TMP/backing"
dd if="$IMAGE" of="$TMP/backing" conv=notrunc status=none
device=$(losetup -f --show "$TMP/backing" 2>/dev/null) ||
  skip "no loop devices here"
cleanup_fn losetup -d "$device"
dd if="$device" of=/dev/null bs=512 count=1 status=none 2>/dev/null ||
  skip "no loop devices here"

cat >"$TMP/fill.py" <<'END'
import errno
import os
import sys
import nbd
from writing import Model, Server

model = Model.load()
at = 0
for _ in range(2):
    server = Server(sys.argv[1])
    h = server.connect()
    model.check(h)
    try:
        while True:
            model.write(h, 65536, at)
            at += 65536
    except nbd.Error as e:
        assert e.errnum == errno.ENOSPC, e
    assert at > 524288, at
    h.flush()
    model.write(h, 1000, 1000)
    model.zero(h, 65536, at - 65536)
    model.check(h)
    h.shutdown()
    server.stop()

server = Server(sys.argv[1])
h = server.connect()
model.check(h)
model.write(h, 500, model.size - 500)
model.check(h)
h.shutdown()
server.stop()
END
"$PYTHON" "$TMP/fill.py" "$device"
