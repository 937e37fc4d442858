#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A monolithic file that was renamed since its descriptor was written.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

make_image monolithicSparse --size=3M
mv "$IMAGE" "$TMP/disk/other name.img"
IMAGE="$TMP/disk/other name.img"
check_image

# The old name exists, and is something else.
echo nothing >"$TMP/disk/disk.vmdk"
check_image

# A file of flat data was renamed, and its line with it.
IMAGE="$TMP/disk/disk.vmdk"
make_image monolithicFlat --size=3M
mv "$TMP/disk/disk-flat.vmdk" "$TMP/disk/moved"
sed -i 's/disk-flat.vmdk/moved/' "$IMAGE"
check_image
