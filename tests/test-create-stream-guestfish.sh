#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# guestfish makes a partition and a file system with files in it, and they are
# in the finished stream.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/create-functions.sh
. "$srcdir/create-functions.sh"

requires_guestfish
requires debugfs -V

# shellcheck disable=SC2016
new_stream 64M 'timeout 250 guestfish --format=raw \
  -a "nbd://?socket=$unixsocket" -- \
  run : part-disk /dev/sda mbr : mkfs ext4 /dev/sda1 : \
  mount /dev/sda1 / : write /hello.txt "Hello from a stream." : \
  fill-pattern abcdefghijk 3000000 /gone : \
  fill-pattern lmnopqrstuv 3000000 /pattern : rm /gone : umount /'

# There is no other copy of what it wrote.
copy_out "$STREAM" "$RAW"
check_stream

# part-disk begins the partition at sector 128.
dd if="$RAW" of="$TMP/partition" bs=64K skip=1 status=none
e2fsck -fn "$TMP/partition"
for file in hello.txt pattern; do
  debugfs -R "dump /$file $TMP/$file" "$TMP/partition"
done
[ "$(cat "$TMP/hello.txt")" = 'Hello from a stream.' ]
cmp "$TMP/pattern" <("$PYTHON" -c 'import sys
sys.stdout.write(("lmnopqrstuv" * 300000)[:3000000])')
