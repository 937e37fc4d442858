#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# An extent of a split snapshot that is given without the descriptor: it does
# not know that there is a parent, so that a write into a grain would hide
# what the parent has around it.  It is served with a warning, and read-only.
# The parent can be named; but that the disk has changed could be told to none
# of its own snapshots, as the content ID is in the descriptor.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/chain-functions.sh
. "$srcdir/chain-functions.sh"

# check FILE [PARAMETER...]
check ()
{
  local before

  before=$(sha256sum <"$1")
  # shellcheck disable=SC2016
  nbdkit -U - vmdk "$@" --run 'nbdinfo "$uri"' >"$OUT" 2>"$TMP/log"
  grep 'is_read_only: true' "$OUT"
  grep 'description: .*opened without its descriptor' "$OUT"
  grep 'warning: .*opened without a descriptor' "$TMP/log"
  [ "$(sha256sum <"$1")" = "$before" ] || fail "$1 has changed"
}

requires_nbdinfo
make_base monolithicFlat --size=2M --fill=full
make_child twoGbMaxExtentSparse --size=2M --extent-size=2M
mv "$TMP/disk/disk-s001.vmdk" "$IMAGE"
check "$IMAGE"
check "$IMAGE" parent="$TMP/disk/base.vmdk"
check_image parent="$TMP/disk/base.vmdk"

# QEMU's have an area for a descriptor in which there is none.
if qemu-img --version >/dev/null; then
  rm -r "$TMP/disk"
  mkdir "$TMP/disk"
  qemu-img create -q -f vmdk -o subformat=twoGbMaxExtentSparse "$IMAGE" 2M
  check "$TMP/disk/disk-s001.vmdk"
fi
