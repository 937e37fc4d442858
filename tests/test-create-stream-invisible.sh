#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# While it is written there is nothing that could be taken for a finished
# stream; a moment later it is there as a whole, with the usual permissions.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/create-functions.sh
. "$srcdir/create-functions.sh"

make_raw $((9 << 20))
start_stream $((9 << 20))
"$PYTHON" - "$uri" <<'END'
import os, sys
from writing import connect

def visible():
    return [n for n in os.listdir(os.environ["FOLDER"]) if n[0] != "."]

with open(os.environ["RAW"], "rb") as f:
    raw = f.read()
h = connect(sys.argv[1])
assert not visible(), visible()
h.pwrite(raw[:5 << 20], 0)
h.flush()
assert not visible(), visible()
h.pwrite(raw[5 << 20:], 5 << 20)
h.flush()
assert not visible(), visible()
h.shutdown()
END
end_stream
check_stream
# nbdkit itself sets a umask of 022.
[ "$(stat -c %a "$STREAM")" = 644 ]
