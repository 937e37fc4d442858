#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# nbdkit's filters between the plugin and a client that reads.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/chain-functions.sh
. "$srcdir/chain-functions.sh"

# Filters of nbdkit 1.32 leak, and have been unloaded when that is seen.  Other
# tests look for leaks of the plugin.
export ASAN_OPTIONS=detect_leaks=0

requires_nbdcopy
requires_qemu_img

# check MODEL FILTER... [-- PARAMETER...]
check ()
{
  local model=$1 filters=()

  shift
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    requires_filter "$1"
    filters+=("--filter=$1")
    shift
  done
  rm -f "$OUT.raw"
  # shellcheck disable=SC2016
  nbdkit -r -U - "${filters[@]}" vmdk "$IMAGE" "${@:2}" --run '
nbdcopy "$uri" "$OUT.raw" &&
  qemu-img compare -f raw -F raw "$uri" "$OUT.raw" &&
  nbdinfo --map "$uri" >"$OUT.map"'
  cmp "$OUT.raw" "$model"
}

make_base monolithicSparse --size=16384s
make_child vmfsSparse --size=16384s

for filter in cow cache cacheextents readahead retry retry-request noparallel \
  noextents nocache multi-conn scan fua; do
  check "$MODEL" "$filter"
done
check "$MODEL" cow cache readahead retry noparallel
check "$MODEL" stats -- statsfile="$OUT.stats"
grep '^total' "$OUT.stats"
check "$MODEL" blocksize -- minblock=4096 maxdata=65536
check "$MODEL" delay -- rdelay=1ms
check "$MODEL" log -- logfile="$OUT.log"

dd if="$MODEL" of="$OUT.part" bs=512 skip=100 count=7001 status=none
check "$OUT.part" offset -- offset=51200 range=3584512
truncate -s 9M "$OUT.part"
cp "$MODEL" "$OUT.part"
truncate -s 9M "$OUT.part"
check "$OUT.part" truncate -- truncate=9M
truncate -s 1M "$OUT.part"
check "$OUT.part" truncate -- truncate=1M

# A partition, and a file in it.
make_partitioned_disk "$TMP/raw"
mkvmdk --from="$TMP/raw" --model="$MODEL" --map="$MAP" streamOptimized "$IMAGE"
dd if="$TMP/raw" of="$OUT.part" bs=1M skip=1 count=15 status=none
check "$OUT.part" partition -- partition=1
echo 'Hello from a file in a VMDK.' >"$TMP/hello.txt"
check "$TMP/hello.txt" ext2 partition -- partition=1 ext2file=/hello.txt
