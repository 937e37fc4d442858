#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Damaged disks that can be opened: each is served read-only and does not change,
# or what is written is there and nothing else has changed.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

failed=
for kind in monolithicSparse vmfsSparse; do
  written=0
  list_damages open $kind
  for damage in $damages; do
    make_damaged "$damage" $kind --size=5M || continue
    echo "$kind, $damage"
    "$PYTHON" "$srcdir/write-damaged.py" >"$TMP/log" ||
      failed+=" $kind/$damage"
    cat "$TMP/log"
    ! grep -q '^writes: [1-9]' "$TMP/log" || written=$((written + 1))
  done
  echo "$kind: $written were written"
  [ $written -ge 5 ]
done
[ -z "$failed" ] || fail "not written well:$failed"
