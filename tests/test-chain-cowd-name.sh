#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A disk of Workstation 3 has no descriptor: its parent is named in the header,
# and known by nothing else.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

# shellcheck source=tests/chain-functions.sh
. "$srcdir/chain-functions.sh"

make_base vmfsSparse --old-cowd --bare --grain=2 --size=1M
mkvmdk --size=1M --seed=9 --old-cowd --bare --grain=2 vmfsSparse \
  --model="$MODEL" --map="$MAP" "$IMAGE"

# Before it has a parent, it reads as zeroes where it has nothing.
check_image

printf 'D:\\disks\\base.vmdk\0' |
  dd of="$IMAGE" bs=1 seek=32 conv=notrunc status=none
"$PYTHON" - "$MODEL" "$MAP" "$TMP/base.raw" <<'END'
import sys
model, map_, base = sys.argv[1:]
with open(base, "rb") as f:
    parent = f.read()
with open(model, "r+b") as f:
    for line in open(map_):
        offset, length, kind = line.split()
        if kind != "data":
            offset, length = int(offset), int(length)
            f.seek(offset)
            f.write(parent[offset:offset + length])
END
copy_out "$IMAGE" "$OUT.raw"
cmp "$OUT.raw" "$MODEL"

rm "$TMP/disk/base.vmdk"
refuses 'base\.vmdk.*parent=' vmdk "$IMAGE"
