#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# To look for the disks of a folder ends when the client goes away; those who
# have waited meanwhile, and have gone too, do not do it again.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/dir-functions.sh
. "$srcdir/dir-functions.sh"
# shellcheck source=tests/failing-disk-functions.sh
. "$srcdir/failing-disk-functions.sh"

for ((i = 0; i < 40; i++)); do
  mkvmdk --size=1M monolithicSparse "$DIR/$i.vmdk"
done

serve_logged vmdk dir="$DIR"
"$PYTHON" -c "from failing_disk import *
fail(*[('pread', f'{i}.vmdk', 0, END, -1000) for i in range(40)])"
# Also if no client has got any further.
nbdinfo --list "nbd+unix:///?socket=$TMP/sock" &
client=$!
wait_for logged 1 'newstyle negotiation.*NBD_OPT_LIST'
kill "$client"
wait "$client" || :
wait_for logged 1 'was interrupted'

clients=()
for i in 1 2 3; do
  nbdsh -c "h.set_export_name('$i.vmdk'); h.connect_unix('$TMP/sock')" &
  clients+=($!)
done
wait_for logged 3 'debug: vmdk: open'
kill "${clients[@]}"
wait "${clients[@]}" || :
wait_for logged 4 'was interrupted'
[ "$(grep -c 'looking for disks: was interrupted' "$TMP/log")" -eq 2 ]
