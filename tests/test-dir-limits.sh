#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Of what the files of a folder name so much is looked at, and no more; and
# nothing is written where a parent may have been missed.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/dir-functions.sh
. "$srcdir/dir-functions.sh"

skip_if_sanitizers "looking at so many files takes minutes"
skip_if_valgrind "looking at so many files takes hours"

"$PYTHON" - "$TMP" <<'END'
import os
import sys

import nbd
from exports import Exports
from writing import NotStarted

tmp, folder = sys.argv[1], os.environ["DIR"]
far = tmp + "/far"
os.mkdir(far)


def describe(path, lines="RW 8 ZERO\n", hint=None, size=None):
    """A descriptor of so many bytes, of a disk with this parent."""
    parent = f'parentCID=1\nparentFileNameHint="{hint}"\n' if hint else \
        "parentCID=ffffffff\n"
    with open(path, "w", encoding="ascii") as f:
        f.write("# Disk DescriptorFile\nversion=1\nCID=1\n" + parent +
                'createType="custom"\n' + lines)
        if size:
            f.truncate(size)


def start():
    return Exports("dir=" + folder, "allow-dir=" + tmp)


def listed(server):
    """The exports, and what the server says when they are asked for."""
    before = len(server.messages())
    names = server.names()
    return names, server.messages()[before:]


def extents(*names):
    return "".join(f'RW 8 FLAT "../dir/{name}" 0\n' for name in names)


def empty(path):
    for name in os.listdir(path):
        os.unlink(path + "/" + name)


print("4096 extents of one file")
describe(folder + "/a.vmdk", extents(*["none"] * 4095, "x", "y"))
describe(folder + "/x")
describe(folder + "/y")
server = start()
names, said = listed(server)
assert names == ["a.vmdk", "y"], names
assert "a.vmdk: names too many files by paths" in said, said
server.stop()

print("65536 of all")
empty(folder)
describe(folder + "/x")
for i in range(15):
    describe(f"{folder}/a{i:02}", extents(*["none"] * 4096))
describe(folder + "/b", extents(*["none"] * 4095, "x"))
server = start()
names, said = listed(server)
assert "b" in names and "x" not in names, names
assert "too many" not in said, said
describe(folder + "/b", extents(*["none"] * 4096))
describe(folder + "/c", extents("x"))
names, said = listed(server)
assert "x" in names, names
assert "c: names too many files by paths" in said, said
server.stop()

print("descriptors of 256 MiB")
empty(folder)
for i in range(256):
    describe(f"{folder}/{i}", size=1 << 20)
server = start()
assert len(server.names()) == 256, server.messages()
describe(folder + "/x")
server.refuses("x", "more than 256 MiB")
try:
    raise AssertionError(server.names())
except nbd.Error:
    pass
server.stop()
try:
    start()
    raise AssertionError("that started")
except NotStarted as e:
    assert "more than 256 MiB" in str(e), e

# Each of them is the parent of the one before, and the last a child of a disk
# of the folder.
for what, count, size in (("16384 parents", 16384, None),
                          ("256 MiB of parents", 256, 1 << 20)):
    print(what, "in another folder")
    empty(folder)
    empty(far)
    describe(folder + "/base")
    describe(folder + "/other", 'RW 8 FLAT "flat" 0\n')
    with open(folder + "/flat", "wb") as f:
        f.truncate(4096)
    describe(folder + "/top", hint="../far/0")
    for i in range(count):
        describe(f"{far}/{i}", size=size, hint="../dir/base"
                 if i == count - 1 else f"../far/{i + 1}")
    server = start()
    h = server.connect("other")
    h.pwrite(b"x" * 512, 0)
    h.shutdown()
    names, said = listed(server)
    assert names == ["other", "top"], names
    assert "too many" not in said, said

    describe(f"{far}/{count - 1}", size=size, hint=f"../far/{count}")
    describe(f"{far}/{count}", hint="../dir/base")
    server.refuses("other", "too many parents in other folders")
    names, said = listed(server)
    assert names == ["base", "other", "top"], names
    assert "names too many files by paths" in said, said
    server.stop()
END
