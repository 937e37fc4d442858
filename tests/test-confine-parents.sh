#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A parent must lie where an extent may, however the snapshot names it: in a
# descriptor that is a file or is embedded, or in the header of a COWD.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/confine-functions.sh
. "$srcdir/confine-functions.sh"

make_parent in base.vmdk
make_parent in/sub below.vmdk
make_parent out parent.vmdk

# Snapshots of three kinds, which name their parent $1.
as_text ()
{
  name_parent "$1"
}

as_embedded ()
{
  rm -f "$disk"
  mkvmdk --size=8s --grain=8 --fill=empty --parent="$TMP/in/base.vmdk" \
    --parent-model="$DATA" --parent-map="$TMP/base.map" --hint="$1" \
    monolithicSparse "$disk"
}
echo '0 4096 data' >"$TMP/base.map"

as_cowd ()
{
  rm -f "$disk"
  mkvmdk --size=520s --grain=1 --fill=empty --old-cowd --bare vmfsSparse "$disk"
  printf '%s\0' "$1" | dd of="$disk" bs=1 seek=32 conv=notrunc status=none
}

ln -s ../out/parent.vmdk "$TMP/in/link-out"
ln -s ../out "$TMP/in/folder-out"
ln -s sub/below.vmdk "$TMP/in/link-in"
mkfifo "$TMP/in/fifo"
exec 7<"$TMP/out/parent.vmdk"

# How they are looked for is the same for all, so the others try fewer.
inside=(base.vmdk sub/below.vmdk "$TMP/in/sub/below.vmdk" 'sub\below.vmdk'
  link-in)
outside=(../out/parent.vmdk "$TMP/out/parent.vmdk" link-out
  folder-out/parent.vmdk sub/../../out/parent.vmdk /proc/self/fd/7
  '..\out\parent.vmdk' /etc/passwd /dev/zero)
for as in as_text as_embedded as_cowd; do
  for name in "${inside[@]}"; do
    $as "$name"
    check_served
  done
  for name in "${outside[@]}"; do
    $as "$name"
    refuses_fast 'allow-dir' vmdk "$disk"
  done
  # It is not even looked at then.
  nbdkit -r -U - vmdk "$disk" single-link=true --run true
  $as fifo
  refuses_fast 'fifo: is a FIFO' vmdk "$disk" allow-dir=/
  $as ../out/parent.vmdk
  check_served allow-dir="$TMP/out"
  # This one is the user's word.
  check_served parent="$TMP/out/parent.vmdk"
  inside=(base.vmdk)
  outside=(../out/parent.vmdk "$TMP/out/parent.vmdk" link-out)
done
exec 7<&-
