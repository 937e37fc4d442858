#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Every way of writing a descriptor, embedded in a sparse file, and every other
# one beside split ones: files of their own are in test-dialects-flat.sh too.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

mkvmdk --list-dialects >"$TMP/dialects"
n=0
while read -r dialect _; do
  try monolithicSparse --size=3001s --grain=16 --dialect="$dialect" </dev/null
  [ $((n++ % 2)) -eq 1 ] ||
    try twoGbMaxExtentSparse --size=3001s --extent-size=1000s --grain=16 \
      --dialect="$dialect" </dev/null
done <"$TMP/dialects"
[ "$(wc -l <"$TMP/dialects")" -gt 30 ]
