#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A disk of which only grains that it has already are written is marked as not
# cleanly closed, too.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

# check FILE KIND [OPTION OF MKVMDK...]
check ()
{
  make_image "${@:2}" --size=1M --fill=full
  "$PYTHON" - "$TMP/disk/$1" <<'END'
import os
import sys
import nbd
from writing import Model, Server, Sparse

model = Model.load()
for change in (lambda h: model.write(h, 100000, 300000),
               lambda h: model.zero(h, 1000, 300000, nbd.CMD_FLAG_NO_HOLE)):
    server = Server(os.environ["IMAGE"])
    h = server.connect()
    assert Sparse(sys.argv[1]).unclean == 0
    change(h)
    assert Sparse(sys.argv[1]).unclean == 1
    h.flush()
    assert Sparse(sys.argv[1]).unclean == 1
    h.shutdown()
    server.stop()
    assert Sparse(sys.argv[1]).unclean == 0
END
}

check disk.vmdk monolithicSparse
check disk-delta.vmdk vmfsSparse
