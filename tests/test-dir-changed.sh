#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A file that becomes a snapshot without a change to the folder is noticed
# before its parent could be written.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/dir-functions.sh
. "$srcdir/dir-functions.sh"

make_disk base monolithicSparse
make_child snap monolithicSparse base
mv "$DIR/snap.vmdk" "$TMP/child"
make_disk snap monolithicSparse
# So that the folder would be thought to be known.
touch -d '1 hour ago' "$DIR"
sleep 5

"$PYTHON" - <<'END'
import os
from exports import Exports, load

server = Exports("dir=" + os.environ["DIR"])
h = server.connect("base.vmdk")
assert not h.is_read_only()
h.shutdown()
with open(os.environ["DIR"] + "/snap.vmdk", "r+b") as f:
    child = load(os.environ["RAWS"] + "/child")
    f.truncate(len(child))
    f.write(child)
server.refuses("base.vmdk", "there is no disk that is called 'base.vmdk'")
h = server.connect("snap.vmdk")
h.shutdown()
server.stop()
END
