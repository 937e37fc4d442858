#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Every way of writing a descriptor, of flat disks.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

mkvmdk --list-dialects >"$TMP/dialects"
kinds=(twoGbMaxExtentFlat vmfs)
n=0
while read -r dialect _; do
  try "${kinds[n++ % 2]}" --size=3001s --extent-size=1000s \
    --dialect="$dialect" </dev/null
done <"$TMP/dialects"
[ "$(wc -l <"$TMP/dialects")" -gt 30 ]
