#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Answers to requests for extents: no more and no less than was asked for, and
# every run as long as it can be, also across grain tables and VMDK extents.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

check ()
{
  # shellcheck disable=SC2016
  serve_and "$IMAGE" '"$PYTHON" "$srcdir/check-extents.py" "$uri" "$MAP"'
}

for fill in random full empty every-other edges; do
  make_image monolithicSparse --size=67M --fill=$fill --shuffle
  check
done
make_image twoGbMaxExtentSparse --size=40M --extent-size=1M --grain=8 \
  --gtes=128 --zeroed
check
make_image custom \
  --extents=ZERO:1M,SPARSE:2M:8,ZERO:3M,SPARSE:1M:128,ZERO:1s,ZERO:77s
check
# All that is allocated is one run, whatever holds it.
make_image custom --fill=full \
  --extents=SPARSE:2M:8,SPARSE:1000s:1,FLAT:1M,SPARSE:3M:128,VMFS:9s
[ "$(wc -l <"$MAP")" -eq 1 ]
check
find_out_about_holes
if [ $host_has_holes = yes ]; then
  make_image twoGbMaxExtentFlat --size=40M --extent-size=7M
  check
fi
