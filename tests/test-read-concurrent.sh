#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Requests do not wait for each other's reads: no lock is held over them.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires_strace

cat >"$TMP/client.py" <<'END'
import sys
import nbd

handles = []
buffers = []
for _ in range(2):
    h = nbd.NBD()
    h.connect_uri(sys.argv[1])
    handles.append(h)
with open(sys.argv[2], "rb") as f:
    model = f.read()
step = int(sys.argv[3])
for i, h in enumerate(handles):
    for k in range(12):
        offset = (k * 2 + i) * step
        buf = nbd.Buffer(4096)
        buffers.append((offset, buf, h, h.aio_pread(buf, offset)))
for h in handles:
    while h.aio_in_flight():
        h.poll(-1)
for offset, buf, h, cookie in buffers:
    assert h.aio_command_completed(cookie)
    assert buf.to_bytearray() == model[offset:offset + 4096]
for h in handles:
    h.shutdown()
END

# overlaps STEP: each pread takes a while, and there are 24 requests at once,
# STEP bytes from each other.
overlaps ()
{
  # shellcheck disable=SC2016
  CLIENT=$TMP/client.py STEP=$1 \
    strace -f -y -o "$TMP/strace" -e trace=pread64 \
    -e inject=pread64:delay_enter=50000 \
    "$top_builddir/nbdkit" -U - -t 12 vmdk "$IMAGE" \
    --run '"$PYTHON" "$CLIENT" "$uri" "$MODEL" $STEP'
  "$PYTHON" "$srcdir/count-overlaps.py" "$TMP/disk/" <"$TMP/strace"
}
export PYTHON

# Grains of one table, so that it is found in the cache.
make_image monolithicSparse --size=24M --fill=full
n=$(overlaps 1000000)
[ "$n" -ge 6 ]

# Each grain has a table of its own, and all are yet to be read.
make_image monolithicSparse --size=24M --fill=full --grain=8 --gtes=128
n=$(overlaps 1000000)
[ "$n" -ge 6 ]

make_image twoGbMaxExtentFlat --size=24M --extent-size=5M --fill=full
n=$(overlaps 1000000)
[ "$n" -ge 6 ]
