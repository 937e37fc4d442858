#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Two lines of a descriptor that have bytes of one file or device, by whatever
# names, are read, and not written.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

# check FILE OFFSET FILE OFFSET PARAMETER...: two lines of 8 sectors.
check ()
{
  cat >"$TMP/in/disk.vmdk" <<END
# Disk DescriptorFile
version=1
CID=12345678
parentCID=ffffffff
createType="custom"
RW 8 FLAT "$1" $2
RW 8 FLAT "$3" $4
END
  "$PYTHON" - "$TMP/in/disk.vmdk" "${@:5}" <<'END'
import sys
from writing import Server

server = Server(*sys.argv[1:])
h = server.connect()
h.pread(16 * 512, 0)
print("read-only" if h.is_read_only() else "writable",
      h.get_export_description())
h.shutdown()
server.stop()
END
}

reason="two lines of the descriptor have the same bytes"
mkdir "$TMP/in"
truncate -s 1M "$TMP/in/raw"
ln "$TMP/in/raw" "$TMP/in/other"
ln -s raw "$TMP/in/link"
check raw 0 raw 8 | grep '^writable '
check raw 0 other 8 | grep '^writable '
check raw 0 raw 7 | grep "^read-only .*$reason"
check raw 0 other 0 | grep "^read-only .*$reason"
check raw 9 link 2 | grep "^read-only .*$reason"

device=$(losetup -f --show "$TMP/in/raw" 2>/dev/null) || exit 0
cleanup_fn losetup -d "$device"
major_minor=$(stat -c '0x%t 0x%T' "$device")
# shellcheck disable=SC2086
if mknod "$TMP/in/node" b $major_minor 2>/dev/null &&
  cmp -n 4096 "$TMP/in/node" "$TMP/in/raw" 2>/dev/null; then
  check "$device" 0 node 8 allow-dir=/ | grep '^writable '
  check "$device" 0 node 7 allow-dir=/ | grep "^read-only .*$reason"
fi
