#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Sparse extents with grain tables of every legal number of entries.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

for gtes in 1 2 64 128 256 512 1024 4096 65536; do
  try monolithicSparse --gtes=$gtes --grain=2 --size=10007s
  try twoGbMaxExtentSparse --gtes=$gtes --grain=8 --size=30001s \
    --extent-size=9000s --sparse-gd
done
try monolithicSparse --gtes=1 --grain=1 --size=2000s --fill=every-other
try monolithicSparse --gtes=65536 --grain=16 --size=600M --fill=edges
