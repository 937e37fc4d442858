#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# What other programs read from disks of each kind that were created and
# filled: libvmdk, 7-Zip, QEMU and this plugin.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"

requires_nbdcopy
requires_qemu_img
requires 7z i
requires vmdkmount -V
requires fusermount -V
requires test -c /dev/fuse

# shellcheck disable=SC2317
unmount ()
{
  if mountpoint -q "$TMP/mnt"; then
    fusermount -u "$TMP/mnt"
  fi
}

mkdir "$TMP/mnt"
cleanup_fn unmount

export RAW="$TMP/disk.raw"
size=$((5 * 1024 * 1024 + 3 * 512))
head -c 3000000 /dev/urandom >"$RAW"
truncate -s 4M "$RAW"
yes "much the same" | head -c 500000 >>"$RAW" || :
truncate -s $size "$RAW"

for type in monolithic-sparse monolithic-flat split-sparse split-flat \
  vmfs-flat vmfs-thin vmfs-sparse stream-optimized; do
  rm -rf "$TMP/disk"
  mkdir "$TMP/disk"
  image=$TMP/disk/new.vmdk
  # shellcheck disable=SC2016
  nbdkit -U - vmdk "$image" create=true create-type=$type create-size=$size \
    --run 'nbdcopy "$RAW" "$uri"'

  qemu-img compare -q -f vmdk -F raw "$image" "$RAW"
  copy_out "$image" "$TMP/copy"
  cmp "$TMP/copy" "$RAW"

  # 7-Zip knows no COWD.
  if [ $type != vmfs-sparse ]; then
    7z x -tvmdk -so "$image" >"$TMP/copy" 2>"$TMP/7z" ||
      { cat "$TMP/7z"; fail "7-Zip cannot read it"; }
    cmp -n $size "$TMP/copy" "$RAW"
  fi

  # vmdkmount refuses every disk of the type monolithicFlat, also QEMU's.
  if [ $type != monolithic-flat ]; then
    vmdkmount "$image" "$TMP/mnt"
    cmp "$TMP/mnt/vmdk1" "$RAW"
    unmount
  fi
done
