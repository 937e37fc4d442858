#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The map of disks of 2 TiB, sparse and split.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

check ()
{
  # shellcheck disable=SC2016
  serve_and "$IMAGE" \
    '"$PYTHON" "$srcdir/check-extents.py" "$uri" "$MAP" 0:4294967295 &&
     nbdinfo --map "$uri" >"$OUT.map" && nbdinfo --size "$uri" >"$OUT.size"'
  compare_maps
  [ "$(cat "$OUT.size")" -eq $((2 * 1024 * 1024 * 1024 * 1024)) ]
}

make_image_without_model monolithicSparse --size=2T --fill=edges --map="$MAP" \
  --sparse-gd
check
make_image_without_model twoGbMaxExtentSparse --size=2T --fill=edges \
  --map="$MAP" --sparse-gd --extent-size=64G
check
