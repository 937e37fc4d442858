#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Every example of the manual page runs as it is printed.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"

requires_nbdcopy
requires_nbdinfo
requires_nbdsh
requires_qemu_img
requires_filter cow
requires_filter partition
requires_guestfish
requires jq --version

make_partitioned_disk "$TMP/disk.raw"

# The disks that the examples name.
mkdir "$TMP/run" "$TMP/run/vm" "$TMP/run/datastore"
mkvmdk --from="$TMP/disk.raw" monolithicSparse "$TMP/run/disk.vmdk"
mkvmdk --from="$TMP/disk.raw" monolithicFlat "$TMP/run/vm/disk.vmdk"
mv "$TMP"/run/vm/disk-flat.vmdk "$TMP/run/datastore"
sed -i 's,"disk-flat,"../datastore/disk-flat,' "$TMP/run/vm/disk.vmdk"

# Each verbatim paragraph is one example.
awk -v dir="$TMP" '
  /^=head1 / { examples = ($2 == "EXAMPLES"); file = "" }
  !examples { next }
  /^ / {
    if (file == "")
      file = sprintf ("%s/example%02d", dir, ++n)
    print substr ($0, 2) >file
    next
  }
  { file = "" }' "$top_srcdir/nbdkit-vmdk-plugin.pod"

cd "$TMP/run"
n=0
for example in "$TMP"/example*; do
  cat "$example"
  bash -eu "$example" >"$example.out" 2>&1 || {
    cat "$example.out"
    fail "the example failed"
  }
  cat "$example.out"
  n=$((n + 1))
done
[ "$n" -gt 0 ]

# What they were to do, they did.
cmp disk.img "$TMP/disk.raw"
cmp chosen.img "$TMP/disk.raw"
grep -h '^export="disk.vmdk":$' "$TMP"/example*.out
qemu-img compare disk.qcow2 "$TMP/disk.raw"
qemu-img info --output=json new.vmdk | jq -e '."virtual-size" == 21474836480'
qemu-img compare new.vmdk "$TMP/disk.raw"
"$PYTHON" "$srcdir/check-stream.py" stream.vmdk
qemu-img compare stream.vmdk "$TMP/disk.raw"
qemu-img map --output=json child.vmdk | jq -e '.[0].depth == 0'
grep -h '^/dev/sda1: ext4$' "$TMP"/example*.out
grep -h -x $((15 * 1024 * 1024)) "$TMP"/example*.out
[ "$(grep -h -x -c $((16 * 1024 * 1024)) "$TMP"/example*.out |
  awk '{ n += $1 } END { print n }')" -eq 2 ]
