#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Streams that QEMU makes, and of which it writes the last grain short.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires_qemu_img

for size in 5M 5000s 4999s 129s 1s; do
  for fill in random full empty; do
    mkvmdk --size=$size --fill=$fill --model="$MODEL" monolithicSparse \
      "$TMP/source.vmdk"
    mkdir -p "$TMP/disk"
    rm -f "$IMAGE"
    qemu-img convert -O vmdk -o subformat=streamOptimized "$MODEL" "$IMAGE"
    copy_out "$IMAGE" "$OUT.raw"
    cmp "$OUT.raw" "$MODEL"
  done
done
