#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A flat file that is cut short while it is served: what is gone is an error,
# not a hole of zeroes.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

make_image monolithicFlat --size=8M --fill=full
start_nbdkit -P "$TMP/pid" -U "$TMP/sock" vmdk "$IMAGE"
truncate -s 1M "$TMP"/disk/disk-flat.vmdk
uri="nbd+unix:///?socket=$TMP/sock"

nbdinfo --map "$uri" >"$OUT.map"
cat "$OUT.map"
fails grep hole "$OUT.map"
nbdsh -u "$uri" -c 'h.pread(1048576, 0)' -c '
try:
    h.pread(65536, 4 << 20)
    raise SystemExit("this was read, but is not there")
except nbd.Error as e:
    assert e.errno == "EIO", e
'
