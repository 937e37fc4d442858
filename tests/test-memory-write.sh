#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Writes of many clients to fresh grains, which must be filled from the parent,
# take no memory for all of these grains, however large they are.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"

skip_if_valgrind "it takes memory of its own"
skip_if_sanitizers "they take memory of their own"
requires nbdsh -c 'import struct'

mkdir "$TMP/disk"
mkvmdk --size=1G --fill=empty monolithicSparse "$TMP/disk/base.vmdk"
mkvmdk --size=1G --fill=empty --grain=65536 --parent="$TMP/disk/base.vmdk" \
  monolithicSparse "$TMP/disk/top.vmdk"

# Of a server, after a write to each of 'n' grains at once.
peak ()
{
  start_nbdkit -P "$TMP/pid" -U "$TMP/sock" vmdk "$TMP/disk/top.vmdk" \
    cache-size=1M
  "$PYTHON" - "$TMP/sock" "$1" <<'END'
import nbd, sys
h = nbd.NBD()
h.connect_unix(sys.argv[1])
buf = nbd.Buffer.from_bytearray(bytearray(b"x" * 512))
cookies = [h.aio_pwrite(buf, (i << 25) + 12345)
           for i in range(int(sys.argv[2]))]
while cookies:
    cookies = [c for c in cookies if not h.aio_command_completed(c)]
    if cookies:
        h.poll(-1)
h.shutdown()
END
  used=$(awk '$1 == "VmHWM:" { print $2 }' "/proc/$(cat "$TMP/pid")/status")
  stop_nbdkit "$TMP/pid"
  rm -f "$TMP/pid" "$TMP/sock"
}

peak 0
base=$used
peak 16
echo "$used KiB, $base KiB without"
[ "$used" -lt $((base + 16 * 1024)) ]
