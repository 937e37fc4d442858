#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# What a parent names must lie in the folder of the parent, or below that, which
# may be less than what the snapshot itself could name.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/confine-functions.sh
. "$srcdir/confine-functions.sh"

# Extents of the parent.
name=0
for extent in ../out/data "$TMP/out/data" /etc/passwd; do
  name=$((name + 1))
  make_parent in $name.vmdk "$extent"
  name_parent $name.vmdk
  refuses_fast "$name.vmdk: .*allow-dir" vmdk "$disk"
done
ln -s ../out/data "$TMP/in/link-out"
make_parent in link.vmdk link-out
name_parent link.vmdk
refuses_fast 'link.vmdk: .*allow-dir' vmdk "$disk"

# Up from a folder below, to where the snapshot lies.
make_parent in/sub climbs.vmdk ../data
name_parent sub/climbs.vmdk
refuses_fast 'climbs.vmdk: .*allow-dir' vmdk "$disk"
check_served allow-dir="$TMP/in"
make_parent in/sub stays.vmdk data
name_parent sub/stays.vmdk
check_served

# The same for a parent of the parent.
make_parent in base.vmdk
make_parent in/sub base2.vmdk
cp "$TMP/in/empty" "$TMP/in/sub/empty"
for hint in ../base.vmdk "$TMP/in/base.vmdk"; do
  name_parent "$hint"
  sed -i 's/^CID=2/CID=12345678/' "$disk"
  mv "$disk" "$TMP/in/sub/middle.vmdk"
  name_parent sub/middle.vmdk
  refuses_fast 'middle.vmdk: .*allow-dir' vmdk "$disk"
  check_served allow-dir="$TMP/in"
done
name_parent base2.vmdk
sed -i 's/^CID=2/CID=12345678/' "$disk"
mv "$disk" "$TMP/in/sub/middle.vmdk"
name_parent sub/middle.vmdk
check_served

# A link to the parent: its names are those of the folder that it lies in.
ln -s sub/stays.vmdk "$TMP/in/link.vmdk.2"
rm "$TMP/in/data"
name_parent link.vmdk.2
check_served

# A parent that the user names may name what lies in its own folder.
make_parent out parent.vmdk
name_parent gone.vmdk
check_served parent="$TMP/out/parent.vmdk"
make_parent out climbs.vmdk ../in/sub/data
name_parent gone.vmdk
refuses_fast 'climbs.vmdk: .*allow-dir' vmdk "$disk" \
  parent="$TMP/out/climbs.vmdk"
