#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# How often files are synced: twice for a flush after grains were allocated, once
# after others were written, and not at all by readers.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires_strace

# syncs COMMANDS: what nbdsh runs; how many syncs there are.
syncs ()
{
  strace -f -qq -o "$TMP/strace" -e trace=fdatasync,fsync,sync_file_range \
    nbdkit -U - vmdk "$IMAGE" --run "nbdsh -u \"\$uri\" -c '$1'"
  grep -cE 'f(data)?sync\(' "$TMP/strace" || :
}

make_image monolithicSparse --size=64M --fill=empty
[ "$(syncs 'h.pread(65536, 0)')" = 0 ]

# The first change syncs the new content ID.  The end syncs what was not
# flushed, and that the file was closed cleanly.
start=1
end=1
n=$(syncs 'h.pwrite(b"x" * 65536, 0); h.flush()')
[ "$n" = $((start + 2 + end)) ]
# Nothing new is allocated.
n=$(syncs 'h.pwrite(b"y" * 65536, 0); h.flush()')
[ "$n" = $((start + 1 + end)) ]
# A hundred grains in ten flushes.
n=$(syncs '
for i in range(10):
    for k in range(10):
        h.pwrite(b"z" * 4096, (1 + i * 10 + k) * 65536)
    h.flush()')
[ "$n" = $((start + 10 * 2 + end)) ]
# FUA costs no more.
n=$(syncs '
for i in range(10):
    h.pwrite(b"z" * 4096, (200 + i) * 65536, nbd.CMD_FLAG_FUA)')
[ "$n" = $((start + 10 * 2 + end)) ]
# A flush of nothing costs nothing.
n=$(syncs 'h.pwrite(b"y" * 65536, 0); h.flush(); h.flush(); h.flush()')
[ "$n" = $((start + 1 + end)) ]
