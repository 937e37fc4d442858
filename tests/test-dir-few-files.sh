#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# When the server is short of descriptors, what is behind a disk is not taken
# for one.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/dir-functions.sh
. "$srcdir/dir-functions.sh"

skip_if_valgrind "it keeps descriptors that do not count"

make_disk base twoGbMaxExtentSparse --extent-size=512K
make_child snap twoGbMaxExtentSparse base --extent-size=512K
make_disk big twoGbMaxExtentSparse --size=48M --extent-size=1M

ulimit -n 100
"$PYTHON" - <<'END'
import os
import resource
import nbd
from exports import Exports

server = Exports("dir=" + os.environ["DIR"])
wanted = ["big.vmdk", "snap.vmdk"]
assert server.names() == wanted
big = server.connect("big.vmdk")
# With the disk open there are enough left to look at a folder.
assert server.names() == wanted


def limit(soft):
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (soft, 100))


# A client that is connected already, and more and more descriptors.
heard = set()
for more in range(8):
    h = nbd.NBD()
    h.set_opt_mode(True)
    h.connect_unix(server.socket)
    limit(len(os.listdir(f"/proc/{server.process.pid}/fd")) + more)
    names = []
    try:
        h.opt_list(lambda name, _, names=names: names.append(name))
    except nbd.Error:
        names = "refused"
    assert names in (wanted, "refused"), (more, names)
    heard.add(tuple(names))
    limit(100)
    h.opt_abort()
assert len(heard) == 2, heard
assert "Too many open files" in server.messages(), server.messages()
assert server.names() == wanted
server.refuses("base.vmdk", "there is no disk")
big.shutdown()
server.stop()
END
