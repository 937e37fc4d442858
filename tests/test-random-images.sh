#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Random images of all kinds, alone and in chains, read through the core and
# compared with their models: size, map, every byte, and by 64 threads
# that mix reads and maps.
#
# RANDOM_IMAGES is how many, RANDOM_SEED the first seed; the seed of an image
# makes it again.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"

skip_if_valgrind "the unit tests cover the same code in less time"

count=${RANDOM_IMAGES:-400}
seed=${RANDOM_SEED:-1}
set +x
for ((i = seed; i < seed + count; i++)); do
  rm -rf "$TMP/image"
  mkdir "$TMP/image"
  mkvmdk --random --seed="$i" "$TMP/image" >"$TMP/made" 2>&1 ||
    fail "seed $i: $(cat "$TMP/made")"
  core compare-model "$TMP/image/top.vmdk" "$TMP/image/model.raw" \
    "$TMP/image/model.map" >"$TMP/log" 2>&1 ||
    fail "seed $i: $(cat "$TMP/made" "$TMP/log")"
done
echo "seeds $seed to $((seed + count - 1)) are right"
