#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A disk that stops to give some of its sectors while it is served: what needs
# them is an I/O error, with a message that names the file and the place; all
# else is right; and when the disk is well again, so is all.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/chain-functions.sh
. "$srcdir/chain-functions.sh"
# shellcheck source=tests/failing-disk-functions.sh
. "$srcdir/failing-disk-functions.sh"

# check NAME MAX KIND [OPTION OF MKVMDK...]: NAME is the file that dies, 64 KiB
# near its end, with which at most MAX KiB of the disk are lost.
check ()
{
  make_image "${@:3}"
  check_file "$1" "$2"
}

# check_file NAME MAX [PARAMETER]
check_file ()
{
  "$PYTHON" - "$@" <<'END'
import errno
import os
import sys
import nbd
from failing_disk import END, fail
from writing import Model, Server

name, most = sys.argv[1], int(sys.argv[2]) * 1024
parameters = sys.argv[3:]
image = os.environ["IMAGE"]
path = os.path.join(os.path.dirname(image), name)
first = os.path.getsize(path) * 7 // 8 // 512 * 512
model = Model.load()
STEP = 16 * 1024


def readable(h):
    """The parts that can be read; they must be right."""
    good = []
    for at in range(0, model.size, STEP):
        n = min(STEP, model.size - at)
        try:
            data = h.pread(n, at)
        except nbd.Error as e:
            assert e.errnum == errno.EIO, e
            good.append(False)
            continue
        assert data == model.data[at:at + n], at
        good.append(True)
    return good


for number in errno.EIO, errno.EUCLEAN:
    # A small cache: what has been read once is not remembered for ever.
    server = Server(image, "cache-size=1M", *parameters, options=["-r"])
    h = server.connect()
    fail(("pread", name, first, first + 65536, number))
    good = readable(h)
    assert 65536 <= good.count(False) * STEP <= most, good.count(False)
    messages = server.messages()
    assert f"{name}: offset=" in messages, messages
    assert os.strerror(number) in messages, messages
    # A read of all fails, and one of the parts on both sides too.
    bad = good.index(False)
    for count, offset in (model.size, 0), (STEP, bad * STEP):
        try:
            h.pread(count, offset)
        except nbd.Error as e:
            assert e.errnum == errno.EIO, e
        else:
            raise AssertionError((count, offset))
    # Asking what is allocated does not end the server.
    try:
        h.block_status(model.size, 0, lambda *_: None)
    except nbd.Error as e:
        assert e.errnum == errno.EIO, e
    # Other clients have what can be had too.
    other = server.connect()
    assert readable(other) == good
    fail()
    model.check(h)
    model.check(other)
    # One byte at a time is slow, and right; direct I/O has no such thing.
    if not parameters:
        fail(("pread", name, 0, END, 0))
    for at in range(0, model.size, 128 * STEP):
        model.check(h, 3000, at + 100)
    fail()
    h.shutdown()
    other.shutdown()
    server.stop()
END
}

check disk.vmdk 96 monolithicSparse --size=2M --fill=full
check_file disk.vmdk 96 unbuffered=true
check disk-s002.vmdk 96 twoGbMaxExtentSparse --size=2M --extent-size=1M \
  --fill=full
check disk-flat.vmdk 96 monolithicFlat --size=2M --fill=full
check disk.vmdk 256 streamOptimized --size=2M --fill=full
check disk-delta002.vmdk 96 custom --extents=VMFSSPARSE:1M,VMFSSPARSE:1M \
  --fill=full
check disk-sesparse.vmdk 96 seSparse --size=2M --fill=full
# A parent's is a disk too.
make_base monolithicSparse --size=2M --fill=full
make_child monolithicSparse --size=2M --fill=empty
check_file base.vmdk 96
