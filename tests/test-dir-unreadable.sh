#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A file that cannot be read may be a snapshot of any disk of the folder: none is
# written, and all can be read.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/dir-functions.sh
. "$srcdir/dir-functions.sh"
# shellcheck source=tests/failing-disk-functions.sh
. "$srcdir/failing-disk-functions.sh"

make_disk base monolithicSparse
make_child child monolithicSparse base
cksum "$DIR"/* >"$TMP/before"

# write EXPORT: its first sector, as it is.
write ()
{
  # shellcheck disable=SC2016
  nbdkit -U - -e "$1" vmdk dir="$DIR" --run 'nbdsh -u "$uri" -c "
h.pwrite(h.pread(512, 0), 0)
h.flush()"'
}

"$PYTHON" -c "from failing_disk import *; fail(('pread', 'child.vmdk'))"
fails write base.vmdk 2>"$TMP/log"
grep 'child.vmdk' "$TMP/log" | grep 'can be written'
cksum "$DIR"/* | diff - "$TMP/before"
# shellcheck disable=SC2016
nbdkit -r -U - -e base.vmdk vmdk dir="$DIR" --run 'nbdsh -u "$uri" -c "
h.pread(512, 0)"'

: >"$FAILING_DISK"
fails write base.vmdk 2>"$TMP/log"
grep 'there is no disk' "$TMP/log"
write child.vmdk
