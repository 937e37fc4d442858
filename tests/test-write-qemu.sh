#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Disks that qemu-img made, changed at random, are whole to QEMU, and it reads
# in them what was written.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"

requires_qemu_img

# change IMAGE: write, check and compare.
change ()
{
  core write-model "$1" 7 400 4 "$TMP/content.raw" >"$TMP/log"
  grep -q '^written' "$TMP/log"
  qemu-img check -f vmdk "$1"
  qemu-img compare -f vmdk -F raw "$1" "$TMP/content.raw"
}

for kind in monolithicSparse twoGbMaxExtentSparse monolithicFlat \
  twoGbMaxExtentFlat; do
  for size in 1M 65000K; do
    rm -f "$TMP"/disk* "$TMP"/child*
    qemu-img create -q -f vmdk -o subformat=$kind "$TMP/disk.vmdk" $size
    # Once into nothing, once more over what is there.
    change "$TMP/disk.vmdk"
    change "$TMP/disk.vmdk"
    case $kind in
      *Sparse)
        cp "$TMP/disk.vmdk" "$TMP/disk.before"
        qemu-img create -q -f vmdk -b disk.vmdk -F vmdk \
          -o subformat=monolithicSparse "$TMP/child.vmdk"
        change "$TMP/child.vmdk"
        change "$TMP/child.vmdk"
        cmp "$TMP/disk.vmdk" "$TMP/disk.before"
        ;;
    esac
  done
done

# With entries for zeroed grains, alone and over a parent.
rm -f "$TMP"/disk* "$TMP"/child*
qemu-img create -q -f vmdk -o zeroed_grain=on "$TMP/disk.vmdk" 33M
change "$TMP/disk.vmdk"
qemu-img create -q -f vmdk -b disk.vmdk -F vmdk -o zeroed_grain=on \
  "$TMP/child.vmdk"
change "$TMP/child.vmdk"
change "$TMP/child.vmdk"
