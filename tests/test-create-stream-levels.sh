#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Every level of compression makes a good stream, and the highest a smaller one
# than the lowest.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/create-functions.sh
. "$srcdir/create-functions.sh"

make_raw $((12 << 20)) 5
previous=
for level in 1 2 3 4 5 6 7 8 9 10 11 12; do
  copy_in create-compress-level=$level
  check_stream
  length=$(stat -c %s "$STREAM")
  : "${previous:=$length}"
done
[ "$length" -lt "$previous" ]

for level in 0 13 -1 x; do
  create_stream 1M create-compress-level=$level
  refuses 'create-compress-level' vmdk "${create[@]}"
  nothing_left
done
