#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Parents, and the extents that parents name, must lie where extents must: in
# the folder of the file that names them or below it.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/confine-functions.sh
. "$srcdir/confine-functions.sh"

# name_parent HINT: a disk without data of its own over that parent.
name_parent ()
{
  mkvmdk --size=1M --fill=empty --parent="$TMP/out/base.vmdk" --hint="$1" \
    monolithicSparse "$disk"
}

parent_served ()
{
  name_parent "$1"
  rm -f "$OUT.raw"
  copy_out "$disk" "$OUT.raw" "${@:2}"
  cmp "$OUT.raw" "$MODEL"
}

parent_denied ()
{
  name_parent "$1"
  refuses_fast 'allow-dir|No such file' vmdk "$disk" "${@:2}"
}

mkvmdk --size=1M --model="$MODEL" twoGbMaxExtentFlat "$TMP/out/base.vmdk"
mkdir "$TMP/in/below"
cp "$TMP"/out/base* "$TMP/in/below"

parent_served below/base.vmdk
parent_served "$TMP/in/below/base.vmdk"
rm -r "$TMP/in/below"

# It is looked for by its name beside the disk, too: it is not there.
parent_denied "$TMP/out/base.vmdk"
parent_denied ../out/base.vmdk
ln -s ../out/base.vmdk "$TMP/in/base.vmdk"
parent_denied base.vmdk
rm "$TMP/in/base.vmdk"
ln -s ../out "$TMP/in/below"
parent_denied below/base.vmdk
rm "$TMP/in/below"
mkfifo "$TMP/in/base.vmdk"
name_parent base.vmdk
refuses_fast 'is a FIFO' vmdk "$disk"
rm "$TMP/in/base.vmdk"
for name in /dev/zero /proc/self/fd/0 /etc/passwd; do
  parent_denied "$name"
done
parent_served ../out/base.vmdk allow-dir="$TMP/out"
# The parent is the user's word here, and names what is beside it.
parent_served nothing parent="$TMP/out/base.vmdk"

# A parent that is allowed names what is not: beside it is meant beside it.
mkdir "$TMP/in/below"
cp "$TMP"/out/base.vmdk "$TMP/in/below"
parent_denied below/base.vmdk
for extent in "$TMP/out/base-f001.vmdk" ../../out/base-f001.vmdk; do
  sed "s|\"base-f001.vmdk\"|\"$extent\"|" "$TMP/out/base.vmdk" \
    >"$TMP/in/below/base.vmdk"
  parent_denied below/base.vmdk
  parent_served below/base.vmdk allow-dir="$TMP/out"
done
# Beside the disk is not beside the parent that is below.
cp "$TMP/out/base-f001.vmdk" "$TMP/in"
sed "s|\"base-f001.vmdk\"|\"../base-f001.vmdk\"|" "$TMP/out/base.vmdk" \
  >"$TMP/in/below/base.vmdk"
parent_denied below/base.vmdk

# A disk that is made is a child of any disk that the user names, but finds
# it again only where the image may name it.
NEW=$TMP/in/new.vmdk
nbdkit -U - vmdk "$NEW" create=true create-parent="$TMP/out/base.vmdk" \
  --run true
refuses_fast allow-dir vmdk "$NEW"
copy_out "$NEW" "$OUT.raw" allow-dir="$TMP/out"
cmp "$OUT.raw" "$MODEL"
