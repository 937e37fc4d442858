#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A client that asks for what is no disk does not have the server look through
# the folder each time; what has become a disk is found all the same.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/dir-functions.sh
. "$srcdir/dir-functions.sh"
# shellcheck source=tests/failing-disk-functions.sh
. "$srcdir/failing-disk-functions.sh"

make_disk base monolithicSparse
make_child snap monolithicSparse base
make_disk late monolithicSparse
cp "$DIR/late.vmdk" "$TMP/late"
echo text >"$DIR/late.vmdk"
# Each look through the folder says that this is not looked at.
mkdir "$TMP/out"
cp "$TMP/late" "$TMP/out/late"
ln -s ../out/late "$DIR/link.vmdk"
mkdir "$DIR/sub"
cp "$TMP/late" "$DIR/sub/late"
# So that the folder and the files are known not to change.
touch -d '1 hour ago' "$DIR" "$DIR"/*
sleep 5

"$PYTHON" - <<'END_OF_PYTHON'
import os
import time
from exports import Exports, load
from failing_disk import fail

folder, raws = os.environ["DIR"], os.environ["RAWS"]
MISSING = ["none", "none.vmdk", "sub", "sub/late", "./snap.vmdk", "..",
           folder + "/snap.vmdk", "x" * 300]
NO_DISKS = ["base.vmdk", "late.vmdk", "link.vmdk"]


def looks():
    return server.messages().count("not looked at: link.vmdk")


def refused(names, wanted):
    """They are, with so many looks at the folder."""
    before = looks()
    for name in names:
        server.refuses(name, "there is no disk that is called")
    assert looks() - before == wanted, (names, looks() - before)


for options in ["-r", "-v"], ["-v"]:
    server = Exports("dir=" + folder, options=options)
    assert looks() == 1
    for _ in range(2):
        refused(MISSING + NO_DISKS, 0)
    assert server.names() == ["snap.vmdk"]

    # A file that has been changed may be a disk.
    with open(folder + "/late.vmdk", "r+b") as f:
        text = f.read()
        f.seek(0)
        f.write(load(raws + "/late"))
    before = looks()
    server.connect("late.vmdk").shutdown()
    assert looks() == before + 1
    refused(["base.vmdk"], 0)
    with open(folder + "/late.vmdk", "r+b") as f:
        f.write(text)
        f.truncate()
    server.wait_until_open(folder, [])
    server.names()
    # Not long enough ago to be sure.
    refused(["late.vmdk"], 1)
    refused(["base.vmdk"], 0)

    # So may any if the folder has been changed, but not without a file.
    os.utime(folder)
    refused(["base.vmdk"], 1)
    refused(MISSING, 0)
    time.sleep(5)
    refused(["base.vmdk", "late.vmdk"], 1)
    server.stop()

# One that could not be read, but now can, is found.
fail(("pread", "snap.vmdk"))
server = Exports("dir=" + folder, options=["-r", "-v"])
assert server.names() == ["base.vmdk"]
fail()
server.connect("snap.vmdk").shutdown()
refused(["base.vmdk"], 0)
server.stop()
END_OF_PYTHON
