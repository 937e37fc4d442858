#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Damaged grain tables whose redundant twins are whole do not cost a byte, and
# there is one line in the log about them.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

cat >"$TMP/damage.py" <<'END'
import struct
import sys

# Fill grain tables with entries that are far outside the file: of the
# primary or the redundant directory, all, or each second one.
path, which = sys.argv[1:]
with open(path, "r+b") as f:
    header = f.read(512)
    entries, rgd, gd = struct.unpack_from("<IQQ", header, 44)
    capacity, grain = struct.unpack_from("<QQ", header, 12)
    tables = -(-capacity // (entries * grain))
    for i in range(tables):
        if which == "primary" or which == "mixed" and i % 2:
            directory = gd
        elif which == "redundant" or which == "mixed":
            directory = rgd
        f.seek(directory * 512 + i * 4)
        table, = struct.unpack("<I", f.read(4))
        f.seek(table * 512)
        f.write(struct.pack("<I", 0x70000000) * entries)
END

# warnings NUMBER: of the last server.
warnings ()
{
  cat "$TMP/nbdkit.err"
  [ "$(grep -c 'error: warning: ' "$TMP/nbdkit.err")" -eq "$1" ]
  [ "$(grep -c 'error: ' "$TMP/nbdkit.err")" -eq "$1" ]
}

for which in primary mixed redundant; do
  make_image monolithicSparse --size=20M --grain=8 --gtes=256
  "$PYTHON" "$TMP/damage.py" "$IMAGE" $which
  check_image 2>"$TMP/nbdkit.err"
  case $which in
    redundant) warnings 0 ;;
    *) warnings 1 ;;
  esac
done

# The same in one of several extents, and the log names it.
make_image twoGbMaxExtentSparse --size=20M --extent-size=7M --grain=8
"$PYTHON" "$TMP/damage.py" "$TMP/disk/disk-s002.vmdk" primary
check_image 2>"$TMP/nbdkit.err"
warnings 1
grep 'warning: disk-s002.vmdk: ' "$TMP/nbdkit.err"
