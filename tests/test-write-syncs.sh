#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The number of syncs of a file: at most two for a flush that follows writes into
# new grains, one if these were there before, none if nothing was written, and none
# for reading; FUA likewise; one at the beginning, and one at the end.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires_strace
export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

# The servers of this test are traced.
mkdir "$TMP/bin"
cat >"$TMP/bin/nbdkit" <<END
#!/bin/sh
exec strace -D -f -y -o '$TMP/strace' -e trace=fdatasync,fsync,sync_file_range \\
  '$top_builddir/nbdkit' "\$@"
END
chmod +x "$TMP/bin/nbdkit"
export TRACE="$TMP/strace"

# check KIND [OPTION OF MKVMDK...]
check ()
{
  make_image "$@" --fill=empty
  PATH="$TMP/bin:$PATH" "$PYTHON" - "$TMP/disk/" <<'END'
import collections
import os
import re
import sys
import nbd
from writing import Model, Server

folder = sys.argv[1]


def syncs():
    """How often each file has been synced up to now."""
    found = collections.Counter()
    with open(os.environ["TRACE"], encoding="ascii") as f:
        for line in f:
            m = re.search(r"sync\w*\(\d+<([^>]*)>", line)
            if m and m.group(1).startswith(folder):
                found[m.group(1)] += 1
    return found


def most(limit, function, *args):
    """It syncs no file more often than that.  It can be seen at once: strace
    writes the line before the call returns."""
    before = syncs()
    function(*args)
    after = syncs()
    n = max([after[k] - before[k] for k in after], default=0)
    print(function, n)
    assert n <= limit, (function, args, n)
    return n


def fill():
    for i in range(300):
        model.write(h, 5000, i * 9000)


model = Model.load()
server = Server(os.environ["IMAGE"])
h = server.connect()

# The first change syncs what a server before may have left, and the new
# content ID; no other does.
most(0, h.pread, 65536, 0)
most(2, model.write, h, 100, 100)
most(0, model.write, h, 100, 100)
most(2, h.flush)

most(0, model.check, h)
most(0, h.cache, 100000, 0)
most(0, fill)
assert most(2, h.flush) >= 1
most(0, model.check, h)
# Nothing has been written since.
most(0, h.flush)
# No new grains.
most(0, fill)
assert most(1, h.flush) == 1
FUA = nbd.CMD_FLAG_FUA
most(2, model.write, h, 200000, 3000000, FUA)
assert most(1, model.write, h, 200000, 3000000, FUA) == 1
most(2, model.zero, h, 500000, 3000000, FUA)
most(2, model.trim, h, 500000, 0, FUA)
most(0, model.zero, h, 500000, 200000)
most(2, h.flush)
# The flush has given back the storage of what was freed.
most(1, h.flush)
most(0, h.flush)
most(0, model.check, h)


def end():
    h.shutdown()
    server.stop()


# The end syncs that the file was closed cleanly.
most(1, end)
# Opening to write and closing again.
server = Server(os.environ["IMAGE"])
h = server.connect()
model.check(h)
h.shutdown()
server.stop()
assert max(syncs().values(), default=0) <= 1, syncs()
END
}

check monolithicSparse --size=5M
check monolithicSparse --size=5M --grain=8 --gtes=128 --zeroed
check twoGbMaxExtentSparse --size=5M --extent-size=2M
check vmfsSparse --size=5M
check monolithicFlat --size=5M
