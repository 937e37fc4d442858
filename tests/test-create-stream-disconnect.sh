#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The last writer that goes completes the stream: it is there while the server
# still runs, others can read it then, and cannot write to it.  Who did not
# write, or went while others stayed, completes nothing.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/create-functions.sh
. "$srcdir/create-functions.sh"

make_raw $(((9 << 20) + 512))
start_stream $(((9 << 20) + 512))
nbdinfo "$uri"
nothing_visible
"$PYTHON" - "$uri" <<'END'
import os, sys
import nbd
from writing import connect, read

uri = sys.argv[1]
with open(os.environ["RAW"], "rb") as f:
    raw = f.read()
middle = 4 << 20
first, second, reader = connect(uri), connect(uri), connect(uri)
assert first.can_multi_conn()
first.pwrite(raw[:middle], 0)
second.pwrite(raw[middle:], middle)
# Each sees what the others have written.
for h in first, second, reader:
    assert read(h, len(raw), 0) == raw
first.shutdown()
assert os.listdir(os.environ["FOLDER"]) == [] or \
    not os.path.exists(os.environ["STREAM"])
assert read(second, len(raw), 0) == raw
reader.shutdown()
second.shutdown()
END
for ((i = 0; i < 600; i++)); do
  [ ! -e "$STREAM" ] || break
  sleep 0.1
done
check_stream
sum=$(sha256sum "$STREAM")

"$PYTHON" - "$uri" <<'END'
import os, sys
import nbd
from writing import connect, read

h = connect(sys.argv[1])
with open(os.environ["RAW"], "rb") as f:
    raw = f.read()
assert read(h, len(raw), 0) == raw
if not h.is_read_only():
    try:
        h.pwrite(b"x" * 512, 0)
    except nbd.Error as e:
        assert e.errno in ("EPERM", "EROFS", "EIO"), e
    else:
        raise AssertionError("a finished stream was written to")
assert read(h, len(raw), 0) == raw
h.shutdown()
END
end_stream
[ "$(sha256sum "$STREAM")" = "$sum" ]
check_stream
