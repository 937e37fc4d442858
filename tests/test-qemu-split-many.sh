#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A split disk of several extents that qemu made, which are of 2 GiB.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires_qemu_img
requires qemu-io --version

for kind in twoGbMaxExtentSparse twoGbMaxExtentFlat; do
  rm -rf "$TMP/disk"
  mkdir "$TMP/disk"
  qemu-img create -q -f vmdk -o subformat=$kind "$IMAGE" 7G
  qemu-io -f vmdk -c 'write -P 1 0 64k' -c 'write -P 2 2097120k 64k' \
    -c 'write -P 3 4194240k 128k' -c 'write -P 4 7339968k 64k' "$IMAGE"
  [ "$(grep -c '^RW ' "$IMAGE")" -eq 4 ]
  # shellcheck disable=SC2016
  serve_and "$IMAGE" \
    'qemu-img compare -f raw -F vmdk "$uri" "$IMAGE" &&
     qemu-io -r -f raw -c "read -P 3 4194240k 128k" \
       -c "read -P 2 2147480000 7000" "$uri" >"$OUT.io"'
  [ "$(grep -c '^read [0-9]*/' "$OUT.io")" -eq 2 ]
  if grep -iE 'fail|error' "$OUT.io"; then
    fail "qemu-io did not read the pattern"
  fi
done
