#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Sparse extents whose capacity is no multiple of the grain.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

for size in 1 2 127 128 129 200 401 65535 65536 65537; do
  try monolithicSparse --size=${size}s
  try monolithicSparse --size=${size}s --header-rounded
  try monolithicSparse --size=${size}s --fill=full
done
