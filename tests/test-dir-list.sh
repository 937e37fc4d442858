#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The disks of a folder are listed, but not what belongs to them, nor what is no
# disk; and each is served.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/dir-functions.sh
. "$srcdir/dir-functions.sh"

make_disk mono monolithicSparse
make_disk split twoGbMaxExtentSparse --extent-size=512K
make_disk flat monolithicFlat
make_disk cowd vmfsSparse
make_disk stream streamOptimized
make_disk bare vmfsSparse
mv "$DIR/bare-delta.vmdk" "$DIR/bare.vmdk"
make_disk se seSparse

# A snapshot of a snapshot, and one whose parent is in another folder and has
# the name of a disk of this one.
make_child snapshot1 monolithicSparse mono
make_child snapshot2 vmfsSparse snapshot1
mkdir "$TMP/other"
mkvmdk --size=1M --cid=01234567 monolithicSparse "$TMP/other/cowd.vmdk"
mkvmdk --size=1M --parent="$TMP/other/cowd.vmdk" monolithicSparse \
  "$DIR/orphan.vmdk"

# Under another name than it says itself, which is now another disk's.
cp "$DIR/stream.vmdk" "$DIR/copy.vmdk"
cp "$TMP/stream.raw" "$TMP/copy.raw"

# One with a name of another kind, and one that is a link.
mv "$DIR/flat.vmdk" "$DIR/flat"
mkdir "$DIR/sub"
mkvmdk --model="$TMP/link.raw" --size=1M --extent-size=512K \
  twoGbMaxExtentSparse "$DIR/sub/link.vmdk"
ln -s sub/link.vmdk "$DIR/link.vmdk"

# Extents that are named by a path, and have another name.
sed -i 's,"split-s001,"./split-s001,; s,"split-s002,"sub/../split-s002,' \
  "$DIR/split.vmdk"
ln -s split-s001.vmdk "$DIR/alias1.vmdk"
ln "$DIR/split-s002.vmdk" "$DIR/alias2.vmdk"

# What is no disk.
echo text >"$DIR/text.vmdk"
: >"$DIR/empty.vmdk"
head -c 100000 /dev/zero >"$DIR/zeroes.vmdk"
mkfifo "$DIR/fifo.vmdk"
"$PYTHON" -c 'import os, socket
os.chdir(os.environ["DIR"])
socket.socket(socket.AF_UNIX).bind("socket.vmdk")'
ln -s /dev/zero "$DIR/device.vmdk"
ln -s none.vmdk "$DIR/dangling.vmdk"
ln -s loop.vmdk "$DIR/loop.vmdk"
for name in .hidden $'a\nb' $'a\033b' $'a\177' $'\377'; do
  cp "$DIR/stream.vmdk" "$DIR/$name"
done

lists dir="$DIR" 'bare.vmdk copy.vmdk cowd.vmdk flat link.vmdk orphan.vmdk se.vmdk snapshot2.vmdk split.vmdk stream.vmdk'
# Each link alone: the parents are disks too.
lists dir="$DIR" 'bare.vmdk copy.vmdk cowd.vmdk flat link.vmdk mono.vmdk orphan.vmdk se.vmdk snapshot1.vmdk snapshot2.vmdk split.vmdk stream.vmdk' \
  single-link=true
# That devices may be opened does not make them disks.
lists dir="$DIR" 'bare.vmdk copy.vmdk cowd.vmdk flat link.vmdk orphan.vmdk se.vmdk snapshot2.vmdk split.vmdk stream.vmdk' \
  allow-dir=/dev

# The list says what they are, as far as that can be shown.
sed -i 's/createType=.*/createType="<b>"/' "$DIR/flat"
# shellcheck disable=SC2016
nbdkit -r -U - vmdk dir="$DIR" export='[!o]*' --run \
  'nbdinfo --list "$uri"' >"$TMP/list"
sed -n '/^export="snapshot2.vmdk":$/,/^export/p' "$TMP/list" |
  grep 'description: VMDK vmfsSparse$'
sed -n '/^export="link.vmdk":$/,/^export/p' "$TMP/list" |
  grep 'description: VMDK twoGbMaxExtentSparse$'
sed -n '/^export="flat":$/,/^export/p' "$TMP/list" | grep 'description: VMDK$'

for file in bare.vmdk copy.vmdk cowd.vmdk flat link.vmdk se.vmdk \
  snapshot2.vmdk split.vmdk stream.vmdk; do
  rm -f "$OUT.raw"
  # shellcheck disable=SC2016
  nbdkit -r -U - -e "$file" vmdk dir="$DIR" --run 'nbdcopy "$uri" "$OUT.raw"'
  cmp "$OUT.raw" "$TMP/${file%.vmdk}.raw"
done

# What it is, the client is told.
# shellcheck disable=SC2016
nbdkit -r -U - -e split.vmdk vmdk dir="$DIR" --run 'nbdinfo "$uri"' |
  grep 'VMDK twoGbMaxExtentSparse, 2 extents'

# What was changed after the snapshot is not its parent any more, but a disk.
make_disk snapshot1 monolithicSparse --cid=1234abcd
lists dir="$DIR" 'snapshot1.vmdk snapshot2.vmdk' export='snap*'
lists dir="$DIR" 'snapshot2.vmdk' export='snap*' ignore-cid=true
