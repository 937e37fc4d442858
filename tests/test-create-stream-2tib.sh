#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A disk of 2 TiB with little in it is written in no time; so it is without a
# byte.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/create-functions.sh
. "$srcdir/create-functions.sh"

size=$((2 << 40))
make_raw $size
copy_in
check_structure
check_copy

truncate -s 0 "$RAW"
truncate -s $size "$RAW"
new_stream $size true
check_structure
