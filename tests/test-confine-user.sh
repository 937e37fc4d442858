#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The disk may be a symbolic link.  Its names are those of the folder that the
# link lies in, not of what it leads to.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/confine-functions.sh
. "$srcdir/confine-functions.sh"

mkdir "$TMP/links"
name_extent data
ln -s ../in/disk.vmdk "$TMP/links/link.vmdk"
original=$disk
disk=$TMP/links/link.vmdk
refuses_fast 'data: No such file' vmdk "$disk"
name_extent ../in/data
refuses_fast allow-dir vmdk "$disk"
name_extent data
cp "$DATA" "$TMP/links/data"
rm "$TMP/in/data"
check_served
cp "$DATA" "$TMP/in/data"
rm "$TMP/links/data"

# A link to a folder in the path is no concern of the image.
ln -s in "$TMP/to-in"
disk=$TMP/to-in/disk.vmdk
check_served
name_extent ../out/data
refuses_fast allow-dir vmdk "$disk"

# Relative, and from elsewhere.
disk=$original
name_extent data
cd "$TMP/out"
rm data
disk=../in/disk.vmdk
check_served
cd "$TMP/in"
disk=disk.vmdk
check_served
