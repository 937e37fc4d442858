#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# COWD: ESX snapshots and the growable disks of Workstation 3.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

for grain in 1 2 16 128 2048; do
  try vmfsSparse --size=20M --grain=$grain
  try vmfsSparse --size=7777s --grain=$grain --fill=every-other
  try vmfsSparse --size=20M --grain=$grain --bare
done
try vmfsSparse --size=20M --shuffle --fill=full
try vmfsSparse --size=20M --fill=empty
try vmfsSparse --size=12M --grain=2 --old-cowd
try vmfsSparse --size=12M --grain=8 --old-cowd --bare
try custom --extents=VMFSSPARSE:3M:1,SPARSE:5M:16,VMFSSPARSE:4001s:4
