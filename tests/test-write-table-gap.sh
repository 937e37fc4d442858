#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Where tables are missing there may be grains, also in the place that those
# tables would have: others read them, and so do we, and writes do not lose them.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires_qemu_img
requires qemu-io --version
export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

make_image monolithicSparse --size=64M --grain=8 --fill=edges
"$PYTHON" - "$IMAGE" <<'END'
import struct
import sys

f = open(sys.argv[1], "r+b")
(_, _, _, _, gtes, rgd, gd, _) = struct.unpack("<QQQQIQQQ",
                                               f.read(512)[12:72])


def read(sector, i):
    f.seek(sector * 512 + 4 * i)
    return struct.unpack("<I", f.read(4))[0]


def write(sector, i, value):
    f.seek(sector * 512 + 4 * i)
    f.write(struct.pack("<I", value))


place = read(gd, 5)
for table in 5, 6:
    write(gd, table, 0)
    write(rgd, table, 0)
f.seek(place * 512)
f.write(b"Z" * 4096)
for directory in gd, rgd:
    write(read(directory, 0), 3, place)
END

qemu-io -r -f vmdk -c 'read -P 0x5a 12288 4096' "$IMAGE" >"$TMP/before"
grep '^read 4096' "$TMP/before"
# shellcheck disable=SC2016
nbdkit -U - vmdk "$IMAGE" --run 'nbdsh -u "$uri" -c "
assert h.pread(4096, 12288) == b\"Z\" * 4096
h.pwrite(b\"x\" * 4096, 65536)
# The tables that are missing.
h.pwrite(b\"y\" * 4096, 5 * 512 * 4096)
h.pwrite(b\"y\" * 4096, 6 * 512 * 4096)
h.flush()
assert h.pread(4096, 12288) == b\"Z\" * 4096
h.pwrite(b\"x\" * 4096, 81920)
"'
# shellcheck disable=SC2016
nbdkit -U - vmdk "$IMAGE" --run 'nbdsh -u "$uri" -c "
assert h.pread(4096, 12288) == b\"Z\" * 4096
h.pwrite(b\"x\" * 4096, 86016)
"'
qemu-io -r -f vmdk -c 'read -P 0x5a 12288 4096' \
  -c 'read -P 0x78 65536 4096' -c 'read -P 0x78 81920 8192' \
  -c 'read -P 0x79 10485760 4096' -c 'read -P 0x79 12582912 4096' \
  "$IMAGE" >"$TMP/after"
[ "$(grep -c '^read [48]' "$TMP/after")" -eq 5 ]
