#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# custom: a mixture of extents, among them ZERO, RDONLY and different grains.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

try custom --extents=FLAT:1M,SPARSE:3M:128,ZERO:2M,VMFS:1M,SPARSE/RDONLY:5M:8
try custom --extents=ZERO:63s,FLAT/RDONLY:1000s,ZERO/RDONLY:1s,SPARSE:777s:1
try custom --extents=ZERO:1s
try custom --extents=SPARSE:1s:65536,FLAT:1s,ZERO:1s,SPARSE:3s:1
try custom --one-file \
  --extents=FLAT:100s,ZERO:100s,FLAT:100s,SPARSE:1M:64,FLAT:99s
for seed in 1 2 3; do
  try custom --seed=$seed --fill=every-other --zeroed \
    --extents=SPARSE:1M:16,FLAT:1M,ZERO:100s,FLAT:3s,SPARSE:12345s:2,ZERO:1M
done
