#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# No file descriptor is leaked: not to commands that the server starts, not by
# connections, and not by a request that fails.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

make_image twoGbMaxExtentSparse --size=5M --extent-size=1M --grain=16

# shellcheck disable=SC2016
serve_and "$IMAGE" 'ls -l /proc/self/fd' >"$TMP/fds"
if grep -F "$TMP/disk" "$TMP/fds"; then
  fail "a command that the server started has the disk open"
fi

start_nbdkit -P "$TMP/pid" -U "$TMP/sock" vmdk "$IMAGE"
uri="nbd+unix://?socket=$TMP/sock"
count ()
{
  # Connections take a moment to go.
  local i n=0 before=-1

  for ((i = 0; i < 50 && n != before; i++)); do
    before=$n
    sleep 0.2
    # find fails if one is closed while it looks.
    n=$({ find "/proc/$(cat "$TMP/pid")/fd" -type l || :; } | wc -l)
  done
  echo "$n"
}
nbdinfo "$uri"
before=$(count)
for i in 1 2 3 4 5 6 7 8 9 10; do
  nbdinfo --map "$uri" >/dev/null
  nbdcopy "$uri" null:
done
truncate -s 200000 "$TMP/disk/disk-s002.vmdk"
# Clients that do not hang up then, at which nbdkit itself may end.
for i in 1 2 3; do
  nbdsh -u "$uri" -c '
for at in range(0, h.get_size(), 65536):
    try:
        h.pread(65536, at)
        failed = False
    except nbd.Error:
        failed = True
        break
h.shutdown()
assert failed, "a file was cut short, and it was not noticed"'
done
kill -0 "$(cat "$TMP/pid")"
after=$(count)
[ "$after" -gt 0 ]
[ "$after" -le "$before" ]
