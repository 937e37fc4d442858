#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A client that only zeroes or trims the disk, and disconnects, does not finish
# the stream.  So does QEMU where it is to create the disk: it zeroes the first
# sector, and opens it anew to write.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/create-functions.sh
. "$srcdir/create-functions.sh"

make_raw $((9 << 20))
# shellcheck disable=SC2016
new_stream 9M 'qemu-img convert -f raw -O raw "$RAW" "$uri"'
check_stream

# shellcheck disable=SC2016
new_stream 9M 'nbdsh -u "$uri" -c "
h.zero(h.get_size(), 0)
h.trim(h.get_size(), 0)
h.shutdown()
" && [ ! -e "$STREAM" ] && nbdcopy "$RAW" "$uri"'
check_stream

# Nobody has come: it is a disk of zeroes.
truncate -s 0 "$RAW"
truncate -s 9M "$RAW"
# shellcheck disable=SC2016
new_stream 9M 'nbdsh -u "$uri" -c "h.zero(h.get_size(), 0)"'
check_stream
