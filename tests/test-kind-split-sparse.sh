#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# twoGbMaxExtentSparse: one extent, two and many, and sizes that leave a
# short last one.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

try twoGbMaxExtentSparse --size=24M
try twoGbMaxExtentSparse --size=24M --extent-size=16M
[ "$(grep -c ' SPARSE ' "$IMAGE")" -eq 2 ]

for fill in random full empty every-other edges; do
  try twoGbMaxExtentSparse --size=45M --extent-size=1M --fill=$fill
done

# Extents that are smaller than a grain or no multiple of it, so that no
# boundary on the disk is one of a grain.
try twoGbMaxExtentSparse --size=10001s --extent-size=101s
try twoGbMaxExtentSparse --size=30M --extent-size=1999s --grain=16 --zeroed
try twoGbMaxExtentSparse --size=20M --extent-size=1s --grain=1 --gtes=128 \
  --size=300s --fill=every-other
