#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# nbdcopy --destination-is-zero writes nothing where there are holes: these gaps
# are zeroes, whether small or large, and hold nothing up.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/create-functions.sh
. "$srcdir/create-functions.sh"

for size in $((20 << 20)) $(((1 << 30) + 512)); do
  make_raw $size 7
  for cache in 64M 4M; do
    # shellcheck disable=SC2016
    new_stream $size 'nbdcopy --destination-is-zero "$RAW" "$uri"' \
      cache-size=$cache
    check_stream
  done
done
