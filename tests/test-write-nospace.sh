#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The file system is full: the client hears ENOSPC, what was acknowledged stays,
# and what needs no space can still be written.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires_qemu_img
mkdir "$TMP/small"
mount -t tmpfs -o size=12m tmpfs "$TMP/small" ||
  skip "a small file system cannot be mounted"
cleanup_fn umount -l "$TMP/small"

for kind in sparse overlay; do
  rm -f "$TMP"/small/*
  qemu-img create -q -f vmdk "$TMP/small/disk.vmdk" 64M
  IMAGE=$TMP/small/disk.vmdk
  if [ $kind = overlay ]; then
    IMAGE=$TMP/small/child.vmdk
    qemu-img create -q -f vmdk -F vmdk -b disk.vmdk "$IMAGE"
  fi
  start_nbdkit -P "$TMP/pid" -U "$TMP/sock" vmdk "$IMAGE"
  nbdsh -u "nbd+unix:///?socket=$TMP/sock" -c '
h.pwrite(b"a" * (1 << 20), 0)
h.flush()
at = 1 << 20
try:
    while True:
        h.pwrite(b"b" * 262144, at)
        at += 262144
except nbd.Error as e:
    assert e.errno == "ENOSPC", e
assert at >= 8 << 20, at
for i in range(20):
    try:
        h.pwrite(b"c" * 65536, (40 << 20) + i * 65536)
    except nbd.Error as e:
        assert e.errno == "ENOSPC", e
h.pwrite(b"d" * 4096, 4096)
h.flush()
expected = b"a" * 4096 + b"d" * 4096 + b"a" * ((1 << 20) - 8192)
assert h.pread(1 << 20, 0) == expected
assert h.pread(at - (1 << 20), 1 << 20) == b"b" * (at - (1 << 20))
open("'"$TMP/at"'", "w").write(str(at))
'
  stop_nbdkit "$TMP/pid"
  rm "$TMP/sock"
  qemu-img check -f vmdk "$IMAGE"
  nbdkit -U - vmdk "$IMAGE" --run 'nbdsh -u "$uri" -c "
at = int(open(\"'"$TMP/at"'\").read())
assert h.pread(8192, 0) == b\"a\" * 4096 + b\"d\" * 4096
assert h.pread(at - (1 << 20), 1 << 20) == b\"b\" * (at - (1 << 20))
"'
done
