#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A sync that fails while the disk is served: the flush fails, and all writes
# after it are refused, because the kernel may have dropped what it could not
# write; reads go on.  What had been flushed is there after a restart, and
# then it can be written again.

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
import nbd
from failing_disk import fail
from writing import Model, Server, fails

name = sys.argv[1]
image = os.environ["IMAGE"]
model = Model.load()
server = Server(image)
h = server.connect()
model.write(h, 100000, (2 << 20) - 50000)
model.write(h, 100000, 3 << 20)
h.flush()
flushed = bytes(model.data)

fail(("fdatasync", name))
model.write(h, 70000, (3 << 20) + 50000)
fails(errno.EIO, h.flush)
fail()
# The disk is well again, but nobody knows what it has lost.
fails(errno.EIO, h.flush)
fails(errno.EIO, h.pwrite, b"x" * 512, 3 << 20)
fails(errno.EIO, h.pwrite, b"x" * 512, 0)
fails(errno.EIO, h.zero, 512, 3 << 20)
other = server.connect()
model.check(other)
assert name in server.messages(), server.messages()
h.shutdown()
other.shutdown()
server.stop()

server = Server(image)
h = server.connect()
low, high = (3 << 20) + 50000, (3 << 20) + 120000
data = h.pread(model.size, 0)
assert data[:low] == flushed[:low] and data[high:] == flushed[high:]
# Sector by sector it is the old or the new.
for at in range(low, high):
    assert data[at] in (flushed[at], model.data[at]), at
model.data[:] = data
model.write(h, 100000, 3 << 20)
h.flush()
model.check(h)
h.shutdown()
server.stop()
END
}

check disk-s002.vmdk twoGbMaxExtentSparse --size=4M --extent-size=2M
check disk-delta002.vmdk custom --extents=VMFSSPARSE:2M,VMFSSPARSE:2M
check disk-f002.vmdk twoGbMaxExtentFlat --size=4M --extent-size=2M

# The same of a disk that is closed when nobody uses it: it must not be opened
# anew as if nothing had been lost.
for what in "dir=$TMP/disk" "$TMP/disk/machine.vmx"; do
  make_image twoGbMaxExtentFlat --size=4M --extent-size=2M
  cat >"$TMP/disk/machine.vmx" <<'END'
scsi0:0.present = "TRUE"
scsi0:0.fileName = "disk.vmdk"
END
  "$PYTHON" - "$what" <<'END'
import errno
import sys
import time
from failing_disk import fail
from writing import Model, Server, fails

model = Model.load()
server = Server(sys.argv[1])
h = server.connect()
model.write(h, 1 << 20, 2 << 20)
fail(("fdatasync", "disk-f002.vmdk"))
fails(errno.EIO, h.flush)
fail()
fails(errno.EIO, h.flush)
h.shutdown()

# While the server does not know that the client has gone, the disk is not closed.
h = server.connect()
for i in range(300):
    if h.is_read_only():
        break
    h.shutdown()
    time.sleep(0.1)
    h = server.connect()
h.shutdown()
for i in range(3):
    h = server.connect()
    assert h.is_read_only()
    assert "data may have been lost" in h.get_export_description()
    model.check(h)
    h.shutdown()
server.stop()

server = Server(sys.argv[1])
h = server.connect()
model.write(h, 1 << 20, 2 << 20)
h.flush()
model.check(h)
h.shutdown()
server.stop()
END
done
