#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Tables of a file that turned out not to be the parent must not be taken for
# those of the file that is.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

for kind in streamOptimized monolithicSparse; do
  rm -rf "$TMP/disk"
  mkdir -p "$TMP/disk/sub"
  for ((i = 1; i <= 8; i++)); do
    rm -f "$TMP"/disk/*.vmdk "$TMP"/disk/sub/*.vmdk
    # Beside the child is a damaged copy of the parent, of which a small and
    # empty extent can be opened.
    mkvmdk --size=64K --fill=empty --seed=$i streamOptimized \
      "$TMP/disk/small.vmdk"
    mkvmdk --size=$((i * 3))M --fill=full --seed=$((i + 100)) \
      --gtes=16 --model="$TMP/base.raw" --map="$TMP/base.map" $kind \
      "$TMP/disk/sub/base.vmdk"
    cid=$(grep -a -m 1 -o '^CID=[0-9a-f]*' "$TMP/disk/sub/base.vmdk")
    printf '%s\n' '# Disk DescriptorFile' version=1 "$cid" parentCID=ffffffff \
      'RW 128 SPARSE "small.vmdk"' 'RW 128 SPARSE "gone.vmdk"' \
      >"$TMP/disk/base.vmdk"
    mkvmdk --size=$((i * 3))M --fill=edges --hint=sub/base.vmdk \
      --parent="$TMP/disk/sub/base.vmdk" --parent-model="$TMP/base.raw" \
      --parent-map="$TMP/base.map" --model="$MODEL" --map="$MAP" \
      monolithicSparse "$IMAGE"
    check_image
  done
done
