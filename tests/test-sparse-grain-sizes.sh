#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Sparse extents with every size of grain.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

for ((grain = 1; grain <= 65536; grain *= 2)); do
  # A few grains at least, and no whole number of them.
  size=$((grain * 5 + 3))
  [ $size -ge 5003 ] || size=5003
  try monolithicSparse --grain=$grain --size=${size}s --zeroed
done
