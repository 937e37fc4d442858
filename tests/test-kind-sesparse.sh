#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# seSparse: all types of entries, several extents, and more than 2 TiB.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

for fill in random full empty every-other edges; do
  try seSparse --size=40M --fill=$fill
  try seSparse --size=40M --fill=$fill --zeroed --shuffle --seed=3
done
try seSparse --size=54321s
try custom --extents=SESPARSE:20M,FLAT:3M,SESPARSE:17M

# Such a disk is not copied out.
make_image seSparse --size=5T --fill=edges
core compare-model "$IMAGE" "$MODEL" "$MAP"
# shellcheck disable=SC2016
serve_and "$IMAGE" 'nbdinfo --map "$uri" >"$OUT.map"'
compare_maps
