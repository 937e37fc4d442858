#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# An embedded descriptor whose beginning was lost is not one that is not there:
# the disk may have a parent.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

make_image monolithicSparse --size=1M
check_image
printf '\0' | dd of="$IMAGE" bs=1 seek=512 conv=notrunc status=none
refuses 'disk\.vmdk: the embedded descriptor is damaged' vmdk "$IMAGE"
dd if=/dev/zero of="$IMAGE" bs=512 seek=1 count=20 conv=notrunc status=none
check_image
