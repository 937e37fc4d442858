#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A descriptor in an empty sparse file names extents, too.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/confine-functions.sh
. "$srcdir/confine-functions.sh"

mkvmdk --size=8s --wrapped monolithicFlat "$TMP/in/wrapped.vmdk"

# wrap NAME: put a descriptor that names that file into the sparse file.
wrap ()
{
  name_extent "$1"
  dd if=/dev/zero of="$TMP/in/wrapped.vmdk" bs=512 seek=1 count=2 \
    conv=notrunc status=none
  dd if="$disk" of="$TMP/in/wrapped.vmdk" bs=512 seek=1 conv=notrunc \
    status=none
  cp "$TMP/in/wrapped.vmdk" "$disk"
}

ln -s ../out/data "$TMP/in/link-out"
mkfifo "$TMP/in/fifo"
for name in data sub/data "$TMP/in/data"; do
  wrap "$name"
  check_served
done
for name in ../out/data "$TMP/out/data" link-out /etc/passwd /dev/zero; do
  wrap "$name"
  refuses_fast allow-dir vmdk "$disk"
done
wrap fifo
refuses_fast 'fifo: is a FIFO' vmdk "$disk"
