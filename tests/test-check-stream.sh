#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The checker of streams accepts what the generator writes in the layout that
# everybody reads, and finds every damage, and QEMU's layout, that is none.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"

requires_qemu_img
export PYTHONDONTWRITEBYTECODE=1

# check [RAW]
check ()
{
  "$PYTHON" "$srcdir/check-stream.py" "$TMP/stream.vmdk" "$@"
}

for size in 1s 3s 128s 129s 3M 64M 100001s; do
  for fill in full edges empty; do
    rm -f "$TMP/stream.vmdk"
    mkvmdk --size=$size --fill=$fill --data=random --model="$TMP/model.raw" \
      streamOptimized "$TMP/stream.vmdk"
    check "$TMP/model.raw"
    check
  done
done

# Another size, or another content.
mkvmdk --size=3M --fill=full --data=random --model="$TMP/model.raw" \
  streamOptimized "$TMP/stream.vmdk"
check "$TMP/model.raw"
truncate -s 4M "$TMP/model.raw"
if check "$TMP/model.raw"; then
  fail "a disk that is too small was accepted"
fi
truncate -s 3M "$TMP/model.raw"
printf x | dd of="$TMP/model.raw" bs=1 seek=2000001 conv=notrunc status=none
if check "$TMP/model.raw" >"$TMP/out"; then
  fail "another content was accepted"
fi
grep 'byte 2000001 of the disk is not as in the raw file' "$TMP/out"

qemu-img convert -f raw -O vmdk -o subformat=streamOptimized \
  "$TMP/model.raw" "$TMP/stream.vmdk"
if check >"$TMP/out"; then
  fail "a stream of QEMU's was accepted"
fi
grep 'flags is 0x30003' "$TMP/out"

mkdir "$TMP/damage"
"$PYTHON" "$srcdir/damage-streams.py" "$srcdir/check-stream.py" "$TMP/damage"
