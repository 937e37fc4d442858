#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A child of every kind with a parent of every kind, and each kind of both of
# the other's size, smaller and larger; also where zeroed grains hide what the
# parent has.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

# shellcheck source=tests/chain-functions.sh
. "$srcdir/chain-functions.sh"

children=(
  "monolithicSparse --grain=16"
  "twoGbMaxExtentSparse --extent-size=700K --zeroed"
  "vmfsSparse"
  "seSparse --zeroed"
)
bases=(
  "monolithicSparse"
  "twoGbMaxExtentSparse --extent-size=900K --grain=8"
  "monolithicFlat"
  "twoGbMaxExtentFlat --extent-size=1M"
  "vmfs"
  "streamOptimized"
  "vmfsSparse --grain=4"
  "seSparse"
)
sizes=(3M 5777s 7001s)
n=0
for base in "${bases[@]}"; do
  # shellcheck disable=SC2086
  make_base $base --size=3M
  for child in "${children[@]}"; do
    # As there are four children, each has each size.
    # shellcheck disable=SC2086
    make_child $child --size=${sizes[n++ % 3]}
    check_image
    rm -f "$IMAGE" "$TMP"/disk/disk*
  done
done
