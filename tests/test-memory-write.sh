#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Writes take little memory: those of many clients to fresh grains, which must be
# filled from the parent, not that of all these grains, however large they are;
# and those to far places of a disk not that of all directories in between.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"

skip_if_valgrind "it takes memory of its own"
skip_if_sanitizers "they take memory of their own"
requires nbdsh -c 'import struct'

mkdir "$TMP/disk"
mkvmdk --size=1G --fill=empty monolithicSparse "$TMP/disk/base.vmdk"
mkvmdk --size=1G --fill=empty --grain=65536 --parent="$TMP/disk/base.vmdk" \
  monolithicSparse "$TMP/disk/top.vmdk"

# memory FIELD DISK N STEP: of a server, after N writes of a sector, one each STEP
# bytes, 16 at once.  FIELD is VmHWM for the peak, or VmRSS.
memory ()
{
  start_nbdkit -P "$TMP/pid" -U "$TMP/sock" vmdk "$TMP/disk/$2.vmdk" \
    cache-size=1M
  "$PYTHON" - "$TMP/sock" "$3" "$4" <<'END'
import nbd, sys
h = nbd.NBD()
h.connect_unix(sys.argv[1])
n, step = int(sys.argv[2]), int(sys.argv[3])
buf = nbd.Buffer.from_bytearray(bytearray(b"x" * 512))
for first in range(0, n, 16):
    cookies = [h.aio_pwrite(buf, i * step + 12345)
               for i in range(first, min(first + 16, n))]
    while cookies:
        cookies = [c for c in cookies if not h.aio_command_completed(c)]
        if cookies:
            h.poll(-1)
h.shutdown()
END
  used=$(awk -v field="$1:" '$1 == field { print $2 }' \
    "/proc/$(cat "$TMP/pid")/status")
  stop_nbdkit "$TMP/pid"
  rm -f "$TMP/pid" "$TMP/sock"
}

memory VmHWM top 0 0
base=$used
memory VmHWM top 16 $((32 << 20))
echo "$used KiB, $base KiB without"
[ "$used" -lt $((base + 16 * 1024)) ]

# 4 Mi tables, and so two directories of 16 MiB.  Before the first write they are
# checked, which takes memory only then.
mkvmdk --size=256G --fill=empty --grain=1 --gtes=128 --sparse-gd \
  monolithicSparse "$TMP/disk/far.vmdk"
memory VmRSS far 0 0
base=$used
memory VmRSS far 1024 $((256 << 20))
echo "$used KiB, $base KiB without"
[ "$used" -lt $((base + 16 * 1024)) ]
