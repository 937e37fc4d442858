#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# streamOptimized in every layout that writers use.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

for style in A B C D E markerless-sized markerless-bare; do
  try streamOptimized --size=20M --layout-style=$style
  try streamOptimized --size=12345s --layout-style=$style --shuffle --seed=2
  try streamOptimized --size=9M --layout-style=$style --version=1 --gtes=128
  # Incompressible grains are stored, and larger than a grain.
  try streamOptimized --size=4M --layout-style=$style --data=random --level=0
  try streamOptimized --size=3333s --layout-style=$style --grain=8 --zeroed
done
try streamOptimized --size=20M --progress-markers

# The descriptor in a file of its own.
make_image streamOptimized --size=20M
mv "$IMAGE" "$TMP/disk/stream.vmdk"
cat >"$IMAGE" <<'END'
# Disk DescriptorFile
version=1
CID=12345678
parentCID=ffffffff
createType="streamOptimized"
RDONLY 40960 SPARSE "stream.vmdk"
END
check_image

try streamOptimized --size=8M --grain=1 --fill=every-other
try streamOptimized --size=80M --grain=65536 --fill=edges
for fill in full empty edges; do
  try streamOptimized --size=20M --fill=$fill
done
