#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# fio writes over several connections at once and reads back what it wrote, also
# from a server that was started again.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires fio --version
requires_qemu_img
skip_if_valgrind "fio would wait for hours"

# fio_verify IMAGE ARGUMENT...
fio_verify ()
{
  start_nbdkit -P "$TMP/pid" -U "$TMP/sock" vmdk "$1"
  # The jobs share no blocks, and have a connection each.
  fio --name=verify --ioengine=nbd --uri="nbd+unix:///?socket=$TMP/sock" \
    --size=12m --offset_increment=12m --numjobs=4 --iodepth=8 \
    --randseed=5 --verify=crc32c --verify_backlog=64 --verify_fatal=1 \
    --verify_state_save=0 --group_reporting "${@:2}"
  stop_nbdkit "$TMP/pid"
  rm "$TMP/sock"
}

for kind in monolithicSparse vmfsSparse; do
  rm -rf "$TMP/disk"
  make_image $kind --size=64M --fill=random
  fio_verify "$IMAGE" --rw=randwrite --bsrange=512-96k --bs_unaligned=0
  fio_verify "$IMAGE" --rw=randwrite --bs=4k --fsync=32
  fio_verify "$IMAGE" --rw=randwrite --bs=4k --verify_only
done

make_image monolithicSparse --size=64M
qemu-img create -q -f vmdk -F vmdk -b disk.vmdk "$TMP/disk/child.vmdk"
fio_verify "$TMP/disk/child.vmdk" --rw=randwrite --bs=4k
fio_verify "$TMP/disk/child.vmdk" --rw=randwrite --bs=4k --verify_only
qemu-img check -f vmdk "$TMP/disk/child.vmdk"
