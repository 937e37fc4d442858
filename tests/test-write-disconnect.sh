#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# What a client has written is in the file when it has gone, without a flush,
# also while another client stays, and so survives the end of the server.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

check ()
{
  make_image "$@"
  "$PYTHON" - "$TMP/copy" <<'END'
import os
import shutil
import sys
import time
from writing import Model, Server

image = os.environ["IMAGE"]
copy = os.path.join(sys.argv[1], os.path.basename(image))


def is_in_file(count, offset):
    """Ask a copy, since the image is locked."""
    shutil.copytree(os.path.dirname(image), sys.argv[1])
    server = Server(copy, options=["-r"])
    h = server.connect()
    r = h.pread(count, offset) == model.data[offset:offset + count]
    h.shutdown()
    server.stop()
    shutil.rmtree(sys.argv[1])
    return r


model = Model.load()
server = Server(image)
h, other = server.connect(), server.connect()
model.write(h, 100000, 300000)
h.shutdown()
for _ in range(20):
    if is_in_file(100000, 300000):
        break
    time.sleep(0.1)
else:
    sys.exit("it is not in the file")
server.kill()

server = Server(image)
h = server.connect()
model.check(h)
h.shutdown()
server.stop()
END
}

check monolithicSparse --size=2M --fill=empty
check vmfsSparse --size=2M --fill=empty
