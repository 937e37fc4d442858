#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# What a parent holds may just have been written: it is synced by the first flush
# of what lies on it, and before a child of it is made; and not again.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/chain-functions.sh
. "$srcdir/chain-functions.sh"

requires_strace

# traced ARGUMENT...: nbdkit, with its syncs in $TMP/strace.
traced ()
{
  strace -D -f -y -o "$TMP/strace" -e trace=fdatasync,fsync \
    "$top_builddir/nbdkit" "$@"
}

# synced N NAME: the file was synced so often.
synced ()
{
  local n

  n=$(grep -c "sync([0-9]*<$TMP/disk/$2>)" "$TMP/strace") || :
  [ "$n" -eq "$1" ] || { cat "$TMP/strace"; fail "$2 was synced $n times"; }
}

for kind in monolithicSparse twoGbMaxExtentFlat; do
  make_base $kind --size=3M --extent-size=2M
  files=(base.vmdk)
  [ $kind = monolithicSparse ] || files+=(base-f001.vmdk base-f002.vmdk)
  traced -U - vmdk "$TMP/disk/child.vmdk" create=true \
    create-parent="$TMP/disk/base.vmdk" --run true
  for file in "${files[@]}"; do
    synced 1 "$file"
  done
  # shellcheck disable=SC2016
  traced -U - vmdk "$TMP/disk/child.vmdk" --run 'nbdsh -u "$uri" -c "
h.pread(512, 0)
h.flush()
h.pwrite(b\"x\" * 512, 0)
h.flush()
h.pwrite(b\"x\" * 512, 1048576)
h.flush()
"'
  for file in "${files[@]}"; do
    synced 1 "$file"
  done
  # shellcheck disable=SC2016
  traced -r -U - vmdk "$TMP/disk/child.vmdk" \
    --run 'nbdsh -u "$uri" -c "h.pread(512, 0)"'
  for file in "${files[@]}"; do
    synced 0 "$file"
  done
done
