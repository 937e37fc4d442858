#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Images of every kind with a few bytes or fields changed at random: see
# mutate-images.py.  MUTATIONS says how many, MUTATION_SEED which.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires_nbdsh
export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1
set +x

mkdir "$TMP/good"

# good NAME KIND [OPTION OF MKVMDK...]
good ()
{
  mkdir "$TMP/good/$1"
  mkvmdk "${@:3}" "$2" "$TMP/good/$1/disk.vmdk"
}

# good_chain NAME KIND [OPTION OF MKVMDK...]: over a base of another kind.
good_chain ()
{
  mkdir "$TMP/good/$1"
  mkvmdk --size=1M monolithicSparse "$TMP/good/$1/base.vmdk"
  mkvmdk --size=1M --parent="$TMP/good/$1/base.vmdk" "${@:3}" "$2" \
    "$TMP/good/$1/disk.vmdk"
}

good sparse monolithicSparse --size=1M
good small-grains monolithicSparse --size=1M --grain=8 --gtes=128
good zeroed monolithicSparse --size=1M --grain=8 --zeroed --shuffle
good split twoGbMaxExtentSparse --size=1M --extent-size=300K
good flat monolithicFlat --size=256K
good split-flat twoGbMaxExtentFlat --size=256K --extent-size=100K
good vmfs vmfs --size=256K
good cowd vmfsSparse --size=1M
good sesparse seSparse --size=1M
good custom custom \
  --extents=SPARSE:256K:8,ZERO:64K,FLAT:64K,VMFSSPARSE:256K,SPARSE:128K:16
for style in A B C D E; do
  good stream-$style streamOptimized --size=1M --layout-style=$style
done
good_chain chain monolithicSparse
good_chain chain-cowd vmfsSparse
good_chain chain-split twoGbMaxExtentSparse --extent-size=300K

# With sanitizers and valgrind memory is not the plugin's alone.
max_mib=40
if [ "${NBDKIT_VALGRIND:-}" = 1 ] || has_sanitizers; then
  max_mib=0
fi
"$PYTHON" "$srcdir/mutate-images.py" "${MUTATIONS:-200}" "${MUTATION_SEED:-1}" \
  "$max_mib" "$TMP/good"
