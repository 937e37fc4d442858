#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Several connections write, zero, trim and read at random, with requests that
# begin and end anywhere, in much memory and in little.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/create-functions.sh
. "$srcdir/create-functions.sh"

for run in "1 4 600 64M 20971520" "2 8 600 1M 20971520" "3 1 600 1M 5243392" \
  "4 4 900 64M 512" "5 4 600 2M 70000128" "6 16 400 8M 140509184"; do
  read -r seed threads steps cache size <<<"$run"
  create_stream "$size" cache-size="$cache"
  "$PYTHON" "$srcdir/write-stream.py" "$seed" "$threads" "$steps" \
    "${create[@]}"
  check_stream
done
