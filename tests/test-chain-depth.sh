#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Long chains, chains that are too long, and loops.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

# shellcheck source=tests/chain-functions.sh
. "$srcdir/chain-functions.sh"

# link NUMBER PARENT-CID HINT: a descriptor of a flat disk or an empty child.
link ()
{
  mkvmdk --bare --size=1M --fill=empty monolithicSparse "$TMP/disk/$1-s001.vmdk"
  cat >"$TMP/disk/$1.vmdk" <<END
# Disk DescriptorFile
version=1
CID=00000001
parentCID=$2
createType="twoGbMaxExtentSparse"
parentFileNameHint="$3"
RW 2048 SPARSE "$1-s001.vmdk"
END
}

make_base monolithicFlat --size=1M --cid=00000001 --fill=full
previous=base
for ((i = 1; i <= 255; i++)); do
  link $i 1 "$previous.vmdk"
  previous=$i
done

# 254 children and the base.
# shellcheck disable=SC2016
serve_and "$TMP/disk/254.vmdk" 'nbdcopy "$uri" "$OUT.raw"; nbdinfo "$uri"' \
  >"$OUT"
cmp "$OUT.raw" "$TMP/base.raw"
grep '255 links' "$OUT"
refuses 'more than 255 links' vmdk "$TMP/disk/255.vmdk"

# Loops, of one link and of several.
link 1 1 1.vmdk
refuses 'loop' vmdk "$TMP/disk/1.vmdk"
link 1 1 3.vmdk
refuses 'loop' vmdk "$TMP/disk/3.vmdk"
ln -s 3.vmdk "$TMP/disk/another-name.vmdk"
link 1 1 another-name.vmdk
refuses 'loop' vmdk "$TMP/disk/3.vmdk"
