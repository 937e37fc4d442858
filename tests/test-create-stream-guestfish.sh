#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# guestfish makes a partition, a file system and a file in it, and reads the
# file out of the finished stream.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/create-functions.sh
. "$srcdir/create-functions.sh"

requires_guestfish

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

start_nbdkit -P "$TMP/pid" -U "$TMP/sock" vmdk "$STREAM"
timeout 250 guestfish --ro --format=raw -a "nbd://?socket=$TMP/sock" -- \
  run : fsck ext4 /dev/sda1 : mount-ro /dev/sda1 / : \
  cat /hello.txt : checksum md5 /pattern >"$TMP/guest"
cat "$TMP/guest"
grep 'Hello from a stream.' "$TMP/guest"
sum=$("$PYTHON" -c 'import hashlib
print(hashlib.md5((b"lmnopqrstuv" * 300000)[:3000000]).hexdigest())')
grep "$sum" "$TMP/guest"
