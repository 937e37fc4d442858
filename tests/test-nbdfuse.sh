#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The disk as a file, mounted with nbdfuse.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires nbdfuse --version
requires fusermount3 -V
requires test -c /dev/fuse

unmount ()
{
  if mountpoint -q "$TMP/mnt"; then
    fusermount3 -u "$TMP/mnt"
  fi
}

make_image twoGbMaxExtentSparse --size=20M --extent-size=3M
start_nbdkit -P "$TMP/pid" -U "$TMP/sock" vmdk "$IMAGE"
mkdir "$TMP/mnt"
cleanup_fn unmount
nbdfuse -r "$TMP/mnt/disk.raw" --unix "$TMP/sock" &
nbdfuse=$!
for ((i = 0; i < 300; i++)); do
  [ ! -f "$TMP/mnt/disk.raw" ] || break
  kill -0 $nbdfuse || skip "nbdfuse cannot mount here"
  sleep 0.1
done
cmp "$TMP/mnt/disk.raw" "$MODEL"
unmount
wait $nbdfuse
