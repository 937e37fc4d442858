#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# More extents than the usual soft limit of open files, and with a hard limit
# that is too low, a message that says so.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

mkdir "$TMP/disk"
{
  printf '# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\n'
  printf 'createType="twoGbMaxExtentFlat"\n'
  for ((i = 0; i < 1500; i++)); do
    truncate -s 4096 "$TMP/disk/f$i"
    printf 'RW 8 FLAT "f%d" 0\n' $i
  done
} >"$IMAGE"

ulimit -Sn 256
# shellcheck disable=SC2016
size=$(serve_and "$IMAGE" 'nbdinfo --size "$uri"')
[ "$size" = $((1500 * 4096)) ]

ulimit -n 256
refuses 'disk\.vmdk: line .*Too many open files' vmdk "$IMAGE"
