#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A server that is told to end completes the stream, also one to which clients
# were connected when it was told.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/create-functions.sh
. "$srcdir/create-functions.sh"

make_raw $(((9 << 20) + 512))
create_stream $(((9 << 20) + 512))
"$PYTHON" - "${create[@]}" <<'END'
import os, signal, sys
import nbd
from writing import Server

with open(os.environ["RAW"], "rb") as f:
    raw = f.read()
server = Server(sys.argv[1], *sys.argv[2:])
h = server.connect()
idle = server.connect()
h.pwrite(raw, 0)
server.process.send_signal(signal.SIGTERM)
# nbdkit may close the connections, or wait for them to be closed.
for client in (idle, h):
    try:
        client.shutdown()
    except nbd.Error as e:
        print(e)
server.stop()
print(server.messages())
END
check_stream
