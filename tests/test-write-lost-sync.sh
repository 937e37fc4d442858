#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A sync fails, and the server is started again.  The tables that the page
# cache still has are not on the disk, and must not be built on: what is flushed
# then survives the loss of the cache.  Nor are they shown: what clients read is
# the same before the first change and after it.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

[ "$(id -u)" -eq 0 ] || skip "only root may mount a small file system"
requires losetup --version
requires unshare -m mount -t tmpfs -o size=8m nbdkit-vmdk-test "$TMP"

# The disk is in a loop device, whose file has no storage for the tables, and
# gets none while its file system is full.
cat >"$TMP/fill.py" <<'END'
import os
import sys

path, grains = sys.argv[1], int(sys.argv[2])
with open(path, "r+b") as f:
    f.truncate(6 << 20)
    f.seek(grains)
    f.write(b"x" * ((6 << 20) - grains))
END

cat >"$TMP/test.py" <<'END'
import os
import sys
import nbd
from writing import Server

device, filler = sys.argv[1:]
server = Server(device)
h = server.connect()
h.pwrite(b"1" * 4096, 30 << 20)
try:
    h.flush()
    sys.exit("the flush does not fail")
except nbd.Error:
    pass
h.shutdown()
server.stop()

os.unlink(filler)
server = Server(device, options=["-r"])
h = server.connect()
before = h.pread(4096, 30 << 20)
h.shutdown()
server.stop()

server = Server(device)
h = server.connect()
assert h.pread(4096, 30 << 20) == before
h.pwrite(b"0" * 512, 10 << 20)
assert h.pread(4096, 30 << 20) == before
h.pwrite(b"2" * 4096, 30 << 20)
h.flush()
server.kill()
END

cat >"$TMP/inside.sh" <<'END'
set -e
mount -t tmpfs -o size=8m nbdkit-vmdk-test "$TMP/small"
cp --sparse=always "$IMAGE" "$TMP/small/backing"
fallocate --dig-holes "$TMP/small/backing"
"$PYTHON" "$TMP/fill.py" "$TMP/small/backing" "$(stat -c %s "$IMAGE")"
device=$(losetup -f --show "$TMP/small/backing") || exit 77
trap 'exec 9<&-; losetup -d "$device"' EXIT
# The last one who closes a device takes the cache away.
exec 9<"$device" || exit 77
dd if=/dev/zero of="$TMP/small/filler" bs=4k status=none || :
"$PYTHON" "$TMP/test.py" "$device" "$TMP/small/filler"
exec 9<&-
blockdev --flushbufs "$device"
nbdkit -r -U - vmdk "$device" --run \
  'nbdsh -u "$uri" -c "assert h.pread(4096, 30 << 20) == b\"2\" * 4096"'
END

make_image monolithicSparse --size=40M --grain=8 --fill=empty
mkdir "$TMP/small"
export TMP
unshare -m bash -x "$TMP/inside.sh"
