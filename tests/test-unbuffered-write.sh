#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# unbuffered=true writes at any offset and length, and from several clients at
# once, what is written without it; a file keeps its length.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/unbuffered-functions.sh
. "$srcdir/unbuffered-functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires_qemu_img
export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1
export PARAMETERS=unbuffered=true

# change BOUNDARY: of the image, in sectors.
change ()
{
  size=$(stat -c %s "$TMP"/disk/*-f*.vmdk 2>/dev/null || :)
  "$PYTHON" "$srcdir/write-unaligned.py" "$1"
  qemu-img compare -f vmdk -F raw "$IMAGE" "$MODEL"
  [ "$(stat -c %s "$TMP"/disk/*-f*.vmdk 2>/dev/null || :)" = "$size" ]
}

# write KIND BOUNDARY [OPTION OF MKVMDK...]
write ()
{
  make_image "$1" "${@:3}"
  change "$2"
}

write monolithicSparse 128 --size=7001s
write twoGbMaxExtentSparse 2048 --size=7001s --extent-size=2048s
write monolithicFlat 1000 --size=7001s
write twoGbMaxExtentFlat 3001 --size=7001s --extent-size=3001s
write vmfsSparse 8 --size=9001s --grain=8 --fill=empty
# A descriptor of its own with no room for the new CID is replaced.
make_image twoGbMaxExtentSparse --size=7001s --extent-size=2048s
sed -i 's/^CID=.*/CID=1/' "$IMAGE"
inode=$(stat -c %i "$IMAGE")
change 2048
grep -E '^CID=[0-9a-f]{8}' "$IMAGE"
now=$(stat -c %i "$IMAGE")
[ "$now" != "$inode" ]

# Sectors of one block by several clients at once: none is lost.
make_image monolithicFlat --size=1M
"$PYTHON" - <<'END'
import os
import threading
from writing import Model, Server

model = Model.load()
server = Server(os.environ["IMAGE"])
clients = [server.connect() for _ in range(4)]


def work(number, h):
    for turn in range(40):
        for sector in range(number, model.size // 512 // 16, 4):
            h.pwrite(bytes([number, turn]) * 256, sector * 512)


threads = [threading.Thread(target=work, args=args)
           for args in enumerate(clients)]
for t in threads:
    t.start()
for t in threads:
    t.join()
for sector in range(model.size // 512 // 16):
    model.data[sector * 512:sector * 512 + 512] = (
        bytes([sector % 4, 39]) * 256)
for h in clients:
    model.check(h)
    h.shutdown()
server.stop()
END
