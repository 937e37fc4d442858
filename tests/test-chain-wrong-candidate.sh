#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Of several files that can be the parent the right one is taken, and nothing of
# another one is left in what is read.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires_qemu_img

# Tables of a file that turned out not to be the parent are not taken for those
# of the file that is.
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
    mkvmdk --size=$((i * 3))M --fill=edges --hint='sub\base.vmdk' \
      --parent="$TMP/disk/sub/base.vmdk" --parent-model="$TMP/base.raw" \
      --parent-map="$TMP/base.map" --model="$MODEL" --map="$MAP" \
      monolithicSparse "$IMAGE"
    check_image
  done
done

# child HINT FOLDER: $IMAGE on the base in that folder.
child ()
{
  rm -f "$IMAGE"
  mkvmdk --size=1M --seed=9 --hint="$1" --parent="$2/base.vmdk" \
    --parent-model="$2/base.raw" --parent-map="$2/base.map" \
    --model="$MODEL" --map="$MAP" monolithicSparse "$IMAGE"
}

# Two with the same content ID that are not the same.
rm -rf "$TMP/disk"
mkdir -p "$TMP/disk/sub"
for folder in . sub; do
  mkvmdk --size=1M --seed=${#folder} --cid=1234abcd \
    --model="$TMP/disk/$folder/base.raw" --map="$TMP/disk/$folder/base.map" \
    monolithicSparse "$TMP/disk/$folder/base.vmdk"
done

# A relative name says which, to QEMU too.
for hint in sub/base.vmdk ./sub/base.vmdk sub//base.vmdk; do
  child "$hint" "$TMP/disk/sub"
  check_image
  qemu-img compare -f vmdk -F raw "$IMAGE" "$MODEL"
done

# One of another host does not.
for hint in "$TMP/disk/sub/base.vmdk" 'sub\base.vmdk' 'C:\sub\base.vmdk' \
  C:/sub/base.vmdk; do
  child "$hint" "$TMP/disk"
  check_image
done
