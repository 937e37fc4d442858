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

# Instrumented servers need more for everything.
MEASURE=yes
if [ "${NBDKIT_VALGRIND:-}" = 1 ] || has_sanitizers; then
  MEASURE=no
fi
export MEASURE

"$PYTHON" - "$TMP/many" <<'END'
import os
import re
import sys
from exports import Exports, load

raw = load(os.environ["RAWS"] + "/stream.raw")
server = Exports("dir=" + sys.argv[1], "cache-size=4M",
                 options=["-r", "-t", "1"])
names = server.names()
assert len(names) == 200
handles = [server.connect(name) for name in names]


def memory():
    status = load(f"/proc/{server.process.pid}/status").decode()
    return int(re.search(r"^RssAnon:\s+(\d+) kB$", status, re.M)[1]) * 1024


def read():
    for h in handles:
        for at in range(0, len(raw), 65536):
            assert h.pread(512, at) == raw[at:at + 512]


# All threads have begun, and there is one grain of each disk, before it counts.
for h in handles:
    h.pread(512, len(raw) - 512)
before = memory()
read()
read()
grown = memory() - before
print("grown by", grown)
if os.environ["MEASURE"] == "yes":
    assert grown < 8 * 1024 * 1024, grown
for h in handles:
    h.shutdown()
server.stop()
END
