#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# nbdkit's filters between the plugin and a client that writes.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

skip_if_valgrind "filters of nbdkit 1.32 leak"

# Filters of nbdkit 1.32 leak, and have been unloaded when that is seen.  Other
# tests look for leaks of the plugin.
export ASAN_OPTIONS=detect_leaks=0

requires_nbdcopy
requires_qemu_img

# What is written: data, holes and zeroes.
mkvmdk --model="$TMP/new.raw" --map="$TMP/new.map" --size=16384s --seed=5 \
  monolithicSparse "$TMP/new.vmdk"

# QEMU, which compares, reads what is behind the end of an extent if that ends
# within a grain: so they end with one.

# write FILTER... [-- PARAMETER...]: the whole disk becomes new.raw.
write ()
{
  local filters=()

  make_image twoGbMaxExtentSparse --size=16384s --extent-size=5120s
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    requires_filter "$1"
    filters+=("--filter=$1")
    shift
  done
  # shellcheck disable=SC2016
  nbdkit -U - "${filters[@]}" vmdk "$IMAGE" "${@:2}" \
    --run 'nbdcopy --flush "$TMP/new.raw" "$uri"'
}

# holds RAW: this is what the disk holds.
holds ()
{
  qemu-img compare -f vmdk -F raw "$IMAGE" "$1"
  copy_out "$IMAGE" "$OUT"
  cmp "$OUT" "$1"
}

export TMP
for filter in cache readahead retry retry-request noparallel nozero fua \
  multi-conn; do
  write "$filter"
  holds "$TMP/new.raw"
done
write fua -- fuamode=force
holds "$TMP/new.raw"
write nozero -- zeromode=plugin
holds "$TMP/new.raw"
write blocksize -- minblock=64K maxdata=1M
holds "$TMP/new.raw"
write stats -- statsfile="$OUT.stats"
holds "$TMP/new.raw"
grep '^write' "$OUT.stats"
write cache readahead retry noparallel -- cache=writeback
holds "$TMP/new.raw"

# What is written to the cow filter is thrown away.
write cow
holds "$MODEL"

# It complains if what is written is not there already.
cp -r "$TMP/disk" "$TMP/written"
# shellcheck disable=SC2016
nbdkit -U - --filter=checkwrite vmdk \
  "$TMP/written/disk.vmdk" --run 'nbdcopy "$MODEL" "$uri"'

# A part of the disk.
make_image twoGbMaxExtentSparse --size=16384s --extent-size=5120s
head -c 3584000 /dev/urandom >"$TMP/part"
# shellcheck disable=SC2016
nbdkit -U - --filter=offset vmdk "$IMAGE" offset=51200 range=3584000 \
  --run 'nbdcopy --flush "$TMP/part" "$uri"'
dd if="$TMP/part" of="$MODEL" bs=512 seek=100 conv=notrunc status=none
holds "$MODEL"
