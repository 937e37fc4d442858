#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A disk made for sectors of 4096 bytes has them as its smallest block, also
# if a snapshot does not repeat it; but not if it ends within a sector.  What is
# allocated is told in such blocks.

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

# map_in BLOCK: in such blocks, each as much of a hole as all of it is, whatever
# part is asked for; and nbdcopy, which asks for what it is told, gets it all.
map_in ()
{
  copy_out "$IMAGE" "$TMP/copy.raw"
  cmp "$TMP/copy.raw" "$MODEL"
  # shellcheck disable=SC2016
  serve_and "$IMAGE" 'BLOCK='"$1"' nbdsh -c "
import os
block = int(os.environ[\"BLOCK\"])
h.add_meta_context(\"base:allocation\")
h.connect_uri(\"$uri\")
size = h.get_size()
hole = bytearray(b\"\\1\" * (size // block))
for line in open(\"$MAP\"):
    at, length, what = line.split()
    if what == \"data\":
        for i in range(int(at) // block, -(-(int(at) + int(length)) // block)):
            hole[i] = 0
assert 0 < sum(hole) < len(hole), sum(hole)


def flags_of(entries, at, end, flags):
    for length, f in zip(entries[::2], entries[1::2]):
        assert at % block == 0 and length % block == 0, (at, length)
        flags += [f] * (min(end, at + length) - at >> 9)
        at += length


def ask(count, at, flags=0):
    found = []
    h.block_status(count, at, lambda context, offset, entries, error:
                   flags_of(entries, offset, at + count, found), flags)
    assert found
    return found


for at, count in (0, size), *((i, min(size - i, 3 * block))
                              for i in range(0, size, block)):
    wanted = [3 * hole[i // block] for i in range(at, at + count, 512)]
    assert ask(count, at) == wanted, at
    one = ask(count, at, nbd.CMD_FLAG_REQ_ONE)
    assert one == wanted[:len(one)], at
"'
}

with 4096 vmfsSparse --size=1M
map_in 4096
with 4096 twoGbMaxExtentSparse --size=2048s --extent-size=1001s --grain=8
map_in 4096
with 65536 twoGbMaxExtentSparse --size=4M --extent-size=1001s --grain=8 \
  --fill=edges
map_in 65536
