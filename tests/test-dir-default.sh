#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A client that gives no name gets the only disk of a folder; disks come and
# go while the server runs.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/dir-functions.sh
. "$srcdir/dir-functions.sh"

"$PYTHON" - <<'END'
import os
import subprocess
import time
from exports import Exports, load

folder, raws = os.environ["DIR"], os.environ["RAWS"]


def make(name, *options):
    raw = f"{raws}/{name}.raw"
    subprocess.run([os.environ["builddir"] + "/mkvmdk", "--size=1M",
                    f"--model={raw}", f"--map={raw}.map", *options, "monolithicSparse",
                    f"{folder}/{name}"], check=True)
    return load(raw)


def check(name, content):
    h = server.connect(name)
    assert h.pread(len(content), 0) == content
    h.shutdown()


server = Exports("dir=" + folder, options=["-r"])
assert not server.names()
assert "to serve" not in server.messages()
server.refuses("", "there is no disk to serve")
server.refuses("one.vmdk", "there is no disk")

one = make("one.vmdk")
assert server.names() == ["one.vmdk"]
check("", one)
check("one.vmdk", one)

two = make("two.vmdk", "--seed=2")
assert two != one
check("two.vmdk", two)
server.refuses("", "there are 2 disks to serve: the client must give")
check("one.vmdk", one)

# A disk that has been removed is read on by those who have it open.
h = server.connect("two.vmdk")
os.unlink(folder + "/two.vmdk")
assert h.pread(len(two), 0) == two
check("", one)
h.shutdown()
server.wait_until_open(folder, [])
server.refuses("two.vmdk", "there is no disk")

# So it is if the folder has not been changed for a while.
time.sleep(4)
assert server.names() == ["one.vmdk"]
check("one.vmdk", one)
two = make("two.vmdk", "--seed=4")
check("two.vmdk", two)
server.refuses("")
os.unlink(folder + "/two.vmdk")
server.refuses("two.vmdk", "there is no disk")
# A file that is there becomes a disk.
with open(folder + "/late.vmdk", "wb"):
    pass
time.sleep(4)
check("", one)
content = load(folder + "/one.vmdk")
with open(folder + "/late.vmdk", "r+b") as f:
    f.write(content)
check("late.vmdk", one)
server.refuses("")
os.unlink(folder + "/late.vmdk")

# A snapshot takes the place of its parent.
snapshot = make("snapshot.vmdk", "--seed=3", f"--parent={folder}/one.vmdk",
                f"--parent-model={raws}/one.vmdk.raw",
                f"--parent-map={raws}/one.vmdk.raw.map")
assert server.names() == ["snapshot.vmdk"]
check("", snapshot)
server.refuses("one.vmdk", "there is no disk")
server.stop()
END

# The folder itself must be there when the server starts.
refuses 'open: .*/none: No such file' vmdk dir="$DIR/none"
refuses 'open: .*/one.vmdk: Not a directory' vmdk dir="$DIR/one.vmdk"
