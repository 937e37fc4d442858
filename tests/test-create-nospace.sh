#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Where there is no room for a new disk the user is told so, and no part of it
# stays, however far its making has come.  What was there stays.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"

small=$TMP/small
mkdir "$small"
mount -t tmpfs -o size=256k,nr_inodes=40 tmpfs "$small" ||
  skip "a small file system cannot be mounted"
cleanup_fn umount -l "$small"
echo precious >"$small/other"

# refused PATTERN PARAMETER...
refused ()
{
  refuses "$1" vmdk "$small/new.vmdk" create=true "${@:2}"
  [ "$(ls -A "$small")" = other ] || fail "left: $(ls -A "$small")"
  [ "$(cat "$small/other")" = precious ]
}

# No room for the directories; for those of an extent that is not the first; for
# another file.
refused 'pwrite: new.vmdk: .*No space left' create-size=2T
refused 'pwrite: new-s0[0-9]*.vmdk: .*No space left' create-size=70G \
  create-type=split-sparse
refused 'open: new-f0[0-9]*.vmdk: No space left' create-size=100G \
  create-type=split-flat

# A file must not be as large as that.
(
  ulimit -f 1024
  refused 'ftruncate: new-flat.vmdk: .*File too large' create-size=1G \
    create-type=monolithic-flat
  refused 'ftruncate: new-f001.vmdk: .*File too large' create-size=1G \
    create-type=split-flat
)

# Room for the extent, but not for the descriptor.
rm "$small/other"
dd if=/dev/zero of="$small/other" bs=4k status=none 2>"$TMP/dd" || :
grep 'No space' "$TMP/dd"
sum=$(sha256sum "$small/other")
for type in monolithic-flat vmfs-thin; do
  refuses 'pwrite: new.vmdk: .*No space left' vmdk "$small/new.vmdk" \
    create=true create-size=1G create-type=$type
  [ "$(ls -A "$small")" = other ]
done
[ "$(sha256sum "$small/other")" = "$sum" ]

# With room again the same works.
rm "$small/other"
nbdkit -U - vmdk "$small/new.vmdk" create=true create-size=1G \
  create-type=monolithic-flat --run true
[ "$(ls -A "$small")" = $'new-flat.vmdk\nnew.vmdk' ]
