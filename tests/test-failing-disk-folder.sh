#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# On a file system whose folders cannot be synced, disks of all kinds are made
# all the same, and a descriptor is replaced.  A sync of the folder that fails
# leaves nothing of a new disk, and a replaced one that is not written.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/failing-disk-functions.sh
. "$srcdir/failing-disk-functions.sh"

mkdir "$TMP/odd"
make_image_without_model monolithicFlat --size=1M
mv "$TMP"/disk/* "$TMP/odd"
export NAME="${IMAGE##*/}"
"$PYTHON" - "$TMP/odd" <<'END'
import errno
import os
import sys
import nbd
from failing_disk import END, fail
from writing import NotStarted, Server, fails

folder, size = sys.argv[1], 1 << 20
KINDS = ("monolithic-sparse", "monolithic-flat", "split-sparse", "split-flat",
         "vmfs-sparse", "stream-optimized")
old = os.path.join(folder, os.environ["NAME"])
new = os.path.join(folder, "new.vmdk")
there = set(os.listdir(folder))
with open(old, encoding="ascii") as f:
    without_cid = "".join(line for line in f if not line.startswith("CID="))


def rule(number):
    fail(("fsync", "odd", 0, END, number))


def write(server):
    h = server.connect()
    h.pwrite(b"x" * 70000, 100000)
    h.flush()
    h.shutdown()
    server.stop()


def create(kind):
    return Server(new, "create=true", "create-type=" + kind,
                  f"create-size={size}")


def check(path):
    server = Server(path, options=["-r"])
    h = server.connect()
    assert h.pread(70002, 99999) == b"\0" + b"x" * 70000 + b"\0"
    h.shutdown()
    server.stop()


def remove():
    for name in set(os.listdir(folder)) - there:
        os.unlink(os.path.join(folder, name))


def make_old():
    with open(old, "w", encoding="ascii") as g:
        g.write(without_cid)


for none in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
    rule(none)
    for kind in KINDS:
        write(create(kind))
        check(new)
        remove()
    make_old()
    write(Server(old))
    check(old)

rule(errno.EIO)
for kind in KINDS:
    try:
        server = create(kind)
    except NotStarted as e:
        assert "folder of new.vmdk" in str(e), e
    else:
        assert kind == "stream-optimized"
        write(server)
        assert "folder of new.vmdk" in server.messages(), server.messages()
    assert set(os.listdir(folder)) == there, kind
make_old()
server = Server(old)
h = server.connect()
fails(errno.EIO, h.pwrite, b"y" * 512, 0)
h.shutdown()
server.stop()
assert "folder of" in server.messages(), server.messages()
END
