#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# What lies on a parent that cannot be made durable is not either: the first flush
# fails.  But a file system from which one can only read may have no syncs.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/chain-functions.sh
. "$srcdir/chain-functions.sh"
# shellcheck source=tests/failing-disk-functions.sh
. "$srcdir/failing-disk-functions.sh"

make_base twoGbMaxExtentFlat --size=3M --extent-size=2M
make_child monolithicSparse --size=3M
"$PYTHON" - <<'END'
import errno
import os
from failing_disk import END, fail
from writing import Model, Server, fails

image = os.environ["IMAGE"]
model = Model.load()

fail(*(("fdatasync", name, 0, END, errno.EINVAL)
       for name in ("base.vmdk", "base-f001.vmdk", "base-f002.vmdk")))
server = Server(image)
h = server.connect()
model.write(h, 70000, 2 << 20)
h.flush()
model.check(h)
h.shutdown()
server.stop()

# Devices have many numbers for what is lost.
for number in errno.EIO, errno.ENODATA, errno.ESTALE, errno.ETIMEDOUT:
    fail(("fdatasync", "base-f002.vmdk", 0, END, number))
    server = Server(image)
    h = server.connect()
    model.write(h, 70000, 1 << 20)
    fails(errno.EIO, h.flush)
    fail()
    fails(errno.EIO, h.flush)
    fails(errno.EIO, h.pwrite, b"x", 0)
    assert "base-f002.vmdk" in server.messages(), server.messages()
    h.shutdown()
    server.stop()
END
