#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Opening a disk of 2 TiB reads its header, and no grain table.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires_strace

# bytes_read FOLDER-OF-DISK: what the server reads of it until it has told a
# client the size.
bytes_read ()
{
  # shellcheck disable=SC2016
  strace -f -y -o "$TMP/strace" \
    -e trace=read,pread64,readv,preadv,preadv2,mmap \
    "$top_builddir/nbdkit" -U - vmdk "$IMAGE" \
    --run 'nbdinfo --size "$uri"' >"$OUT.size"
  grep -F "$TMP/disk/" "$TMP/strace" >"$TMP/calls"
  if grep -E 'mmap' "$TMP/calls"; then
    fail "this test does not know how much of a mapping is read"
  fi
  awk '{ n += $NF } END { printf "%d\n", n }' "$TMP/calls"
}

make_image_without_model monolithicSparse --size=2T --fill=edges
n=$(bytes_read)
[ "$n" -gt 512 ]
[ "$n" -lt 65536 ]

make_image_without_model twoGbMaxExtentSparse --size=2T --extent-size=16G \
  --fill=edges
n=$(bytes_read)
[ "$n" -gt 512 ]
[ "$n" -lt $((129 * 8192)) ]
