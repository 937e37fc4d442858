#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A block device is an extent only in a folder that allow-dir= names.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/confine-functions.sh
. "$srcdir/confine-functions.sh"

requires losetup --version
truncate -s 1M "$TMP/backing"
dd if="$DATA" of="$TMP/backing" conv=notrunc status=none
device=$(losetup -r -f --show "$TMP/backing" 2>/dev/null) ||
  skip "no loop device can be had here"
cleanup_fn losetup -d "$device"
cmp -n 4096 "$device" "$DATA" || skip "the loop device does not work here"

denied "$device"
denied "$device" allow-dir="$TMP/out"
served "$device" allow-dir=/dev
served "$device" allow-dir=/
ln -s "$device" "$TMP/in/device"
denied device
served device allow-dir=/dev

# A node in the disk's own folder is as far away as one in /dev.
major_minor=$(stat -c '0x%t 0x%T' "$device")
# shellcheck disable=SC2086
if mknod "$TMP/in/node" b $major_minor 2>/dev/null &&
  cmp -n 4096 "$TMP/in/node" "$DATA" 2>/dev/null; then
  denied node
  served node allow-dir="$TMP/in"
fi
