#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Each kind is opened, mapped, read and closed under valgrind.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/chain-functions.sh
. "$srcdir/chain-functions.sh"

requires valgrind --version
skip_if_sanitizers "they cannot be used under valgrind"
export NBDKIT_VALGRIND=1

try monolithicSparse --size=1M --shuffle --zeroed
try twoGbMaxExtentSparse --size=1M --extent-size=300K --grain=8
try monolithicFlat --size=1M
try twoGbMaxExtentFlat --size=1M --extent-size=300K
try vmfs --size=1M
try vmfsSparse --size=1M
try seSparse --size=1M
try streamOptimized --size=1M
try custom --extents=SPARSE:300K:8,ZERO:300K,FLAT:300K,SPARSE/RDONLY:300K:128
make_base streamOptimized --size=1M
make_child monolithicSparse --size=1M
check_image
for damage in extent-missing gtes-3 quote-open extents-100000; do
  rm -rf "$TMP/disk"
  mkdir "$TMP/disk"
  mkvmdk --size=1M --extent-size=300K --damage=$damage twoGbMaxExtentSparse \
    "$IMAGE"
  refuses . vmdk "$IMAGE"
done
for damage in cut-in-grain gd-garbage-rgd-whole gt-garbage; do
  make_image twoGbMaxExtentSparse --size=1M --extent-size=300K --damage=$damage
  read_damage --right-or-error
done
