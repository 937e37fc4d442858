#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# guestfish reads a file out of a file system in a disk of each kind.  It
# starts one virtual machine with all of them.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"

requires_guestfish
requires_qemu_img
requires mke2fs -V

kinds=(monolithicSparse twoGbMaxExtentSparse monolithicFlat
  twoGbMaxExtentFlat vmfs)

make_partitioned_disk "$TMP/raw"
arguments=()
commands=(run)
letters=(a b c d e)
for kind in "${kinds[@]}"; do
  mkdir "$TMP/$kind"
  if [ "$kind" = vmfs ]; then
    mkvmdk --from="$TMP/raw" vmfs "$TMP/vmfs/disk.vmdk"
  else
    qemu-img convert -f raw -O vmdk -o subformat="$kind" "$TMP/raw" \
      "$TMP/$kind/disk.vmdk"
  fi
  start_nbdkit -P "$TMP/$kind.pid" -U "$TMP/$kind.sock" \
    vmdk "$TMP/$kind/disk.vmdk"
  arguments+=(--format=raw -a "nbd://?socket=$TMP/$kind.sock")
  commands+=(: mount-ro "/dev/sd${letters[0]}1" / : cat /hello.txt
    : umount /)
  letters=("${letters[@]:1}")
done
timeout 600 guestfish --ro "${arguments[@]}" -- "${commands[@]}" >"$TMP/out"
cat "$TMP/out"
[ "$(grep -c 'Hello from a file in a VMDK.' "$TMP/out")" -eq ${#kinds[@]} ]
