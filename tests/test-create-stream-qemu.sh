#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# qemu-img convert writes into one that exists, in order and out of order.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/create-functions.sh
. "$srcdir/create-functions.sh"

for size in 512 $(((70 << 20) + 512)); do
  make_raw $size
  for options in "" "-W -m 16"; do
    export options
    # shellcheck disable=SC2016
    new_stream $size \
      'qemu-img convert -n $options -f raw -O raw "$RAW" "$uri"'
    check_stream
  done
done

# qemu-io too, of which each write ends with a flush.
truncate -s 0 "$RAW"
truncate -s 9M "$RAW"
new_stream 9M 'qemu-io -f raw -t writethrough "$uri" \
  -c "write -P 7 5M 100k" -c "write -P 8 100k 1M" -c "write -z 200k 128k" \
  -c "discard 5M 64k" -c "write -P 9 5150k 10k" -c "read -P 8 100k 100k"' \
  >"$TMP/log"
cat "$TMP/log"
if grep -i -e fail -e error "$TMP/log"; then
  fail "qemu-io failed"
fi
qemu-io -f raw "$RAW" \
  -c "write -P 7 5M 100k" -c "write -P 8 100k 1M" -c "write -z 200k 128k" \
  -c "write -z 5M 64k" -c "write -P 9 5150k 10k"
check_stream
