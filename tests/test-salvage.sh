#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A stream that was cut off is refused, and served as far as it goes with
# salvage=true.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

make_image streamOptimized --size=5M --fill=full --data=random
size=$(stat -c %s "$IMAGE")
for keep in 2 3 5 9; do
  cp "$IMAGE" "$TMP/disk/cut.vmdk"
  truncate -s $((size * keep / 10)) "$TMP/disk/cut.vmdk"
  refuses 'salvage=true' vmdk "$TMP/disk/cut.vmdk"
  # shellcheck disable=SC2016
  serve_and "$TMP/disk/cut.vmdk" \
    '"$PYTHON" "$srcdir/check-reads.py" --right-or-error "$uri" "$MODEL" "$MAP"' \
    salvage=true
  # What can be read is what there is room for, and a grain for the rest.
  # shellcheck disable=SC2016
  serve_and "$TMP/disk/cut.vmdk" 'nbdsh -u "$uri" -c "
good = 0
for grain in range(h.get_size() // 65536):
    try:
        h.pread(65536, grain * 65536)
        good += 1
    except nbd.Error:
        break
print(good)
"' salvage=true >"$OUT"
  cat "$OUT"
  [ "$(cat "$OUT")" -ge $((size * keep / 10 / 66560 - 3)) ]
  [ "$(cat "$OUT")" -lt 80 ]
done

# A whole stream is the same with it.
check_image salvage=true
