#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The map that qemu-img prints of the served disk agrees with the model, and
# qemu-io reads what the model has.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires_qemu_img
requires qemu-io --version
requires jq --version

for kind in monolithicSparse twoGbMaxExtentSparse twoGbMaxExtentFlat; do
  make_image $kind --size=30M --extent-size=7M --grain=16
  # shellcheck disable=SC2016
  serve_and "$IMAGE" 'qemu-img map -f raw --output=json "$uri" >"$OUT.json"'
  # As nbdinfo prints it.
  jq -r '.[] | [.start, .length, if .zero then 3 else 0 end] | map(tostring) |
         join(" ")' "$OUT.json" >"$OUT.map"
  compare_maps
done

# A pattern that qemu-io itself can check.
mkdir "$TMP/pattern"
qemu-img create -q -f vmdk -o subformat=twoGbMaxExtentSparse \
  "$TMP/pattern/disk.vmdk" 100M
qemu-io -f vmdk -c 'write -P 0x51 0 1M' -c 'write -P 0xa7 10001k 333k' \
  -c 'write -P 0x3c 99M 1M' "$TMP/pattern/disk.vmdk"
# shellcheck disable=SC2016
serve_and "$TMP/pattern/disk.vmdk" \
  'qemu-io -r -f raw -c "read -P 0x51 0 1M" -c "read -P 0 1M 1M" \
     -c "read -P 0xa7 10001k 333k" -c "read -P 0xa7 10241537 1000" \
     -c "read -P 0 10334k 100k" \
     -c "aio_read -P 0x3c 99M 1M" -c "aio_read -P 0 50M 4M" -c aio_flush \
     "$uri" >"$OUT.io"'
cat "$OUT.io"
[ "$(grep -c '^read [0-9]*/' "$OUT.io")" -eq 7 ]
if grep -iE 'fail|error|mismatch' "$OUT.io"; then
  fail "qemu-io did not read the pattern"
fi
