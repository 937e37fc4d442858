#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The file system is full: the client hears of it, and nothing is left that
# could be taken for a stream, in the folder or of its space.  What fits is
# written, and nothing else.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/create-functions.sh
. "$srcdir/create-functions.sh"

mkdir "$TMP/small"
mount -t tmpfs -o size=12m tmpfs "$TMP/small" ||
  skip "a small file system cannot be mounted"
cleanup_fn umount -l "$TMP/small"
FOLDER=$TMP/small/disk
STREAM=$FOLDER/new.vmdk

free_space ()
{
  stat -f -c %a "$TMP/small"
}

# random_raw MIB: that cannot be compressed.
random_raw ()
{
  "$PYTHON" -c 'import random, sys
sys.stdout.buffer.write(random.Random(1).randbytes(int(sys.argv[1]) << 20))' \
    "$1" >"$RAW"
}

free=$(free_space)
random_raw 40
for cache in 64M 2M; do
  create_stream 40M cache-size=$cache
  # shellcheck disable=SC2016
  if nbdkit -U - vmdk "${create[@]}" --run 'nbdcopy --flush "$RAW" "$uri"' \
    2>"$TMP/log"; then
    cat "$TMP/log"
    fail "nbdcopy wrote 40 MiB to 12"
  fi
  cat "$TMP/log"
  grep -i 'no space left' "$TMP/log"
  nothing_left
  rmdir "$FOLDER"
  now=$(free_space)
  [ "$now" -ge $((free - 1)) ] || fail "space is missing"
done

# Backwards, so that everything waits.
create_stream 40M cache-size=2M
"$PYTHON" - "${create[@]}" <<'END'
import errno, os, sys
import nbd
from writing import Server

with open(os.environ["RAW"], "rb") as f:
    raw = f.read()
server = Server(sys.argv[1], *sys.argv[2:])
h = server.connect()
heard = False
for i in reversed(range(40)):
    try:
        h.pwrite(raw[i << 20:(i + 1) << 20], i << 20)
    except nbd.Error as e:
        assert e.errnum in (errno.ENOSPC, errno.EIO), e
        heard = True
        break
try:
    h.flush()
except nbd.Error as e:
    assert e.errnum in (errno.ENOSPC, errno.EIO), e
assert heard
h.shutdown()
server.stop()
messages = server.messages()
print(messages)
assert "No space left" in messages, messages
END
nothing_left

# A grain of which only a part fits, and that becomes zeroes when there is
# space again, leaves nothing in the finished file.
random_raw 1
create_stream 1M
"$PYTHON" - "${create[@]}" <<'END'
import os, sys
import nbd
from writing import Server

small = os.path.dirname(os.environ["FOLDER"])
filler = small + "/filler"
with open(os.environ["RAW"], "r+b") as f:
    raw = f.read(131072)
    f.truncate(65536)
    f.truncate(1 << 20)
server = Server(sys.argv[1], *sys.argv[2:])
h = server.connect()
h.pwrite(raw[:65536], 0)
left = os.statvfs(small)
with open(filler, "wb") as f:
    f.write(bytes(left.f_bavail * left.f_bsize - 20480))
try:
    h.pwrite(raw[65536:], 65536)
    sys.exit("64 KiB were written to 20")
except nbd.Error as e:
    print(e)
os.unlink(filler)
h.zero(65536, 65536)
h.flush()
h.shutdown()
server.stop()
print(server.messages())
END
check_stream

# What is too much uncompressed fits.
make_raw $((60 << 20)) 1
"$PYTHON" -c 'print("the same words again\n" * 2000000)' |
  dd of="$RAW" conv=notrunc iflag=fullblock bs=1M status=none
copy_in
check_stream
