#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Children of disks of all kinds, and of chains: they hold what the parent
# holds, what is written to them stays in them, and QEMU sees the same.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/chain-functions.sh
. "$srcdir/chain-functions.sh"

requires_qemu_img
requires vmdkinfo -V
export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

parents ()
{
  (cd "$TMP/disk" && sha256sum -- base*)
}

# add CHILD PARENT TYPE: create it, write to it, and read it in a new server.
# $TMP/base.raw is what the parent holds, and then what the child does.
add ()
{
  "$PYTHON" - "$TMP/disk/$1" "$TMP/disk/$2" "$3" "$TMP/base.raw" <<'END'
import sys
from writing import Model, Server

child, parent, kind, raw = sys.argv[1:]
model = Model.load(raw)
server = Server(child, "create=true", "create-type=" + kind,
                "create-parent=" + parent)
h = server.connect()
model.check(h)
model.write(h, 70000, 100001)
model.write(h, 512, model.size - 512)
model.zero(h, 200000, 300000)
model.write(h, 4096, 350000)
h.flush()
model.check(h)
h.shutdown()
server.stop()
server = Server(child)
h = server.connect()
model.check(h)
h.shutdown()
server.stop()
model.save(raw)
END
}

kinds=(monolithic-sparse split-sparse vmfs-sparse)
n=0
for base in monolithicSparse monolithicFlat twoGbMaxExtentSparse vmfs \
  vmfsSparse seSparse streamOptimized; do
  make_base $base --size=3M
  before=$(parents)
  add child.vmdk base.vmdk "${kinds[n++ % 3]}"
  after=$(parents)
  [ "$after" = "$before" ]
  qemu-img compare -q -f vmdk -F raw "$TMP/disk/child.vmdk" "$TMP/base.raw"
  grep -a '^parentFileNameHint="base.vmdk"' "$TMP/disk/child.vmdk"
done

# A chain, in two folders.
make_base monolithicFlat --size=5M
before=$(parents)
add one.vmdk base.vmdk split-sparse
mkdir "$TMP/disk/below"
mv "$TMP"/disk/base* "$TMP"/disk/one* "$TMP/disk/below"
add two.vmdk below/one.vmdk vmfs-sparse
grep '^parentFileNameHint="below/one.vmdk"' "$TMP/disk/two.vmdk"
add three.vmdk two.vmdk monolithic-sparse
qemu-img compare -q -f vmdk -F raw "$TMP/disk/three.vmdk" "$TMP/base.raw"
after=$(cd "$TMP/disk/below" && sha256sum -- base*)
[ "$after" = "$before" ]

# Names that mean something else to some program, or to the shell.
for name in 'a b.vmdk' 'grüße.vmdk' '-x.vmdk' 'a\b.vmdk' 'p%s.vmdk' \
  'a:b.vmdk' 'nbd:x:y.vmdk' .vmdk no-suffix "it's#1.vmdk" ' blank.vmdk '; do
  rm -rf "$TMP/names"
  mkdir "$TMP/names"
  nbdkit -U - vmdk file="$TMP/names/$name" create=true create-size=3M \
    create-type=split-flat --run true
  nbdkit -U - vmdk "$TMP/names/child.vmdk" create=true \
    create-parent="$TMP/names/$name" --run true
  nbdkit -r -U - vmdk "$TMP/names/child.vmdk" --run 'nbdinfo --size "$uri"'
  qemu-img compare -q -f vmdk -F vmdk "$TMP/names/$name" \
    "$TMP/names/child.vmdk"
done

# The controller and the serial number are the base's, unless others are asked
# for.
for kind in "${kinds[@]}"; do
  rm -rf "$TMP/ide"
  mkdir "$TMP/ide"
  nbdkit -U - vmdk "$TMP/ide/base.vmdk" create=true create-size=1M \
    create-type=monolithic-flat create-adapter-type=ide --run true
  nbdkit -U - vmdk "$TMP/ide/x.vmdk" create=true create-type=$kind \
    create-parent="$TMP/ide/base.vmdk" --run true
  [ "$(grep -a -c '^ddb\.' "$TMP/ide/x.vmdk")" -eq 1 ]
  grep -a '^ddb.longContentID' "$TMP/ide/x.vmdk"
  nbdkit -U - vmdk "$TMP/ide/y.vmdk" create=true create-type=$kind \
    create-parent="$TMP/ide/x.vmdk" create-adapter-type=scsi-buslogic \
    create-hwversion=esx55 --run true
  grep -a '^ddb.adapterType = "buslogic"' "$TMP/ide/y.vmdk"
  grep -a '^ddb.virtualHWVersion = "10"' "$TMP/ide/y.vmdk"
  ! grep -a '^ddb.uuid' "$TMP/ide/y.vmdk" || fail "a serial number"
  qemu-img compare -q -f vmdk -F vmdk "$TMP/ide/y.vmdk" "$TMP/ide/base.vmdk"
  vmdkinfo "$TMP/ide/y.vmdk"
done

# A parent elsewhere has all of its path as its name, and is found again where
# that is permitted.
mkdir "$TMP/other"
nbdkit -U - vmdk "$TMP/other/x.vmdk" create=true \
  create-parent="$TMP/disk/below/base.vmdk" --run 'nbdinfo --size "$uri"'
grep -a "^parentFileNameHint=\"$TMP/disk/below/base.vmdk\"" \
  "$TMP/other/x.vmdk"
nbdkit -U - vmdk "$TMP/other/x.vmdk" allow-dir="$TMP/disk" \
  --run 'nbdinfo --size "$uri"'
refuses allow-dir vmdk "$TMP/other/x.vmdk"
