#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Nothing is written: that is a disk of zeroes, whole and without a grain.  So
# is one that was written full of zeroes, or trimmed.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/create-functions.sh
. "$srcdir/create-functions.sh"

size=$(((40 << 20) + 512))
truncate -s $size "$RAW"

new_stream $size true
check_stream
length=$(stat -c %s "$STREAM")

# shellcheck disable=SC2016
new_stream $size 'nbdinfo "$uri"'
check_stream

copy_in
check_stream
[ "$(stat -c %s "$STREAM")" -eq "$length" ]

# shellcheck disable=SC2016
new_stream $size 'nbdcopy --allocated "$RAW" "$uri"'
check_stream
[ "$(stat -c %s "$STREAM")" -eq "$length" ]

# shellcheck disable=SC2016
new_stream $size 'nbdsh -u "$uri" -c "
size = h.get_size()
for at in range(0, size, 1 << 20):
    h.pwrite(bytes(min(1 << 20, size - at)), at)
h.pwrite(b\"x\" * 70000, 1234567)
h.trim(1 << 20, 1 << 20)
h.zero(70000, 1234567)
"'
check_stream
[ "$(stat -c %s "$STREAM")" -eq "$length" ]
