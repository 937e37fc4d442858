#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The same over a disk of many small extents of every kind.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

list=()
boundaries=()
end=0
for sectors in 1 128 7 1000 3 2 777 64; do
  for type in FLAT SPARSE ZERO VMFS SPARSE/RDONLY; do
    grain=
    case $type in SPARSE*) grain=:16 ;; esac
    list+=("$type:${sectors}s$grain")
    end=$((end + sectors * 512))
    boundaries+=($end)
  done
done
make_image custom --extents="$(IFS=,; echo "${list[*]}")" --fill=every-other
check_image
export BOUNDARIES="${boundaries[0]} ${boundaries[10]} ${boundaries[20]}"
# shellcheck disable=SC2016
serve_and "$IMAGE" \
  '"$PYTHON" "$srcdir/check-random-reads.py" "$uri" "$MODEL" $BOUNDARIES'
