#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Random images and chains, changed by several threads past the page cache.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/unbuffered-functions.sh
. "$srcdir/unbuffered-functions.sh"

skip_if_valgrind "the same code is run without nbdkit"

export UNBUFFERED=1
set +x
for ((i = 3001; i < 3041; i++)); do
  rm -rf "$TMP/image"
  mkdir "$TMP/image"
  mkvmdk --random --seed="$i" "$TMP/image" >"$TMP/made" 2>&1 ||
    fail "seed $i: $(cat "$TMP/made")"
  core write-model "$TMP/image/top.vmdk" "$i" 100 4 \
    >"$TMP/log" 2>&1 || fail "seed $i: $(cat "$TMP/made" "$TMP/log")"
  cat "$TMP/log"
done | grep -c '^written'
