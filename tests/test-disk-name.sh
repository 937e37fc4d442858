#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The name of the disk itself, and of its folder: blanks, UTF-8, a relative
# path, and another folder to start from.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

make_image twoGbMaxExtentFlat --size=30s --extent-size=10s
mv "$TMP/disk" "$TMP/my disks ß"
IMAGE="$TMP/my disks ß/disk.vmdk"
check_image

cd "$TMP/my disks ß"
IMAGE=disk.vmdk
check_image
IMAGE=./disk.vmdk
check_image
mkdir sub
cd sub
IMAGE=../disk.vmdk
check_image
ln -s ../disk.vmdk link
cd "$TMP"
IMAGE="my disks ß/disk.vmdk"
check_image

# Without file=, and with an equals sign in the name.
cp "$IMAGE" "my disks ß/a=b.vmdk"
nbdkit -U - vmdk "$IMAGE" --run 'nbdinfo "$uri"'
cd "my disks ß"
nbdkit -U - vmdk ./a=b.vmdk --run 'nbdinfo "$uri"'
