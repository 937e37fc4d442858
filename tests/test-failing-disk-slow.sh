#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A disk that answers very late: those who read compressed grains of another
# image do not wait for it; and first changes that wait for such a read are given
# up together.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/failing-disk-functions.sh
. "$srcdir/failing-disk-functions.sh"

skip_if_valgrind "it is too slow for these times"

# other OPTION... PARAMETER: of two streams, of which the one that is made with
# the options is slow.  PARAMETER may be empty.
other ()
{
  rm -rf "$TMP/disk"
  mkdir "$TMP/disk"
  mkvmdk --fill=full --data=random "${@:1:$# - 1}" streamOptimized \
    "$TMP/disk/slow.vmdk"
  mkvmdk --size=1M --fill=full streamOptimized "$TMP/disk/fast.vmdk"
  serve_logged -r vmdk dir="$TMP/disk" ${@:$#}
  "$PYTHON" - "$TMP/sock" <<'END'
import sys
import time
import nbd
from failing_disk import fail


def connect(name):
    h = nbd.NBD()
    h.set_export_name(name)
    h.connect_unix(sys.argv[1])
    return h


slow, fast = connect("slow.vmdk"), connect("fast.vmdk")
grain = slow.get_size() // 8
# What is in the middle of each grain, stored as it is; all else, which is
# markers and tables, can be read in time.
middles = [65536 + grain // 2 + i * grain for i in range(8)]
fail(*(("pread", "slow.vmdk", at, at + 4096, -4000) for at in middles))
cookies = [slow.aio_pread(nbd.Buffer(512), grain * i) for i in range(8)]
# If it has not begun by then, that makes this test see less, not fail.
time.sleep(1)
fast.pread(512, 300000)
# Each call takes a part of a reply.
for _ in range(100):
    slow.poll(0)
left = [c for c in cookies if not slow.aio_command_completed(c)]
assert len(left) > 2, left
fail()
for cookie in left:
    while not slow.aio_command_completed(cookie):
        slow.poll(-1)
END
  stop_logged
}

echo "grains that need more memory than others do together"
other --size=64M --grain=16384 ""
echo "little memory"
other --size=512K cache-size=1M

echo "first changes"
make_image monolithicSparse --size=5M --fill=full
# Not closed cleanly, so that its tables are looked at again.
printf '\1' | dd of="$IMAGE" bs=1 seek=72 conv=notrunc status=none
"$PYTHON" - <<'END'
import os
import time
import nbd
from failing_disk import END, fail
from writing import Server

image = os.environ["IMAGE"]
server = Server(image)
h = server.connect()
fail(("pread", os.path.basename(image), os.path.getsize(image) - 65536, END,
      -45000))
read = h.aio_pread(nbd.Buffer(512), h.get_size() - 512)
time.sleep(1)
buf = nbd.Buffer.from_bytearray(bytearray(512))
writes = [h.aio_pwrite(buf, 65536 * i) for i in range(4)]
ended = None
failed = set()
while len(failed) < len(writes):
    assert ended is None or time.monotonic() < ended + 15, failed
    h.poll(1000)
    for cookie in writes:
        if cookie in failed:
            continue
        try:
            assert not h.aio_command_completed(cookie)
        except nbd.Error:
            failed.add(cookie)
            ended = ended or time.monotonic()
fail()
while not h.aio_command_completed(read):
    h.poll(-1)
# They can be tried again.
h.pwrite(b"x" * 512, 0)
h.flush()
h.shutdown()
server.stop()
assert "has not ended" in server.messages(), server.messages()
END
