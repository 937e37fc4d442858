#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A server in the background, where relative names have lost their meaning; with
# 1 and with many threads.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

make_image twoGbMaxExtentSparse --size=20M --extent-size=3M
for threads in 1 2 16 64; do
  cd "$TMP/disk"
  start_nbdkit -P "$TMP/pid.$threads" -r -U "$TMP/sock.$threads" -t $threads \
    vmdk disk.vmdk
  cd /
  uri="nbd+unix://?socket=$TMP/sock.$threads"
  nbdcopy "$uri" "$OUT.raw"
  cmp "$OUT.raw" "$MODEL"
  [ $threads != 16 ] || "$PYTHON" "$srcdir/check-random-reads.py" "$uri" \
    "$MODEL" 3145728
  nbdinfo --map "$uri" >"$OUT.map"
  compare_maps
done

# A relative name with a folder, and a disk whose files are no longer there.
cd "$TMP"
start_nbdkit -P "$TMP/pid" -r -U "$TMP/sock" vmdk file=disk/disk.vmdk
rm -r "$TMP/disk"
nbdcopy "nbd+unix://?socket=$TMP/sock" "$OUT.raw"
cmp "$OUT.raw" "$MODEL"
