#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A sparse extent whose descriptor is in another file; a descriptor inside
# an empty sparse header; and an extent with no descriptor at all.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

try monolithicSparse --size=12345s --separate-descriptor
[ "$(find "$TMP/disk" -type f | wc -l)" -eq 2 ]
try monolithicFlat --size=12345s --wrapped
[ "$(head -c 4 "$IMAGE")" = KDMV ]
try twoGbMaxExtentFlat --size=12345s --extent-size=1000s --wrapped

# One extent of a split disk is opened by itself.
make_image twoGbMaxExtentSparse --size=3M
mv "$TMP"/disk/disk-s001.vmdk "$TMP"
rm -r "$TMP/disk"
mkdir "$TMP/disk"
mv "$TMP/disk-s001.vmdk" "$IMAGE"
check_image
