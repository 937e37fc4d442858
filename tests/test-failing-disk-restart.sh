#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A server is killed, and its client comes back to another one to flush what it
# has written over what was there.  That must reach the disk, of each file of the
# image, whether or not something has been changed since; and the client must
# hear of it if it does not.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/failing-disk-functions.sh
. "$srcdir/failing-disk-functions.sh"

# check NAME KIND [OPTION OF MKVMDK...]: NAME is the file that dies.  It has
# the disk from 2 MiB on.
check ()
{
  make_image "${@:2}"
  "$PYTHON" - "$1" <<'END'
import errno
import os
import sys
from failing_disk import fail
from writing import Model, Server, fails

name = sys.argv[1]
image = os.environ["IMAGE"]
model = Model.load()


def change_nothing(h):
    pass


def change_elsewhere(h):
    model.write(h, 512, 0)


for change in change_nothing, change_elsewhere:
    server = Server(image)
    h = server.connect()
    model.write(h, 512, 0)
    model.write(h, 1 << 20, 2 << 20)
    h.flush()
    model.write(h, 1 << 20, 2 << 20)
    server.kill()

    server = Server(image)
    h = server.connect()
    change(h)
    fail(("fdatasync", name))
    fails(errno.EIO, h.flush)
    fail()
    fails(errno.EIO, h.flush)
    fails(errno.EIO, h.pwrite, b"x" * 512, 0)
    model.check(h)
    h.shutdown()
    server.stop()

server = Server(image)
h = server.connect()
h.flush()
model.check(h)
model.write(h, 512, 0)
h.flush()
model.check(h)
h.shutdown()
server.stop()
END
}

check disk-f002.vmdk twoGbMaxExtentFlat --size=4M --extent-size=2M
check disk-s002.vmdk twoGbMaxExtentSparse --size=4M --extent-size=2M
check disk-delta002.vmdk custom --extents=VMFSSPARSE:2M,VMFSSPARSE:2M
