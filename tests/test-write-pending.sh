#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# What changes take in memory is bounded over all extents of a disk: tables are
# published without a flush once they take a sixteenth of cache-size together.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires_strace

# One grain in each of a hundred extents, whose tables take 2 KiB each, on one
# connection without a flush.
syncs ()
{
  make_image twoGbMaxExtentSparse --size=200M --extent-size=2M --grain=8 \
    --fill=empty
  strace -f -qq -o "$TMP/strace" -e trace=fdatasync,fsync,pwrite64 \
    nbdkit -U - vmdk "$IMAGE" cache-size="$1" --run '
      nbdsh -u "$uri" -c "
for i in range(100):
    h.pwrite(b\"x\" * 4096, (i << 21) + 8192)"'
  # Those before the last data: not those of the end.
  awk '/pwrite64\(.*"xxxx/ { n = m } /f(data)?sync\(/ { m++ } END { print n }' \
    "$TMP/strace"
}

# What was found in the descriptor and in each extent, and the content ID.
start=102
n=$(syncs 64M)
[ "$n" -eq $start ]
n=$(syncs 1M)
[ "$n" -gt $((start + 2)) ] || fail "$n syncs"
