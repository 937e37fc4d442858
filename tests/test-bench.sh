#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The benchmark runs, and finds the content and the maps that it expects.  How
# fast anything is does not matter here.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"

skip_if_valgrind "this measures"
skip_if_sanitizers "this measures"

status=0
bash "$srcdir/bench/bench.sh" --size=8M --rounds=1 --seconds=1 \
  --fragments=14000 \
  --only=cowd,sesparse,stream,chain-30,map-chain,copy,stream-write,create \
  >"$TMP/out" || status=$?
cat "$TMP/out"
[ "$status" -ne 77 ] || skip "the benchmark cannot run here"
[ "$status" -eq 0 ] || fail "the benchmark failed"

for kind in cowd sesparse stream chain-30 map-chain stream-write \
  'create vmfs-sparse'; do
  grep "^$kind .*[0-9]" "$TMP/out" || fail "nothing is said of $kind"
done
