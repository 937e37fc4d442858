#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Writes that the disk refuses while it is served: the client is told, what was
# there stays, other writes go on, and when the disk is well again all of it
# works.

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
from failing_disk import END, fail
from writing import Model, Server, Sparse, fails

name = sys.argv[1]
image = os.environ["IMAGE"]
path = os.path.join(os.path.dirname(image), name)
is_flat = "-f0" in name
model = Model.load()


def in_order():
    """The file that failed, when the server has ended."""
    if not is_flat:
        assert Sparse(path).check().unclean == 0


server = Server(image)
h = server.connect()

# What the first change of a sparse file needs has failed: nothing has
# happened, and nothing will before the tables have been looked at again, which
# is said.
fail(("pwrite", name), ("fallocate", name), ("ftruncate", name))
fails(errno.EIO, h.pwrite, b"x" * 5000, 3 << 20)
fail()
model.check(h)
if is_flat:
    model.write(h, 5000, 3 << 20)
else:
    fails(errno.EIO, h.pwrite, b"x" * 5000, 3 << 20)
    assert "is not written any more" in server.messages(), server.messages()
h.shutdown()
server.stop()
server = Server(image)
h = server.connect()
for at in range(2 << 20, 4 << 20, 200000):
    model.write(h, 5000, at)
h.flush()
model.check(h)

# Now what is new does not fit, and what there is may be changed.
for number in errno.ENOSPC, errno.EIO:
    # The file is longer than what is in use.
    size = (os.path.getsize(path) if is_flat
            else 512 * Sparse(path).end())
    fail(("pwrite", name, size, END, number),
         ("ftruncate", name, size, END, number),
         ("fallocate", name, size, END, number))
    model.write(h, 5000, 2 << 20)
    failed = 0
    for at in range(2 << 20, 4 << 20, 65536):
        data = bytes([at >> 16]) * 1000
        try:
            h.pwrite(data, at + 7)
        except nbd.Error as e:
            assert e.errnum == number, e
            failed += 1
            continue
        model.data[at + 7:at + 1007] = data
    assert (failed == 0) == (is_flat), (number, failed)
    model.write(h, 3000, 100000)
    model.check(h)
    fail()
    model.write(h, 300000, (3 << 20) + 12345)
    h.flush()
    model.check(h)

# Holes need room too, to be noted: then there are none, and what is asked for is
# done without, if it may take long.
fail(("fallocate", name, 0, END, errno.ENOSPC))
model.zero(h, 5000, 2 << 20)
model.trim(h, 70000, (2 << 20) + 65536)
model.zero(h, 300, (3 << 20) + 12345)
if is_flat:
    fails(errno.ENOTSUP, h.zero, 65536, 3 << 20, nbd.CMD_FLAG_FAST_ZERO)
h.flush()
model.check(h)
fail()

# One byte at a time.
fail(("pwrite", name, 0, END, 0))
model.write(h, 2000, (3 << 20) - 777)
model.write(h, 2000, 2 << 20)
h.flush()
fail()
model.check(h)

# A call that is interrupted is made again.
fail(*((call, name, 0, END, errno.EINTR)
       for call in ("pread", "pwrite", "fallocate", "fdatasync")))
model.write(h, 70000, (2 << 20) + 777)
h.zero(200000, 3 << 20)
model.data[3 << 20:(3 << 20) + 200000] = bytes(200000)
h.flush()
model.check(h)
fail()
h.shutdown()
server.stop()
in_order()

server = Server(image, options=["-r"])
model.check(server.connect())
server.stop()

# What is cut off a file when it is closed can stay there.
server = Server(image)
for _ in range(2):
    h = server.connect()
    model.write(h, 70000, 3 << 20)
    model.write(h, 512, (2 << 20) + 900000)
    fail(("ftruncate", name))
    h.shutdown()
    fail()
server.stop()
in_order()
server = Server(image, options=["-r"])
model.check(server.connect())
server.stop()
END
}

check disk-s002.vmdk twoGbMaxExtentSparse --size=4M --extent-size=2M \
  --fill=empty
check disk-delta002.vmdk custom --extents=VMFSSPARSE:2M,VMFSSPARSE:2M \
  --fill=empty
check disk-f002.vmdk twoGbMaxExtentFlat --size=4M --extent-size=2M \
  --fill=empty
