#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# nbdcopy in all its ways of using connections, threads, requests and extents.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/create-functions.sh
. "$srcdir/create-functions.sh"

size=$(((20 << 20) + 512))
make_raw $size 3
for options in --synchronous "--connections=1 --requests=1" \
  "--connections=16 --requests=64" "--request-size=4096 --sparse=4096" \
  "--request-size=33554432" "--sparse=0" "--allocated --flush"; do
  export options
  # shellcheck disable=SC2016
  new_stream $size 'nbdcopy $options "$RAW" "$uri"'
  check_stream
done
