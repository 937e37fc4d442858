#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Disks of each kind but streams, of many sizes: they are created, written and
# read again, and others find them in order.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires_qemu_img
requires vmdkinfo -V
requires qemu-io --version

export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

# write_and_read SIZE TYPE: both ends, the middle and the borders of extents.
write_and_read ()
{
  "$PYTHON" - "$@" <<'END'
import os
import sys
from writing import Server, read, rng

image, size = os.environ["IMAGE"], int(sys.argv[1])
server = Server(image, "create=true", "create-type=" + sys.argv[2],
                f"create-size={size}")
h = server.connect()
assert h.get_size() == size
assert not h.is_read_only()
pieces = {}
MIB = 1 << 20
for at in (0, size // 2 - 300, 2047 * MIB - 70000, 4094 * MIB - 5,
           size - 70001):
    at = max(at, 0)
    data = rng.randbytes(max(min(70001, size - at), 0))
    if data and not any(at < end and start < at + len(data)
                        for start, end in pieces):
        h.pwrite(data, at)
        pieces[at, at + len(data)] = data
h.flush()
h.shutdown()
server.stop()
server = Server(image, options=["-r"])
h = server.connect()
assert h.get_size() == size
for (start, end), data in pieces.items():
    assert read(h, end - start, start) == data
h.shutdown()
server.stop()
# What the whole disk holds.
with open(os.environ["MODEL"], "wb") as f:
    f.truncate(size)
    for (start, _), data in pieces.items():
        f.seek(start)
        f.write(data)
END
}

# check SIZE TYPE CREATETYPE
check ()
{
  local line

  rm -rf "$TMP/disk"
  mkdir "$TMP/disk"
  write_and_read "$1" "$2"
  grep -a "^createType=\"$3\"" "$IMAGE"
  vmdkinfo "$IMAGE" >"$TMP/vmdkinfo"
  line=$(sed -n 's/.*Media size.*[( ]\([0-9]*\) bytes.*/\1/p' "$TMP/vmdkinfo")
  [ "$line" = "$1" ] || { cat "$TMP/vmdkinfo"; fail "$line bytes"; }
  # QEMU compares neither 2 TiB quickly nor a large flat file, of which it does
  # not ask where the holes are.
  case $1,$2 in
    2199*,monolithic-flat | 4294967808,monolithic-flat | \
      4294967808,vmfs-flat | 4294967808,vmfs-thin)
      "$PYTHON" "$srcdir/compare-sparse.py" "$TMP/disk/disk-flat.vmdk" "$MODEL"
      ;;
    2199*) ;;
    *) qemu-img compare -q -f vmdk -F raw "$IMAGE" "$MODEL" ;;
  esac
  [ "$2" = vmfs-sparse ] || qemu-img check -q "$IMAGE"
  # QEMU cannot make grain tables.
  case $2 in
    *-sparse) [ "$2" != vmfs-sparse ] || return 0 ;;
  esac
  qemu-io -f vmdk -c "write -P 7 0 512" -c "read -P 7 0 512" "$IMAGE" \
    >"$TMP/qemu-io"
  ! grep -i fail "$TMP/qemu-io" || fail "qemu-io cannot write"
}

# check_sizes TYPE CREATETYPE
check_sizes ()
{
  local size

  for size in 512 1049088 2147483136 4294967808; do
    # Where there are no grains, no size but those near a limit matters.
    case $size,$1 in 1049088,*flat | 1049088,vmfs-thin) continue ;; esac
    check $size "$1" "$2"
  done
}

check_sizes monolithic-sparse monolithicSparse
check 1048576 monolithic-sparse monolithicSparse
check 2147483648 MonolithicSparse monolithicSparse
check 2199023255552 monolithic-sparse monolithicSparse
check_sizes split-sparse twoGbMaxExtentSparse
check 2146435072 twoGbMaxExtentSparse twoGbMaxExtentSparse
check_sizes monolithic-flat monolithicFlat
check 2199023255552 monolithic-flat monolithicFlat
check_sizes split-flat twoGbMaxExtentFlat
check_sizes vmfs-flat vmfs
check_sizes vmfs-thin vmfs
check_sizes vmfs-sparse vmfsSparse
check 2199023255040 vmfs-sparse vmfsSparse
