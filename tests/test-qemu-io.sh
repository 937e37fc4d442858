#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Patterns that qemu-io writes over NBD, and reads again: across grains and
# extents, unaligned, several at a time, as zeroes and discarded; and then in
# the image itself, where QEMU reads the kind.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/chain-functions.sh
. "$srcdir/chain-functions.sh"

requires_qemu_img
requires qemu-io --version

# What each of the commands leaves is read by the others.
WRITE=(
  'write -P 0x11 0 8M'
  'write -P 0x22 1000 3000'
  'write -P 0x33 65000 2000'
  'write -P 0x44 2621000 1000'
  'aio_write -P 0x55 1M 64k'
  'aio_write -P 0x66 1114112 4k'
  'aio_write -P 0x77 5242368 1024'
  'aio_flush'
  'write -z 2M 128k'
  'write -z -u 2228224 192k'
  'write -z 3000000 70001'
  'write -f -P 0x88 7M 512'
  'discard 6M 256k'
  'flush'
)
READ=(
  'read -P 0x11 0 1000'
  'read -P 0x22 1000 3000'
  'read -P 0x11 4000 61000'
  'read -P 0x33 65000 2000'
  'read -P 0x44 2621000 1000'
  'read -P 0x11 2622000 1000'
  'read -P 0x55 1M 64k'
  'read -P 0x66 1114112 4k'
  'read -P 0x77 5242368 1024'
  'read -P 0 2M 320k'
  'read -P 0x11 2424832 1000'
  'read -P 0x11 2999999 1'
  'read -P 0 3000000 70001'
  'read -P 0x11 3070001 1000'
  'read -P 0x88 7M 512'
  'read -P 0x11 7340544 512'
  'aio_read -P 0x22 1000 3000'
  'aio_read -P 0x55 1M 64k'
  'aio_read -P 0x77 5242368 1024'
  'aio_flush'
)

# io FORMAT DISK COMMAND...: each must succeed, and find its pattern.
io ()
{
  local format=$1 disk=$2 args=() command

  shift 2
  for command; do
    args+=(-c "$command")
  done
  qemu-io -f "$format" "${args[@]}" "$disk" >"$TMP/io" 2>&1 || :
  cat "$TMP/io"
  fails grep -iE 'fail|error|invalid' "$TMP/io"
  [ "$(grep -cE '^(wrote|read|discard) ' "$TMP/io")" -ge $(($# - 2)) ]
}

# check FORMAT: what QEMU knows the disk in $IMAGE as, or nothing.
check ()
{
  local uri="nbd+unix:///?socket=$TMP/sock"

  rm -f "$TMP/pid" "$TMP/sock"
  start_nbdkit -P "$TMP/pid" -U "$TMP/sock" vmdk "$IMAGE"
  io raw "$uri" "${WRITE[@]}"
  io raw "$uri" "${READ[@]}"
  stop_nbdkit "$TMP/pid"
  copy_out "$IMAGE" "$OUT.raw"
  io raw "$OUT.raw" "${READ[@]}"
  [ -z "$1" ] || io "$1" "$IMAGE" "${READ[@]}"
}

make_image monolithicSparse --size=8M
check vmdk
make_image twoGbMaxExtentSparse --size=8M --extent-size=2560K
check vmdk
make_image twoGbMaxExtentFlat --size=8M --extent-size=2560K
check vmdk
make_base twoGbMaxExtentSparse --size=8M --extent-size=2560K
make_child monolithicSparse --size=8M
check vmdk
make_base streamOptimized --size=8M
make_child vmfsSparse --size=8M
check ''
