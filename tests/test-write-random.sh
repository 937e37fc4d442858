#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Random images of all kinds, alone and in chains, changed at random through
# the core by several threads, and compared with a model.  No parent changes.
#
# RANDOM_IMAGES is how many, RANDOM_SEED the first seed.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"

skip_if_valgrind "the same code is run without nbdkit"

count=${RANDOM_IMAGES:-120}
seed=${RANDOM_SEED:-1}
written=0
set +x
for ((i = seed; i < seed + count; i++)); do
  rm -rf "$TMP/image"
  mkdir "$TMP/image"
  mkvmdk --random --seed="$i" "$TMP/image" >"$TMP/made" 2>&1 ||
    fail "seed $i: $(cat "$TMP/made")"
  # Without parents it is the model, which does not change either.
  (cd "$TMP/image" && find . \( -name 'link*' -o -name model.raw \) -type f \
    -exec sha256sum {} +) >"$TMP/parents"
  core write-model "$TMP/image/top.vmdk" "$i" 200 4 \
    >"$TMP/log" 2>&1 || fail "seed $i: $(cat "$TMP/made" "$TMP/log")"
  ! grep -q '^written' "$TMP/log" || written=$((written + 1))
  (cd "$TMP/image" && sha256sum -c --quiet "$TMP/parents") ||
    fail "seed $i: a parent has changed"
done
echo "$written images of $count were written"
[ "$written" -ge $((count / 4)) ]
