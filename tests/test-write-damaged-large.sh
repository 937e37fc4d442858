#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A large split disk of which a later part turns out to be damaged when it is
# first written: no part of it changes, by no attempt, and it is read-only for
# clients that come then.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

# 8 MiB of tables.
make_image_without_model twoGbMaxExtentSparse --size=4G --extent-size=2G \
  --grain=8 --fill=edges
"$PYTHON" - "$TMP"/disk/*-s002.vmdk <<'END'
import errno
import os
import struct
import sys
import time
from writing import Server, checksums, fails, files

image, damaged = os.environ["IMAGE"], sys.argv[1]
with open(damaged, "r+b") as f:
    header = f.read(512)
    for directory in struct.unpack_from("<QQ", header, 48):
        f.seek(512 * directory)
        table, = struct.unpack("<I", f.read(4))
        # Grain 9 is behind the end of the file.
        f.seek(512 * table + 4 * 9)
        f.write(b"\0\xff\xff\xff")
before = checksums(*files(os.path.dirname(image)))
server = Server(image)
h = server.connect()
assert not h.is_read_only()
for _ in range(2):
    fails(errno.EIO, h.pwrite, b"x" * 512, 0)
    fails(errno.EIO, h.zero, 1 << 20, 0)
h.shutdown()
# The server may see a little later that the first client has gone.
for _ in range(600):
    h = server.connect()
    if h.is_read_only():
        break
    h.shutdown()
    time.sleep(0.1)
assert h.is_read_only()
assert "the entry of grain 9" in h.get_export_description()
h.shutdown()
server.stop()
assert "served read-only" in server.messages()
assert checksums(*files(os.path.dirname(image))) == before
END
