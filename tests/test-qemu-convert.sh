#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Disks made by qemu-img in each kind and with its options: equal by nbdcopy and
# by qemu-img compare.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires_qemu_img
requires mke2fs -V

make_partitioned_disk "$TMP/raw"
# Data in the middle of nothing, and a size that is no whole number of grains.
truncate -s $((80 * 1024 * 1024 + 5 * 512)) "$TMP/raw"
head -c 3000000 "$(command -v bash)" |
  dd of="$TMP/raw" bs=1M seek=40 conv=notrunc status=none
printf 'the end' | dd of="$TMP/raw" bs=1 conv=notrunc status=none \
  seek=$((80 * 1024 * 1024 + 5 * 512 - 7))
export RAW="$TMP/raw"

# compare SUBFORMAT[,OPTION...]
compare ()
{
  rm -rf "$TMP/disk" "$OUT.raw"
  mkdir "$TMP/disk"
  qemu-img convert -f raw -O vmdk -o "subformat=$1" "$RAW" "$IMAGE"
  # shellcheck disable=SC2016
  serve_and "$IMAGE" \
    'nbdcopy "$uri" "$OUT.raw" &&
     qemu-img compare -f raw -F raw "$uri" "$RAW" &&
     qemu-img compare -f raw -F vmdk "$uri" "$IMAGE" &&
     nbdinfo --json --map "$uri" >"$OUT.map"'
  cmp "$OUT.raw" "$RAW"
}

for kind in monolithicSparse twoGbMaxExtentSparse monolithicFlat \
  twoGbMaxExtentFlat; do
  compare $kind
  compare $kind,adapter_type=lsilogic
done
for adapter in buslogic legacyESX; do
  compare monolithicSparse,adapter_type=$adapter
  compare monolithicFlat,adapter_type=$adapter
done
for kind in monolithicSparse twoGbMaxExtentSparse; do
  compare $kind,zeroed_grain=on
  compare $kind,hwversion=6
  compare $kind,compat6=on
done
