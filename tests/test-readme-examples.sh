#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The shell examples of README.md run as they are printed, but for those that
# the text marks as not run.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"

requires_nbdcopy
requires_nbdinfo
requires_qemu_img
requires_guestfish

make_partitioned_disk "$TMP/disk.raw"
mkdir "$TMP/run"
mkvmdk --from="$TMP/disk.raw" twoGbMaxExtentSparse "$TMP/run/disk.vmdk"

# The ```sh blocks.  A comment "<!-- not run by tests: WHY -->" before a block
# excludes it.
awk -v dir="$TMP" '
  /^<!-- not run by tests: .* -->$/ { excluded = 1 }
  /^```sh$/ {
    if (!excluded)
      file = sprintf ("%s/example%02d", dir, ++n)
    excluded = 0
    next
  }
  /^```$/ { file = "" }
  file != "" { print >file }' "$top_srcdir/README.md"

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
[ "$n" -ge 4 ]

# What they were to do, they did.
grep -h 'Hello from a file in a VMDK' "$TMP"/example*.out
cmp disk.raw "$TMP/disk.raw"
qemu-img compare disk.qcow2 "$TMP/disk.raw"
grep -h 'hole,zero' "$TMP"/example*.out
grep -h '^export="disk.vmdk":$' "$TMP"/example*.out
