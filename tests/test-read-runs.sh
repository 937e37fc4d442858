#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Grains that follow each other in the file are read with one pread, and a
# grain table that was read is kept.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires_strace

# count_reads: how many preads of the disk's files nbdcopy leads to, which asks
# for 256 KiB at a time.
count_reads ()
{
  # shellcheck disable=SC2016
  strace -f -y -o "$TMP/strace" -e trace=pread64,preadv,preadv2,read \
    "$top_builddir/nbdkit" -U - vmdk "$IMAGE" \
    --run 'nbdcopy "$uri" "$OUT.raw"'
  cmp "$OUT.raw" "$MODEL"
  # With -f a call may be in two lines.
  grep -F "$TMP/disk/" "$TMP/strace" | grep -cv resumed
}

most=$((16 * 1024 * 1024 / 262144 + 12))
for grain in 1 8 128 4096; do
  make_image monolithicSparse --size=16M --fill=full --grain=$grain
  n=$(count_reads)
  # Header, descriptor and directory; 4 KiB of tables for each 1024 grains.
  [ "$n" -le $((most + 32768 / grain / 512)) ]
done
make_image monolithicFlat --size=16M --fill=full
n=$(count_reads)
[ "$n" -le $most ]
# Nothing is read for what is not there.
make_image monolithicSparse --size=16M --fill=empty
n=$(count_reads)
[ "$n" -le 12 ]
