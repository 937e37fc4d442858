#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The first change after opening gives the disk a new content ID, and nothing else
# does; all other lines of the descriptor stay as they are; changed block
# tracking ends; and snapshots made before are refused.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

# shellcheck source=tests/chain-functions.sh
. "$srcdir/chain-functions.sh"

export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

# check [MORE]: $IMAGE.
check ()
{
  "$PYTHON" - "$@" <<'END'
import os
import re
import sys
import nbd
from writing import Server

image = os.environ["IMAGE"]


def descriptor():
    with open(image, "rb") as f:
        data = f.read(100000)
    if data[:4] in (b"KDMV", b"COWD"):
        at = 512 * int.from_bytes(data[28:36], "little")
        data = data[at:at + 512 * int.from_bytes(data[36:44], "little")]
    return data


def value(key, text):
    """Of the line that counts: the first."""
    m = re.search(rb'^[ \t]*' + re.escape(key) + rb'[ \t]*=[ \t]*"?(\w+)',
                  text, re.M | re.I)
    return m.group(1) if m else None


def without_ids(text):
    """What may not change."""
    lines = text.rstrip(b"\0").splitlines(keepends=True)
    return [line for line in lines
            if not re.match(rb'[ \t]*(CID|ddb\.longContentID|version|'
                            rb'[c#]hangeTrackPath)[ \t]*=', line, re.I)]


def keys(text):
    """The lines' beginnings."""
    text = text.rstrip(b"\0").replace(b"\n#hangeTrack", b"\nchangeTrack")
    return [re.match(rb"\s*[\w.#]*", line).group().lower()
            for line in text.splitlines()]


def changed(old):
    """The content ID is a new one, and all is in order."""
    new = descriptor()
    cid = value(b"CID", new)
    assert re.fullmatch(rb"[0-9a-fA-F]{8}", cid), cid
    assert int(cid, 16) not in (int(value(b"CID", old), 16), 0xffffffff,
                                0xfffffffe)
    if value(b"ddb.longContentID", old):
        full = value(b"ddb.longContentID", new)
        assert full[:24] != value(b"ddb.longContentID", old)[:24]
        assert len(full) == 32 and int(full[24:], 16) == int(cid, 16), full
    assert value(b"parentCID", new) == value(b"parentCID", old)
    assert without_ids(new) == without_ids(old)
    # Lines are where they were.
    assert keys(new) == keys(old)
    if re.search(rb"^changeTrackPath", old, re.M):
        assert value(b"version", new) == b"1"
        assert not re.search(rb"^[ \t]*changeTrackPath", new, re.M | re.I)
    else:
        assert value(b"version", new) == value(b"version", old)
    return new


# A client that reads and flushes.
old = descriptor()
server = Server(image)
h, other = server.connect(), server.connect()
h.pread(70000, 0)
h.flush()
assert descriptor() == old

# The first change, before it is flushed, and not again.
h.pwrite(b"change", 70000)
new = changed(old)
h.pwrite(b"change", 140000, nbd.CMD_FLAG_FUA)
other.zero(100000, 50000)
h.trim(65536, 65536)
other.flush()
assert descriptor() == new
h.shutdown()
other.shutdown()
server.stop()
assert descriptor() == new
if len(sys.argv) == 1:
    sys.exit()

# Each kind of change, after the next opening; -r is none.
for change in (lambda h: h.pwrite(b"x", 0),
               lambda h: h.zero(1, 0),
               lambda h: h.trim(65536, 0)):
    server = Server(image, options=["-r"])
    server.connect().shutdown()
    server.stop()
    assert descriptor() == new
    server = Server(image)
    h = server.connect()
    change(h)
    h.flush()
    new = changed(new)
    h.shutdown()
    server.stop()
END
}

# The descriptor is inside the file or a file of its own, by turns.
kinds=(monolithicSparse monolithicFlat)
n=0
dialects=$(mkvmdk --list-dialects | cut -f 1)
for dialect in $dialects; do
  make_image "${kinds[n++ % 2]}" --size=1M --dialect="$dialect"
  check
done
[ $n -gt 30 ]
for kind in monolithicSparse twoGbMaxExtentSparse monolithicFlat vmfs \
  vmfsSparse "monolithicSparse --separate-descriptor"; do
  # shellcheck disable=SC2086
  make_image $kind --size=1M
  check more
done

# The descriptor must become longer: another file takes its place.
for kind in monolithicFlat twoGbMaxExtentSparse vmfsSparse; do
  make_image $kind --size=1M
  sed -i 's/^CID=.*/CID=1/' "$IMAGE"
  chmod 640 "$IMAGE"
  files=$(ls -A "$TMP/disk")
  check more
  [ "$(stat -c %a "$IMAGE")" = 640 ]
  [ "$(ls -A "$TMP/disk")" = "$files" ] || fail "a file is left over"
done

# A snapshot that was made before is refused, one of the state after it not.
for kind in monolithicSparse twoGbMaxExtentSparse monolithicFlat vmfsSparse; do
  make_base $kind --size=3M
  make_child monolithicSparse --size=3M
  # A writer that writes nothing.
  # shellcheck disable=SC2016
  nbdkit -U - vmdk "$TMP/disk/base.vmdk" --run 'nbdsh -u "$uri" -c "h.flush()"'
  check_image
  # shellcheck disable=SC2016
  nbdkit -U - vmdk "$TMP/disk/base.vmdk" \
    --run 'nbdsh -u "$uri" -c "h.pwrite(b\"x\", 0)"'
  refuses 'content ID|CID' vmdk "$IMAGE"
  nbdkit -r -U - vmdk "$IMAGE" ignore-cid=true --run true
  rm "$IMAGE"
  make_child monolithicSparse --size=3M
  nbdkit -r -U - vmdk "$IMAGE" --run true
done
