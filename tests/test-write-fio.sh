#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# fio writes with four jobs, each with a connection of its own and many requests in
# flight, and verifies what it reads; and again after a restart.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires_qemu_img
requires fio --enghelp=nbd
skip_if_valgrind "fio would wait for hours"

n=0

# verify ARGUMENT...: each job has a quarter of the disk.
verify ()
{
  n=$((n + 1))
  start_nbdkit -P "$TMP/pid.$n" -U "$TMP/sock.$n" vmdk "$IMAGE"
  (cd "$TMP" && fio --name=verify --ioengine=nbd \
    --uri="nbd+unix:///?socket=$TMP/sock.$n" --numjobs=4 --iodepth=8 \
    --randseed=7 --verify=crc32c --verify_fatal=1 --do_verify=1 \
    --verify_state_save=0 --group_reporting "$@")
  stop_nbdkit "$TMP/pid.$n"
}

# mixed [ARGUMENT...]: reads and writes of several sizes; the quarters meet
# inside of grains: 8190 KiB.
mixed ()
{
  verify --rw=randrw --rwmixread=30 --blockalign=512 \
    --bssplit=512/20:4k/40:24k/20:192k/20 --size=8190k \
    --offset_increment=8190k --io_size=8190k --fsync=50 "$@"
}

# blocks [ARGUMENT...]: every block of 4 KiB, at random; what has been
# written is read back all the time.
blocks ()
{
  verify --rw=randwrite --bs=4k --size=8m --offset_increment=8m \
    --verify_backlog=64 "$@"
}

# check: all that, with the image that has been made.
check ()
{
  mixed
  mixed --verify_only=1
  blocks --fsync=32
  blocks --verify_only=1
  case $(head -c 4 "$IMAGE") in
    KDMV) qemu-img check -f vmdk "$IMAGE" ;;
  esac
  copy_out "$IMAGE" "$OUT.raw"
  qemu-img compare -f vmdk -F raw "$IMAGE" "$OUT.raw"
}

make_image_without_model monolithicSparse --size=32M --fill=random
check
make_image_without_model vmfsSparse --size=32M --fill=empty
check

make_image_without_model monolithicSparse --size=32M --fill=random
qemu-img create -q -f vmdk -F vmdk -b disk.vmdk "$TMP/disk/child.vmdk"
sum=$(sha256sum "$IMAGE")
parent=$IMAGE
IMAGE=$TMP/disk/child.vmdk
check
[ "$(sha256sum "$parent")" = "$sum" ]
