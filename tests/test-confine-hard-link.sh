#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A hard link is a file of the folder that it lies in: nothing tells where else
# it has a name.  So it is served, as the manual page says.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/confine-functions.sh
. "$srcdir/confine-functions.sh"

ln "$TMP/out/data" "$TMP/in/hard"
served hard
# If it is the disk's own descriptor, the disk is not written.
name_extent data
ln "$disk" "$TMP/in/itself"
printf 'RW 1 FLAT "itself" 0\n%0400d\n' 0 >>"$disk"
cp "$disk" "$TMP/before"
# shellcheck disable=SC2016
nbdkit -U - vmdk "$disk" --run 'nbdinfo "$uri"' >"$OUT.info"
grep 'read-only because .* has more than one part in it' "$OUT.info"
cmp "$disk" "$TMP/before"

# Nor is it if that is a file of its parent.
cd "$TMP/in"
printf '%s\n' '# Disk DescriptorFile' version=1 CID=11111111 \
  parentCID=ffffffff 'createType="monolithicFlat"' \
  'RW 8 FLAT "base-flat.vmdk" 0' >base.vmdk
truncate -s 4096 base-flat.vmdk
ln base-flat.vmdk child-flat.vmdk
printf '%s\n' '# Disk DescriptorFile' version=1 CID=22222222 \
  parentCID=11111111 'createType="monolithicFlat"' \
  'parentFileNameHint="base.vmdk"' 'RW 8 FLAT "child-flat.vmdk" 0' >child.vmdk
# shellcheck disable=SC2016
nbdkit -U - vmdk child.vmdk --run 'nbdinfo "$uri"' >"$OUT.info"
grep 'child\.vmdk: is read-only because .*-flat\.vmdk has more than one part' \
  "$OUT.info"
