#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Zero and trim of 4 GiB in one request: the work depends on what is there, not on
# the length, and files stay small.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

# Zero and trim of 4 GiB in one request: the work depends on what is there, not on
# the length; files stay small, and other clients are not kept waiting by it.
# shellcheck source=tests/chain-functions.sh
. "$srcdir/chain-functions.sh"

requires_strace

# calls REQUEST: the number of system calls on the disk's files that it takes,
# connecting and disconnecting included.
calls ()
{
  # shellcheck disable=SC2016
  REQUEST=$1 strace -f -y -o "$TMP/strace" \
    -e trace=pread64,preadv,pwrite64,pwritev,fallocate,ftruncate,fdatasync \
    "$top_builddir/nbdkit" -U - vmdk "$IMAGE" \
    --run 'nbdsh -u "$uri" -c "$REQUEST"' >"$OUT.nbdsh"
  grep -cF "$TMP/disk/" "$TMP/strace"
}

# check: few calls, and hardly any storage.
check ()
{
  local request before after n

  before=$(du -sk "$TMP/disk" | cut -f 1)
  for request in 'h.zero(2**32 - 1, 0)' 'h.trim(2**32 - 1, 1)' \
    'h.zero(2**32 - 1, 2**32 + 5)' 'h.zero(2**32 - 1, 12345, nbd.CMD_FLAG_FUA)' \
    'h.zero(2**32 - 513, 1, nbd.CMD_FLAG_NO_HOLE)'; do
    n=$(calls "$request; assert h.pread(70000, 2**31) == bytes(70000)")
    after=$(du -sk "$TMP/disk" | cut -f 1)
    [ "$n" -lt 1200 ] || fail "$request: $n system calls"
    [ "$after" -le $((before + 1024)) ] ||
      fail "$request: $((after - before)) KiB more are used"
  done
}

make_image_without_model monolithicSparse --size=100G --fill=empty
check
make_image_without_model monolithicSparse --size=100G --fill=empty --sparse-gd
check
make_image_without_model vmfsSparse --size=100G --fill=empty
check
make_image_without_model monolithicSparse --size=100G --fill=empty --zeroed
check
# Over a parent that has nothing, and one that has something and can be hidden.
make_image_without_model monolithicSparse --size=100G --fill=empty
mv "$IMAGE" "$TMP/disk/base.vmdk"
mkvmdk --parent="$TMP/disk/base.vmdk" --size=100G --fill=empty \
  monolithicSparse "$IMAGE"
check
make_image_without_model monolithicSparse --size=20G --fill=edges
mv "$IMAGE" "$TMP/disk/base.vmdk"
mkvmdk --parent="$TMP/disk/base.vmdk" --size=100G --fill=empty --zeroed \
  monolithicSparse "$IMAGE"
check
