#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A disk with more grain tables than can be kept in order is served read-only,
# and not found to be so by the first client that writes.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires_nbdinfo

# 5 Mi tables, none of which exists, of 128 grains of a sector.
"$PYTHON" - "$TMP/disk.vmdk" <<'END'
import struct
import sys

tables, directory = 5 << 20, 21
capacity = tables * 128
text = f"""# Disk DescriptorFile
version=1
CID=12345678
parentCID=ffffffff
createType="monolithicSparse"
RW {capacity} SPARSE "disk.vmdk"
"""
overhead = directory + tables * 4 // 512
with open(sys.argv[1], "wb") as f:
    f.write(struct.pack("<4sIIQQQQIQQQB4sH", b"KDMV", 1, 1, capacity, 1, 1, 20,
                        128, 0, directory, overhead, 0, b"\n \r\n", 0))
    f.seek(512)
    f.write(text.encode())
    f.truncate(overhead * 512)
END

# shellcheck disable=SC2016
nbdkit -U - vmdk "$TMP/disk.vmdk" --run '
nbdinfo --is read-only "$uri" && nbdinfo "$uri"' >"$OUT.info" 2>"$OUT.log"
for file in "$OUT.info" "$OUT.log"; do
  grep "read-only: .*5242880 grain tables of 128 entries are not written" \
    "$file"
done
