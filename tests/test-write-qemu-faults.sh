#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# What QEMU does not write, or not well, is written here: sparse disks of version
# 3, with a separate descriptor, of unusual createTypes, between ZERO and NOACCESS
# lines, and with unusual descriptors; entries for zeroed grains without the flag;
# and a stream is not spoiled by an attempt.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

# check [ZERO-START ZERO-END]: write to $IMAGE at random; what is in the range, in
# sectors, must not be written.
check ()
{
  "$PYTHON" - "$@" <<'END'
import errno
import os
import sys
from writing import Model, Server, fails, rng

fixed = [512 * int(a) for a in sys.argv[1:]]
model = Model.load()
server = Server(os.environ["IMAGE"])
h = server.connect()
assert not h.is_read_only(), h.get_export_description()
for i in range(60):
    count = rng.choice((1, 512, 5000, 70000))
    offset = rng.randint(0, model.size - count)
    if fixed and offset < fixed[1] and offset + count > fixed[0]:
        continue
    model.write(h, count, offset)
if fixed:
    start, end = fixed
    model.check(h, start)
    for offset in (start, end - 100, (start + end) // 2):
        fails(errno.EIO, h.pwrite, b"not zero", offset)
    model.write(h, 512, start - 512)
    model.write(h, 512, end)
h.flush()
for check in range(2):
    if fixed:
        model.check(h, fixed[0])
        model.check(h, model.size - fixed[1], fixed[1])
    else:
        model.check(h)
    h.shutdown()
    server.stop()
    if check == 0:
        server = Server(os.environ["IMAGE"], options=["-r"])
        h = server.connect()
END
}

make_image monolithicSparse --size=3M --version=3
check
make_image monolithicSparse --size=3M --version=3 --zeroed
check
make_image monolithicSparse --size=3M --separate-descriptor
check
make_image custom --extents=SPARSE:1M,ZERO:1M,FLAT:1M
check 2048 4096
make_image custom --extents=FLAT:1M,SPARSE/NOACCESS:1M,VMFSSPARSE:1M
check 2048 4096
make_image custom --extents=VMFSSPARSE:1M,SPARSE:1M:8,FLAT:999s,SPARSE:1M:16
check
for type in vmfsThin vmfsPreallocated vmfsEagerZeroedThick vmfsRaw \
  vmfsRawDeviceMap vmfsPassthroughRawDeviceMap fullDevice partitionedDevice; do
  make_image vmfs --size=3M
  sed -i "s/createType=\"vmfs\"/createType=\"$type\"/" "$IMAGE"
  grep "\"$type\"" "$IMAGE"
  check
done
for dialect in blank-first comment-cid bom uppercase-keys; do
  make_image monolithicSparse --size=3M --dialect=$dialect
  check
done
for kind in monolithicSparse vmfsSparse; do
  make_image $kind --size=3M --damage=gte-1-without-flag
  check
done

make_image streamOptimized --size=3M
LC_ALL=C sed -i 's/^RDONLY/RW    /' "$IMAGE"
sum=$(sha256sum "$IMAGE")
# shellcheck disable=SC2016
if nbdkit -U - vmdk "$IMAGE" --run 'nbdsh -u "$uri" -c "
h.set_strict_mode(0)
h.pwrite(bytes(512), 0)"'; then
  fail "a stream was written"
fi
[ "$(sha256sum "$IMAGE")" = "$sum" ]
check_image
