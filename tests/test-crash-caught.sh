#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The crash harness would see it if syncs were missing: all, those of data,
# or those of tables.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"

skip_if_valgrind "the same code is run without nbdkit"
skip_if_sanitizers "it tests the harness"
memory_folder

for syncs in all odd even; do
  status=0
  TMPDIR=$memory core crash-test --workloads=13 --cuts=15 \
    --lose-syncs=$syncs >"$TMP/log" || status=$?
  tail -n 1 "$TMP/log"
  [ "$status" -eq 1 ]
  grep -q 'may hold' "$TMP/log"
done
