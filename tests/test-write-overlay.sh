#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Copy-on-write over chains of all kinds: each part of a grain that is not written
# comes from the right place of the parent, in every extent, and no parent
# changes.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

# shellcheck source=tests/chain-functions.sh
. "$srcdir/chain-functions.sh"

requires_qemu_img
export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

# check QEMU-READS GRAIN KIND [OPTION OF MKVMDK...]: $IMAGE over what is
# in $TMP/disk.
check ()
{
  local sums

  sums=$(cd "$TMP/disk" && sha256sum -- *)
  make_child "${@:3}"
  "$PYTHON" - "$2" <<'END'
import os
import sys
from writing import Model, Server, rng

grain = int(sys.argv[1])
model = Model.load()
server = Server(os.environ["IMAGE"])
h, other = server.connect(), server.connect()
# A few bytes in grains everywhere: the beginning, the middle, the end of a
# grain, and two grains in part.
for at in range(0, model.size - 2 * grain, max(grain, 7 * 65536 + grain)):
    for offset, count in ((0, 3), (grain // 2 - 9, 20), (grain - 5, 5),
                          (grain - 5, 12), (2 * grain - 511, 4)):
        if rng.random() < 0.5:
            model.write(h, count, at + offset)
            model.check(other, 2 * grain + 2000, at - 1000)
for _ in range(60):
    count = rng.choice((1, 512, 5000, 65536, 200000))
    offset = rng.randint(0, model.size - count)
    model.write(h, count, offset)
    model.check(other, count + 70000, offset - 65536)
model.write(h, 1, model.size - 1)
model.check(other)
h.shutdown()
other.shutdown()
server.stop()
assert "error" not in server.messages(), server.messages()

server = Server(os.environ["IMAGE"], options=["-r"])
h = server.connect()
model.check(h)
h.shutdown()
server.stop()
model.save(os.environ["MODEL"])
END
  (cd "$TMP/disk" && sha256sum -c --quiet) <<<"$sums"
  if [ "$1" = qemu ]; then
    qemu-img compare -f vmdk -F raw "$IMAGE" "$MODEL"
    [ "$(head -c 4 "$IMAGE")" != KDMV ] || qemu-img check -f vmdk "$IMAGE"
  fi
  rm "$TMP"/disk/disk*
}

check_children ()
{
  check_some "$1"
  check "$1" 4096 monolithicSparse --size=4001s --grain=8 --gtes=128 \
    --fill=empty
  # A grain is filled in pieces.
  check "$1" 524288 monolithicSparse --size=4001s --grain=1024 --fill=empty
  # QEMU misreads an extent that does not begin at a whole grain.
  check no 8192 twoGbMaxExtentSparse --size=4500s --extent-size=1111s \
    --grain=16 --gtes=256
  check "$1" 4096 vmfsSparse --size=4001s --grain=8
}

check_some ()
{
  check "$1" 65536 monolithicSparse --size=4001s --fill=every-other
  # The second and the third extent.
  check "$1" 65536 twoGbMaxExtentSparse --size=4500s --extent-size=1536s \
    --fill=empty
  check "$1" 512 vmfsSparse --size=4001s --fill=empty
}

make_base monolithicSparse --size=4001s --fill=full
check_children qemu
make_base twoGbMaxExtentSparse --size=4001s --extent-size=1000s --grain=8
check_children qemu
make_base monolithicFlat --size=3333s
check_children no
make_base streamOptimized --size=4001s
check_some no
make_base vmfsSparse --size=4001s
check_some no
make_base seSparse --size=4001s
check_some no

# A chain of four kinds.
make_base monolithicSparse --size=4001s
parent=base
for kind in seSparse vmfsSparse twoGbMaxExtentSparse; do
  mkvmdk --parent="$TMP/disk/$parent.vmdk" --parent-model="$TMP/base.raw" \
    --parent-map="$TMP/base.map" --model="$TMP/next.raw" \
    --map="$TMP/next.map" --size=4001s --seed=5 $kind "$TMP/disk/$kind.vmdk"
  mv "$TMP/next.raw" "$TMP/base.raw"
  mv "$TMP/next.map" "$TMP/base.map"
  parent=$kind
done
check no 65536 monolithicSparse --size=4001s \
  --parent="$TMP/disk/$parent.vmdk"
check no 4096 vmfsSparse --grain=8 --size=4001s \
  --parent="$TMP/disk/$parent.vmdk"
