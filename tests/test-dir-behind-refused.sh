#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# What belongs to a disk that cannot be opened or listed is not listed either: it may be
# mended some day, and its parent must not have been written by then.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/dir-functions.sh
. "$srcdir/dir-functions.sh"

# A header.
make_disk base monolithicSparse
make_child child monolithicSparse base
printf '\11' | dd of="$DIR/child.vmdk" bs=1 seek=4 conv=notrunc status=none
lists dir="$DIR" 'child.vmdk'
lists dir="$DIR" 'base.vmdk child.vmdk' single-link=true

# A descriptor, whose end is not in the file.
size=$(stat -c %s "$DIR/child.vmdk")
dd if=/dev/zero of="$DIR/child.vmdk" bs=1 seek=36 count=7 conv=notrunc status=none
printf '\377' | dd of="$DIR/child.vmdk" bs=1 seek=36 conv=notrunc status=none
truncate -s 2048 "$DIR/child.vmdk"
[ "$size" -gt 2048 ]
lists dir="$DIR" 'child.vmdk'

# Lines.
rm "$DIR"/*
make_disk base twoGbMaxExtentSparse --extent-size=512K
make_child child twoGbMaxExtentSparse base --extent-size=512K
sed -i 's/^RW /RW x/' "$DIR"/child.vmdk
lists dir="$DIR" 'child.vmdk'

# A header of COWD.
rm "$DIR"/*
make_disk base vmfsSparse --old-cowd --bare --grain=2
make_disk child vmfsSparse --old-cowd --bare --grain=2 --seed=9
printf 'D:\\disks\\base.vmdk\0' |
  dd of="$DIR/child.vmdk" bs=1 seek=32 conv=notrunc status=none
printf '\11' | dd of="$DIR/child.vmdk" bs=1 seek=4 conv=notrunc status=none
lists dir="$DIR" 'child.vmdk'

# A name.
rm "$DIR"/*
make_disk base monolithicSparse
make_child .child monolithicSparse base
make_disk other monolithicSparse
lists dir="$DIR" 'other.vmdk'
mv "$DIR/.child.vmdk" "$DIR/$(printf 'Gr\366\337e')"
lists dir="$DIR" 'other.vmdk'
mv "$DIR/$(printf 'Gr\366\337e')" "$DIR/$(printf 'snap\tshot')"
lists dir="$DIR" 'other.vmdk'

# A descriptor that names too many files by paths hinders nobody, and its
# parent is found.
rm "$DIR"/*
make_disk base monolithicSparse
make_disk good monolithicSparse
cid=$(strings "$DIR/base.vmdk" | sed -n 's/^CID=//p' | head -n 1)
{
  printf '# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=%s\n' "$cid"
  printf 'createType="custom"\nparentFileNameHint="./base.vmdk"\n'
  for ((i = 0; i < 5000; i++)); do
    printf 'RW 1 FLAT "./%d" 0\n' $i
  done
} >"$DIR/a.vmdk"
lists dir="$DIR" 'a.vmdk good.vmdk'

# One that is wrong cannot name any number of parents: each would have to be
# looked for.
rm "$DIR"/*
printf '# Disk DescriptorFile\nversion=1\nRW x\n' >"$DIR/a.vmdk"
for ((i = 1; i <= 6; i++)); do
  make_disk "base$i" monolithicSparse
  printf 'parentFileNameHint="base%d.vmdk"\n' $i >>"$DIR/a.vmdk"
done
lists dir="$DIR" 'a.vmdk base5.vmdk base6.vmdk'

# A descriptor that is too long.
rm "$DIR"/*
make_disk base twoGbMaxExtentSparse --extent-size=512K
make_child child twoGbMaxExtentSparse base --extent-size=512K
head -c 1100000 /dev/zero | tr '\0' '\n' >>"$DIR/child.vmdk"
lists dir="$DIR" 'child.vmdk'

# Other names of the parent, which cannot be followed.
rm "$DIR"/*
make_disk base monolithicSparse
make_child child monolithicSparse base
mkdir "$TMP/elsewhere"
ln "$DIR/base.vmdk" "$TMP/elsewhere/link.vmdk"
ln -s "$TMP/elsewhere/link.vmdk" "$DIR/a.vmdk"
ln -s "$TMP/elsewhere/link.vmdk" "$DIR/z.vmdk"
lists dir="$DIR" 'child.vmdk'
