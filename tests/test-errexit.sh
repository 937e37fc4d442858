#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A shell test ends at the first command that fails, also in functions, in pipes
# and inside $( ).

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"

# run LINE: a test of this line; sets status to its exit status.
run ()
{
  status=0
  # shellcheck disable=SC2016
  printf '%s\n' '. "$srcdir/functions.sh"' "$1" 'echo "the end"' \
    >"$TMP/test.sh"
  TMPDIR=$TMP "$BASH" "$TMP/test.sh" >"$TMP/out" || status=$?
}

# ends LINE: the test ends there, and has failed.
ends ()
{
  run "$1"
  [ "$status" -eq 1 ] || fail "exit status $status: $1"
  fails grep 'the end' "$TMP/out"
}

run true
[ "$status" -eq 0 ]
grep 'the end' "$TMP/out"

ends false
# shellcheck disable=SC2016
ends 'echo "$no_such_variable"'
ends 'false | true'
ends 'f () { false; true; }; f'
ends 'f () { false; true; }; f | cat'
# shellcheck disable=SC2016
ends 'x=$(false)'
# shellcheck disable=SC2016
ends 'f () { false; echo 1; }; x=$(f)'
# shellcheck disable=SC2016
ends 'f () { false; echo 1; }; x=$(f | cat)'
# shellcheck disable=SC2016
ends 'x=$(false | cat; echo 1)'
# shellcheck disable=SC2016
ends 'f () { fail "this is why"; }; x=$(f)'
