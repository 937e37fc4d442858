#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Files may not become larger than a limit (ulimit -f): writes that would need
# that are refused, and the server goes on and loses nothing.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires_nbdsh
export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

check ()
{
  make_image "$@" --fill=empty
  (
    ulimit -f 4096
    "$PYTHON" - <<'END'
import errno
import os
import nbd
from writing import Model, Server

STEP = 300000
model = Model.load()
server = Server(os.environ["IMAGE"])
h = server.connect()
refused = 0
for at in range(0, model.size - STEP, STEP):
    try:
        model.write(h, STEP, at)
    except nbd.Error as e:
        assert e.errnum in (errno.ENOSPC, errno.EFBIG), e
        refused += 1
        # Each sector is old or new.
        model.data[at:at + STEP] = h.pread(STEP, at)
assert 0 < refused < model.size // STEP - 8, refused
h.flush()
model.check(h)
model.write(h, 5000, 1000)
h.shutdown()
server.stop()
server = Server(os.environ["IMAGE"], options=["-r"])
model.check(server.connect())
server.stop()
END
  )
}

check monolithicSparse --size=8M
check twoGbMaxExtentSparse --size=16M --extent-size=8M
check vmfsSparse --size=8M

# What nbdkit runs is ended by the signal as ever.
make_image monolithicSparse --size=1M
(
  ulimit -f 1024
  # shellcheck disable=SC2016
  nbdkit -U - vmdk "$IMAGE" \
    --run 'head -c 2000000 /dev/zero >"$OUT"; [ $? -gt 128 ]'
)
