#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Many disks can be open at once, and share their memory.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/dir-functions.sh
. "$srcdir/dir-functions.sh"

make_disk stream streamOptimized
mkdir "$TMP/many"
for ((i = 0; i < 200; i++)); do
  cp "$DIR/stream.vmdk" "$TMP/many/$i.vmdk"
done

"$PYTHON" - "$TMP/many" <<'END'
import os
import sys
from exports import Exports, load

raw = load(os.environ["RAWS"] + "/stream.raw")
server = Exports("dir=" + sys.argv[1], "cache-size=1M", options=["-r"])
names = server.names()
assert len(names) == 200
handles = [server.connect(name) for name in names]
for _ in range(2):
    for h in handles:
        for at in range(0, len(raw), 65536):
            assert h.pread(512, at) == raw[at:at + 512]
for h in handles:
    h.shutdown()
server.stop()
END
