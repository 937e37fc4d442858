#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# nbdcopy writes disks of small sizes, less than a grain, whole grains and odd
# ones, and everybody reads them.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/create-functions.sh
. "$srcdir/create-functions.sh"

for size in 512 1536 65024 $((64 << 10)) $((65 << 10)) $((1 << 20)) \
  $(((3 << 20) + 512)) $((32 << 20)) $(((32 << 20) + 512)) \
  $(((77 << 20) - 1536)); do
  make_raw $size $size
  copy_in
  check_stream
done
