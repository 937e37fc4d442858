#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Memory stays within cache-size, whatever the order of writing and however much
# has to wait; and what waits in a file is in a file without a name.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/create-functions.sh
. "$srcdir/create-functions.sh"

skip_if_valgrind "it takes memory of its own"
skip_if_sanitizers "they take memory of their own"

# peak ORDER CACHE MIB: sets used to the peak memory of the server in KiB.
peak ()
{
  start_stream $(($3 << 20)) cache-size="$2"
  "$PYTHON" - "$uri" "$1" "$3" <<'END'
import os, random, sys
import nbd

uri, order, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
h = nbd.NBD()
h.connect_uri(uri)
rng = random.Random(1)
pieces = list(range(count))
if order == "backwards":
    pieces.reverse()
elif order == "random":
    rng.shuffle(pieces)

def write(requests):
    cookies = [h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(data)), at)
               for at, data in requests]
    for cookie in cookies:
        while not h.aio_command_completed(cookie):
            h.poll(-1)

names = []
with open(os.environ["RAW"], "wb") as f:
    f.truncate(count << 20)
    for i in pieces:
        data = rng.randbytes(1 << 20)
        f.seek(i << 20)
        f.write(data)
        grains = [(at, data[at:at + 65536]) for at in range(0, 1 << 20, 65536)]
        if order == "halves":
            # No grain is whole before all have begun.
            grains = [(at, d[:30000]) for at, d in grains]
        write([((i << 20) + at, d) for at, d in grains])
        names += [n for n in os.listdir(os.environ["FOLDER"]) if n[0] != "."]
    if order == "halves":
        for i in pieces:
            f.flush()
            data = os.pread(os.open(f.name, os.O_RDONLY), 1 << 20, i << 20)
            write([((i << 20) + at + 30000, data[at + 30000:at + 65536])
                   for at in range(0, 1 << 20, 65536)])
assert not names, names
h.shutdown()
END
  used=$(awk '$1 == "VmHWM:" { print $2 }' "/proc/$(cat "$TMP/pid")/status")
  end_stream
}

# What a server needs without any of this: nbdkit's own memory.
peak forward 1M 4
base=$used
for order in forward backwards random halves; do
  for cache in 8 32; do
    peak $order ${cache}M 160
    echo "$order: $used KiB with cache-size=${cache}M, $base KiB without"
    [ "$used" -lt $((base + cache * 1024 + 4096)) ] ||
      fail "$order: too much memory"
    [ "$(ls -A "$FOLDER")" = new.vmdk ]
    "$PYTHON" "$srcdir/check-stream.py" "$STREAM" "$RAW"
  done
done
