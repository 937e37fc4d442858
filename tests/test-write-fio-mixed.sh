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

# check KIND [OPTION OF MKVMDK...]
check ()
{
  local mode pid sock

  make_image_without_model "$@" --size=32M --fill=empty
  for mode in --rw=randrw --verify_only=1; do
    n=$((n + 1))
    pid="$TMP/pid.$n" sock="$TMP/sock.$n"
    start_nbdkit -P "$pid" -U "$sock" vmdk "$IMAGE"
    # Each job has a quarter of the disk, which meets its neighbours inside
    # of grains: 8190 KiB.
    (cd "$TMP" && fio --name=write --ioengine=nbd \
      --uri="nbd+unix:///?socket=$sock" \
      --numjobs=4 --iodepth=8 --rw=randrw $mode --rwmixread=30 \
      --bssplit=512/20:4k/40:24k/20:192k/20 --blockalign=512 \
      --randseed=7 --size=8190k --offset_increment=8190k --io_size=8190k \
      --verify=crc32c --verify_fatal=1 --do_verify=1 --fsync=50 \
      --group_reporting)
    stop_nbdkit "$pid"
  done
  case $(head -c 4 "$IMAGE") in
    KDMV) qemu-img check -f vmdk "$IMAGE" ;;
  esac
  copy_out "$IMAGE" "$OUT.raw"
  qemu-img compare -f vmdk -F raw "$IMAGE" "$OUT.raw"
}

check monolithicSparse
check vmfsSparse
