#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# monolithicFlat, twoGbMaxExtentFlat and vmfs: content, and a map that knows
# the holes of the host's file.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

for kind in monolithicFlat twoGbMaxExtentFlat vmfs; do
  for fill in random full empty every-other edges; do
    try $kind --size=20M --fill=$fill
  done
  try $kind --size=12345s
done
try twoGbMaxExtentFlat --size=20M --extent-size=1M
try twoGbMaxExtentFlat --size=5555s --extent-size=77s
