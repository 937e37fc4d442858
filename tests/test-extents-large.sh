#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Extents of disks that are larger than 4 GiB: the longest answer to one request
# has 2^32 - 1 bytes, and the server survives a first extent of 4 GiB and more.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

most=4294967295
g=$((1024 * 1024 * 1024))

check ()
{
  # shellcheck disable=SC2016
  WINDOWS="0:$most 1:$most 512:$most $((g + 1)):$most $((g - 1)):$((3 * g))" \
    nbdkit -U - vmdk "$IMAGE" --run \
    '"$PYTHON" "$srcdir/check-extents.py" "$uri" "$MAP" $WINDOWS &&
     nbdinfo --map "$uri" >"$OUT.map"'
  compare_maps
}

for fill in empty edges; do
  make_image_without_model monolithicSparse --size=6G --fill=$fill --map="$MAP"
  check
  make_image_without_model twoGbMaxExtentSparse --size=9G --fill=$fill \
    --map="$MAP"
  check
  make_image_without_model custom --fill=$fill --map="$MAP" \
    --extents=ZERO:6G,SPARSE:1G:128
  check
done
make_image_without_model monolithicFlat --size=6G --fill=empty --map="$MAP"
find_out_about_holes
[ $host_has_holes = no ] || check
make_image_without_model custom --fill=empty --map="$MAP" \
  --extents=SPARSE:4G:128,ZERO:1s,SPARSE:4G:65536,ZERO:4G
check
