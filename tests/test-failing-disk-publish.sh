#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# To write tables at a flush nothing has to be read, though little memory is left
# for tables: a disk that cannot be read for a while does not end all writing.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/failing-disk-functions.sh
. "$srcdir/failing-disk-functions.sh"

# check NAME KIND [OPTION OF MKVMDK...]: a disk of 1 TiB with NAME for a file.
check ()
{
  make_image_without_model "${@:2}" --size=1T --fill=empty
  "$PYTHON" - "$1" <<'END'
import os
import sys
from failing_disk import fail
from writing import Server, read

server = Server(os.environ["IMAGE"], "cache-size=1M")
h = server.connect()
h.pwrite(b"x" * 512, 1 << 39)
h.flush()
h.pwrite(b"y" * 512, (1 << 39) + (1 << 20))
# Tables of other parts take the place of the directory.
for at in range(0, 1 << 40, 1 << 33):
    assert h.pread(512, at) == (b"x" * 512 if at == 1 << 39 else bytes(512))
fail(("pread", sys.argv[1]))
h.flush()
fail()
h.pwrite(b"z" * 512, 0)
h.shutdown()
server.stop()
server = Server(os.environ["IMAGE"], options=["-r"])
h = server.connect()
for at, byte in ((1 << 39, b"x"), ((1 << 39) + (1 << 20), b"y"), (0, b"z")):
    assert read(h, 512, at) == byte * 512
h.shutdown()
server.stop()
END
}

check disk-delta.vmdk vmfsSparse
check disk.vmdk monolithicSparse
