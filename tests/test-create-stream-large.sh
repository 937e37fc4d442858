#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The same for disks around 2 GiB and 4 GiB, which are mostly holes.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/create-functions.sh
. "$srcdir/create-functions.sh"

for size in $(((2 << 30) - 512)) $((2 << 30)) $(((4 << 30) + 512)); do
  make_raw $size
  copy_in
  check_structure
  qemu-img compare -q -f vmdk -F raw "$STREAM" "$RAW"
  check_copy
  # What holes cost is no more than entries of the directory.
  [ "$(stat -c %s "$STREAM")" -lt $((26 << 20)) ]
done
# This takes long, so once.
check_7zip
