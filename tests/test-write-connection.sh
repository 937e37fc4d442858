#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# What a client learns of a disk that can be written; and that a client that
# writes nothing changes nothing.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

# state: names, content and sizes of the disk's files.
state ()
{
  (cd "$TMP/disk" && sha256sum -- *)
}

# check KIND [OPTION OF MKVMDK...]
check ()
{
  local before after

  make_image "$@"
  before=$(state)
  "$PYTHON" - <<'END'
import os
from writing import Model, Server

model = Model.load()
server = Server(os.environ["IMAGE"])
h, second = server.connect(), server.connect()
for c in (h, second):
    assert not c.is_read_only()
    assert c.can_flush()
    assert c.can_fua()
    assert c.can_zero()
    assert c.can_fast_zero()
    assert c.can_trim()
    assert c.can_multi_conn()
    assert c.can_cache()
    assert "read-only" not in c.get_export_description()
# A flush is no change.
h.flush()
model.check(second)
h.shutdown()
second.flush()
second.shutdown()
server.stop()
assert "error" not in server.messages(), server.messages()

# Nobody came.
Server(os.environ["IMAGE"]).stop()

server = Server(os.environ["IMAGE"], options=["-r"])
h = server.connect()
assert h.is_read_only()
assert h.can_multi_conn()
assert "read-only" not in h.get_export_description()
model.check(h)
h.shutdown()
server.stop()
END
  after=$(state)
  [ "$after" = "$before" ] || fail "$*: a file has changed"
}

check monolithicSparse --size=3M
check monolithicSparse --size=3M --sparse-gd --zeroed --version=2
check twoGbMaxExtentSparse --size=5M --extent-size=1800s
check monolithicFlat --size=3M
check vmfsSparse --size=3M
check vmfsSparse --size=3M --fill=empty
check custom --extents=SPARSE:1M,FLAT:1M,ZERO:1M,VMFSSPARSE:1M
