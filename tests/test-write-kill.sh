#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# nbdkit is killed at random moments while clients write and flush through several
# connections: all that was flushed is there, all else is old or new, and the image
# is in order.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

# shellcheck source=tests/chain-functions.sh
. "$srcdir/chain-functions.sh"

requires_qemu_img
export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

# check FILE: it has the grains of $IMAGE.
check ()
{
  "$PYTHON" "$srcdir/write-until-killed.py" 5
  "$PYTHON" -c 'import sys, writing
s = writing.Sparse(sys.argv[1]).check()
assert s.unclean == 0' "$TMP/disk/$1"
  [ "$(head -c 4 "$IMAGE")" != KDMV ] || qemu-img check -f vmdk "$IMAGE"
  qemu-img compare -f vmdk -F raw "$IMAGE" "$MODEL"
}

make_image monolithicSparse --size=12M --fill=empty
check disk.vmdk
make_image monolithicSparse --size=12M --grain=8 --gtes=128 --zeroed
check disk.vmdk
make_image vmfsSparse --size=12M --fill=empty
check disk-delta.vmdk
make_base monolithicSparse --size=9M
make_child monolithicSparse --size=12M
sum=$(sha256sum "$TMP/disk/base.vmdk")
check disk.vmdk
[ "$(sha256sum "$TMP/disk/base.vmdk")" = "$sum" ]
