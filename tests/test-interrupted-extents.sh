#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A check of many extents can be stopped, although none takes long by itself.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/failing-disk-functions.sh
. "$srcdir/failing-disk-functions.sh"

make_image twoGbMaxExtentSparse --size=20M --extent-size=1M
for file in "$TMP"/disk/disk-s*.vmdk; do
  printf '\1' | dd of="$file" bs=1 seek=72 conv=notrunc status=none
done

serve_logged vmdk "$IMAGE"
"$PYTHON" -c "from failing_disk import *
fail(*[('pread', f'disk-s{i:03}.vmdk', 0, END, -1500)
       for i in range(1, 21)])"
nbdsh -c "h.connect_unix('$TMP/sock')" &
client=$!
sleep 1
kill $client
wait $client || :
wait_for logged 1 'tables of all extents: was interrupted'
