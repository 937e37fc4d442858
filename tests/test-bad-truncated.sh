#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A sparse file that was cut short opens; of the grains that are missing reads
# fail, and all others are right.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

make_image monolithicSparse --size=5M --fill=full --seed=3
# The grains follow each other from the field overHead on.
start=$(($(od -An -t u8 -j 64 -N 8 "$IMAGE") * 512))
[ "$(stat -c %s "$IMAGE")" -eq $((start + 80 * 65536)) ]

# cut_at SIZE GRAINS: GRAINS of them are left, and perhaps a part of one.
cut_at ()
{
  local grains=$2 part=$((($1 - start) % 65536 != 0)) after=$((80 * 65536))
  local missing

  truncate -s "$1" "$IMAGE"
  : >"$MAP"
  [ "$grains" -eq 0 ] || echo "0 $((grains * 65536)) data" >>"$MAP"
  # What there is of a grain may be read or not: that grain is not asked for.
  missing=$(((grains + part) * 65536))
  [ $missing -eq $after ] ||
    echo "$missing $((after - missing)) error" >>"$MAP"
  # shellcheck disable=SC2016
  serve_and "$IMAGE" \
    '"$PYTHON" "$srcdir/check-reads.py" "$uri" "$MODEL" "$MAP"'
}

for size in $((79 * 65536 + 65535)) $((79 * 65536 + 1)) $((79 * 65536)) \
  $((50 * 65536 - 512)) $((20 * 65536 + 4096)) $((20 * 65536)) 65536 1 0; do
  cut_at $((start + size)) $((size / 65536))
done
