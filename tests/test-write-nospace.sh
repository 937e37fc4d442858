#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The file system is full: the client is told so, what was acknowledged stays,
# grains that the disk has already can be written, and nothing is lost by a restart.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

# shellcheck source=tests/chain-functions.sh
. "$srcdir/chain-functions.sh"

requires_qemu_img
export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

[ "$(id -u)" -eq 0 ] || skip "only root may mount a small file system"
requires unshare -m true
requires unshare -m mount -t tmpfs -o size=4m nbdkit-vmdk-test "$TMP"

cat >"$TMP/fill.py" <<'END'
import errno
import os
import sys
import nbd
from writing import Model, Server

image = os.environ["IMAGE"]
model = Model.load()
server = Server(image)
h = server.connect()
STEP = 200000


def full(count, offset):
    """Write, until there is no room.  Those sectors that could not be
    written may be old or new."""
    old = bytes(model.data[offset:offset + count])
    try:
        model.write(h, count, offset)
        return False
    except nbd.Error as e:
        assert e.errnum == errno.ENOSPC, e
    got = h.pread(count, offset)
    model.data[offset:offset + count] = got
    return True


at = 0
while not full(STEP, at):
    at += STEP
    assert at + STEP < model.size
    if at == 5 * STEP:
        h.flush()
print("full at", at)
assert at > 2 * 1024 * 1024, at
model.check(h)
h.flush()
# Again, elsewhere, and where there are grains already.
for i in range(10):
    full(70000, model.size - 70000 * (i + 1))
model.check(h)
model.write(h, 2 * STEP, 0)
model.zero(h, 5000, 300)
model.write(h, 1000, STEP + 5, nbd.CMD_FLAG_FUA)
model.check(h)
h.flush()
model.check(h)
h.shutdown()
server.stop()

server = Server(image)
h = server.connect()
model.check(h)
# What is freed can be used.
model.zero(h, at, 0)
h.flush()
model.write(h, 5 * STEP, model.size - 6 * STEP)
h.flush()
model.check(h)
# Full once more, and killed.
at = 0
while not full(STEP, at):
    at += STEP
h.flush()
server.kill()
server = Server(image)
h = server.connect()
model.check(h)
h.shutdown()
server.stop()
model.save(os.environ["MODEL"])
END

# check: the image that was made is moved into the file system.
check ()
{
  # shellcheck disable=SC2016
  PYTHON=$PYTHON unshare -m bash -eux -c '
    mv "$1" "$1.before"
    mkdir "$1"
    mount -t tmpfs -o size=4m nbdkit-vmdk-test "$1"
    cp --sparse=always "$1.before"/* "$1"
    "$PYTHON" "$2"
    case $(head -c 4 "$IMAGE") in
      KDMV) qemu-img check -f vmdk "$IMAGE" ;;
    esac
    qemu-img compare -f vmdk -F raw "$IMAGE" "$MODEL"' - \
    "$TMP/disk" "$TMP/fill.py"
  rm -rf "$TMP/disk.before"
}

make_image monolithicSparse --size=12M --fill=empty
check
make_image monolithicSparse --size=12M --fill=empty --grain=8 --gtes=128
check
make_image twoGbMaxExtentSparse --size=12M --fill=empty --extent-size=2M
check
make_image vmfsSparse --size=12M --fill=empty
check
make_base monolithicSparse --size=1M
make_child monolithicSparse --size=12M --fill=empty --zeroed
check
