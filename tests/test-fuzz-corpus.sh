#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The inputs that the fuzzer found once, and some that it makes much of: none
# does harm any more.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"

skip_if_valgrind "the same code is run without nbdkit"

# An input that needs more than this of the time that it may take, or of
# memory, would be found by the fuzzer first.
ulimit -t 300

for target in descriptor header stream vmx image; do
  inputs=("$srcdir/fuzz/corpus/$target"/*)
  [ -f "${inputs[0]}" ] || fail "no inputs for $target"
  core "replay-$target" "${inputs[@]}" >"$TMP/log" 2>&1 ||
    fail "$(cat "$TMP/log")"
  [ "$(grep -c / "$TMP/log")" -eq ${#inputs[@]} ]
done
