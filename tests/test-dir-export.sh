#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# export= selects disks by their names; and what cannot be given with dir=.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/dir-functions.sh
. "$srcdir/dir-functions.sh"

for name in web-1 web-2 db-1; do
  make_disk "$name" monolithicSparse
done
lists dir="$DIR" 'db-1.vmdk web-1.vmdk web-2.vmdk'
lists dir="$DIR" 'web-1.vmdk web-2.vmdk' export='web-*'
lists dir="$DIR" 'db-1.vmdk web-1.vmdk' export='*-1.vmdk'
lists dir="$DIR" 'db-1.vmdk' export='[!w]*'
lists dir="$DIR" 'web-2.vmdk' export='web-2.vmdk'

"$PYTHON" - <<'END'
import os
from exports import Exports

folder = "dir=" + os.environ["DIR"]
server = Exports(folder, "export=web-*", options=["-r"])
server.connect("web-1.vmdk").pread(512, 0)
server.refuses("db-1.vmdk", "does not match export=web-*")
server.refuses("none.vmdk", "does not match export=web-*")
server.refuses("web-3.vmdk", "there is no disk")
server.refuses("")
server.stop()
# What is not selected does not count for the default either.
server = Exports(folder, "export=db*", options=["-r"])
server.connect("").pread(512, 0)
server.stop()
for pattern in "", "*.raw":
    server = Exports(folder, "export=" + pattern, options=["-r"])
    assert not server.names()
    server.refuses("db-1.vmdk", "does not match")
    server.stop()
END

disk=$DIR/db-1.vmdk
refuses 'dir= and file= contradict' vmdk "$disk" dir="$DIR"
refuses 'dir= and parent= contradict' vmdk dir="$DIR" parent="$disk"
refuses 'dir= and create=true contradict' vmdk dir="$DIR" create=true \
  create-size=1M
refuses 'create-size= needs create=true' vmdk dir="$DIR" create-size=1M
refuses 'dir= was given twice' vmdk dir="$DIR" dir="$DIR"
refuses 'export= was given twice' vmdk dir="$DIR" export=a export=b
refuses 'export= needs dir=' vmdk "$disk" export='*'
refuses 'allowed folder .*/none: No such file' vmdk dir="$DIR" \
  allow-dir="$TMP/none"
