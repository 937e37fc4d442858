#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Flat extents with an offset, and several lines that name one file.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

for kind in monolithicFlat vmfs; do
  try $kind --size=8M --flat-offset=63s
  try $kind --size=8M --flat-offset=1M
done
try twoGbMaxExtentFlat --size=20M --extent-size=3M --flat-offset=8s
try twoGbMaxExtentFlat --size=20M --extent-size=3M --one-file
[ "$(find "$TMP/disk" -type f | wc -l)" -eq 2 ]
try twoGbMaxExtentFlat --size=9999s --extent-size=777s --one-file \
  --flat-offset=13s
