#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A disk made for sectors of 4096 bytes has them as its smallest block, also
# if a snapshot does not repeat it; but not if it ends within a sector.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires_nbdsh

# check SIZE: the smallest block.
check ()
{
  # shellcheck disable=SC2016
  serve_and "$IMAGE" 'nbdsh -c "
h.set_full_info(True)
h.connect_uri(\"$uri\")
smallest = h.get_block_size(nbd.SIZE_MINIMUM)
print(smallest, h.get_block_size(nbd.SIZE_PREFERRED))
assert smallest == int(\"'"$1"'\"), smallest
assert smallest <= h.get_block_size(nbd.SIZE_PREFERRED)
assert h.pread(65536, 0) == open(\"$MODEL\", \"rb\").read(65536)
"'
}

# with SIZE KIND [OPTION OF MKVMDK...]: a disk whose descriptor has the size.
with ()
{
  make_image "${@:2}"
  echo "ddb.logicalSectorSize = \"$1\"" >>"$IMAGE"
}

make_image monolithicFlat --size=1M
check 1
with 4096 monolithicFlat --size=1M
check 4096
with 65536 monolithicFlat --size=1M
check 65536
with 512 monolithicFlat --size=1M
check 1
for size in 0 4095 131072 99999999999999999999 -4096 x ""; do
  with "$size" monolithicFlat --size=1M
  check 1
done
with 4096 monolithicFlat --size=2049s
check 1

with 4096 twoGbMaxExtentSparse --size=1M
mv "$IMAGE" "$TMP/disk/base.vmdk"
mkvmdk --parent="$TMP/disk/base.vmdk" --size=1M --fill=empty monolithicSparse \
  "$IMAGE"
check 4096
