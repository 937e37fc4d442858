# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# shellcheck shell=bash

# For tests of parents.  Source it behind image-functions.sh.  The links are
# files of $TMP/disk; link 0 is the base.

# make_base KIND [OPTION OF MKVMDK...]: $TMP/disk/base.vmdk
make_base ()
{
  rm -rf "$TMP/disk"
  mkdir -p "$TMP/disk"
  mkvmdk --model="$TMP/base.raw" --map="$TMP/base.map" "${@:2}" "$1" \
    "$TMP/disk/base.vmdk"
}

# make_child KIND [OPTION OF MKVMDK...]: $IMAGE on top of the base, and its
# model.
make_child ()
{
  mkvmdk --parent="$TMP/disk/base.vmdk" --parent-model="$TMP/base.raw" \
    --parent-map="$TMP/base.map" --model="$MODEL" --map="$MAP" --seed=77 \
    "${@:2}" "$1" "$IMAGE"
}
