#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Extents must lie in the folder of the file that names them, or below it.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/confine-functions.sh
. "$srcdir/confine-functions.sh"

served data
served sub/data
served ./sub/../data
served sub//data
served "$TMP/in/data"
ln -s sub/data "$TMP/in/link-in"
served link-in
ln -s sub "$TMP/in/folder-in"
served folder-in/data
ln -s "$TMP/in/sub/data" "$TMP/in/absolute-link-in"
served absolute-link-in

denied "$TMP/out/data"
denied ../out/data
denied sub/../../out/data
denied "$TMP/in/../out/data"
denied /etc/passwd
ln -s ../out/data "$TMP/in/link-out"
denied link-out
ln -s "$TMP/out/data" "$TMP/in/absolute-link-out"
denied absolute-link-out
ln -s ../out "$TMP/in/folder-out"
denied folder-out/data
ln -s link-out "$TMP/in/link-to-link"
denied link-to-link
ln -s "$TMP" "$TMP/in/up"
denied up/out/data
# Round about, and in again.
served up/in/data
# A folder whose name begins like that of the disk.
mkdir "$TMP/in-too"
cp "$DATA" "$TMP/in-too/data"
denied ../in-too/data
denied "$TMP/in-too/data"
