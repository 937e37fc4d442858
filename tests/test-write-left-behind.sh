#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A client disconnects while its requests are being done, on a disk that is
# slow, and they are done all the same: the first write, before which the
# tables are checked, and zeroes in several places.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/failing-disk-functions.sh
. "$srcdir/failing-disk-functions.sh"

skip_if_valgrind "it takes longer than the server waits"
IMAGE=$TMP/disk.vmdk
nbdkit -U - vmdk "$IMAGE" create=true create-size=8G --run true

"$PYTHON" - <<'END'
import os
import time
import nbd
from failing_disk import END, fail
from writing import Server

MIB = 1 << 20
PLACES = [i * 32 * MIB for i in range(1, 11)]
DATA = b"x" * 65536


def wait_until(condition):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError(server.messages())


def count(message):
    return server.messages().count(message)


def leave(request, call):
    """Disconnect when the server has begun with the request."""
    begun, gone = count(call), count("closing connection")
    request()
    while h.aio_get_direction() & nbd.AIO_DIRECTION_WRITE:
        h.poll(1000)
    wait_until(lambda: count(call) > begun)
    h.shutdown(nbd.SHUTDOWN_ABANDON_PENDING)
    wait_until(lambda: count("closing connection") > gone)
    fail()


for _ in range(2):
    server = Server(os.environ["IMAGE"], options=("-v",))
    watcher = server.connect()
    h = server.connect()
    fail(("pread", "disk.vmdk", 0, END, -300))
    leave(lambda: h.aio_pwrite(DATA, 0), "vmdk: pwrite count=")
    wait_until(lambda: watcher.pread(65536, 0) == DATA)

    h = server.connect()
    for at in PLACES:
        h.pwrite(DATA, at)
    fail(("pwrite", "disk.vmdk", 0, END, -200))
    leave(lambda: h.aio_zero(512 * MIB, 0, flags=nbd.CMD_FLAG_NO_HOLE),
          "vmdk: zero count=")
    wait_until(lambda: all(watcher.pread(65536, at) == bytes(65536)
                           for at in (0, *PLACES)))
    watcher.shutdown()
    server.stop()
    assert "interrupted" not in server.messages(), server.messages()
END
