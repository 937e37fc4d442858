#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# single-link=true: what only the parent has is a hole, but not of zeroes; and
# parent= and single-link= where they make no sense.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

# shellcheck source=tests/chain-functions.sh
. "$srcdir/chain-functions.sh"

make_base monolithicSparse --size=2M --fill=full
make_child monolithicSparse --size=2M --fill=edges
rm "$TMP/disk/base.vmdk"
# shellcheck disable=SC2016
serve_and "$IMAGE" 'nbdinfo --map "$uri"; nbdinfo "$uri"' single-link=true \
  >"$OUT"
cat "$OUT"
grep -E ' 1  hole$' "$OUT"
grep -E ' 0  data$' "$OUT"
fails grep ',zero$' "$OUT"
grep 'without its parent' "$OUT"

make_base monolithicSparse --size=2M
refuses 'has no parent' vmdk "$TMP/disk/base.vmdk" parent="$TMP/disk/base.vmdk"
refuses 'contradict' vmdk "$TMP/disk/base.vmdk" single-link=true \
  parent="$TMP/disk/base.vmdk"
# A disk without a parent is all there either way.
IMAGE="$TMP/disk/base.vmdk" MODEL="$TMP/base.raw" MAP="$TMP/base.map" \
  check_image single-link=true
