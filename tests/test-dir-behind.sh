#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# What lies behind a disk of a folder is found in headers and by names in any
# encoding, and not listed.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/dir-functions.sh
. "$srcdir/dir-functions.sh"

# A COWD file names its parent in its header, by any path.
make_disk base vmfsSparse --old-cowd --bare --grain=2
make_disk child vmfsSparse --old-cowd --bare --grain=2 --seed=9
lists dir="$DIR" 'base.vmdk child.vmdk'
printf 'D:\\disks\\base.vmdk\0' |
  dd of="$DIR/child.vmdk" bs=1 seek=32 conv=notrunc status=none
lists dir="$DIR" 'child.vmdk'
lists dir="$DIR" 'base.vmdk child.vmdk' single-link=true

# Extents, whose names are in the descriptor's encoding or in UTF-8, or have its
# very bytes.
rm "$DIR"/*
make_disk Größe twoGbMaxExtentFlat --extent-size=512K --encoding=windows-1252
mkvmdk --size=1M monolithicSparse "$DIR/other.vmdk"
for number in 1 2; do
  cat "$DIR/other.vmdk" >"$DIR/Größe-f00$number.vmdk"
done
lists dir="$DIR" 'Größe.vmdk other.vmdk'
mv "$DIR/Größe-f001.vmdk" "$DIR/$(printf 'Gr\366\337e')-f001.vmdk"
lists dir="$DIR" 'Größe.vmdk other.vmdk'

# The parent of a snapshot in a folder beside, which is found where its folder
# has gone: to write to it would spoil the snapshot.
rm "$DIR"/*
make_disk base monolithicSparse
make_child child monolithicSparse base --hint=/vmfs/volumes/1/dir/base.vmdk
mkdir "$TMP/beside"
mv "$DIR/child.vmdk" "$TMP/beside/"
ln -s ../beside/child.vmdk "$DIR/child.vmdk"
lists dir="$DIR" 'base.vmdk'
lists dir="$DIR" 'child.vmdk' allow-dir="$TMP"
copy_out "$DIR/child.vmdk" "$TMP/copy.raw" allow-dir="$TMP"
cmp "$TMP/copy.raw" "$TMP/child.raw"
