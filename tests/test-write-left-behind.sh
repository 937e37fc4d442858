#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A client disconnects with requests under way, and they are done: the first
# write, before which the tables are checked, and zeroes in many places.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

skip_if_valgrind "it takes longer than the server waits"
export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1
IMAGE=$TMP/disk.vmdk
nbdkit -U - vmdk "$IMAGE" create=true create-size=8G --run true

"$PYTHON" - <<'END'
import os
import time
import nbd
from writing import Server

MIB = 1 << 20
places = [i * 32 * MIB for i in range(100)]
data = b"x" * 65536


def wait_until(h, at, wanted):
    for _ in range(600):
        if h.pread(65536, at) == wanted:
            return
        time.sleep(0.1)
    raise AssertionError(f"{at} was left undone")


for _ in range(5):
    server = Server(os.environ["IMAGE"])
    watcher = server.connect()
    h = server.connect()
    h.aio_pwrite(data, 0)
    h.shutdown(nbd.SHUTDOWN_ABANDON_PENDING)
    wait_until(watcher, 0, data)

    h = server.connect()
    for at in places:
        h.pwrite(data, at)
    h.aio_zero(4095 * MIB, 0)
    h.shutdown(nbd.SHUTDOWN_ABANDON_PENDING)
    for at in places:
        wait_until(watcher, at, bytes(65536))
    watcher.shutdown()
    server.stop()
    assert "interrupted" not in server.messages(), server.messages()
END
