#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A folder may have so many files, and no more.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/dir-functions.sh
. "$srcdir/dir-functions.sh"

make_disk stream streamOptimized

"$PYTHON" -c 'import os
for i in range(65536 - len(os.listdir(os.environ["DIR"]))):
    os.mknod(os.environ["DIR"] + "/" + str(i))'
lists dir="$DIR" 'stream.vmdk'
: >"$DIR/one-more"
refuses 'has more than 65536 files' vmdk dir="$DIR"

# So many disks are listed, and with more of them one can be opened still.
"$PYTHON" - "$TMP/disks" <<'END'
import os
import sys
import nbd
from exports import Exports

folder = sys.argv[1]
os.mkdir(folder)


def add(i):
    with open(f"{folder}/{i}.vmdk", "w", encoding="ascii") as f:
        f.write("# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\n"
                'createType="custom"\nRW 8 ZERO\n')


for i in range(10000):
    add(i)
server = Exports("dir=" + folder, options=["-r"])
assert len(server.names()) == 10000
add(10000)
try:
    names = server.names()
except nbd.Error:
    assert "more than 10000 disks" in server.messages(), server.messages()
else:
    raise AssertionError(len(names))
assert server.connect("10000.vmdk").get_size() == 4096
server.stop()
END
