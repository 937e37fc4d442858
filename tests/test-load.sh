#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Many clients with many requests each, clients that are killed, and a server
# that is stopped under load: see load.py.  LOAD_SECONDS says how long all disks
# are used together, LOAD_CONNECTIONS by how many clients.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/chain-functions.sh
. "$srcdir/chain-functions.sh"

requires_qemu_img
requires_nbdsh
requires fio --enghelp=nbd
skip_if_valgrind "it takes very long"
export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1
set +x

seconds=$((${LOAD_SECONDS:-12} / 4))
connections=${LOAD_CONNECTIONS:-64}
# nbdkit has 16 threads for each connection, and buffers for each thread.
max_mib=200
! has_sanitizers || max_mib=0

load ()
{
  "$PYTHON" "$srcdir/load.py" "$seconds" "$connections" $max_mib
}

echo "overlay of a split disk over a stream"
make_base streamOptimized --size=65M
make_child twoGbMaxExtentSparse --size=65M --extent-size=24M
load
qemu-img compare -f vmdk -F raw "$IMAGE" "$MODEL"

echo "several kinds in one disk"
make_image custom \
  --extents=SPARSE:20M:8,FLAT:15M,VMFSSPARSE:20M,SPARSE:10M:128
load

echo "COWD"
make_image vmfsSparse --size=65M --fill=empty
load
qemu-img compare -f vmdk -F raw "$IMAGE" "$MODEL"

echo "grains of 4 KiB"
make_image monolithicSparse --size=65M --grain=8
load
qemu-img check -f vmdk "$IMAGE"
qemu-img compare -f vmdk -F raw "$IMAGE" "$MODEL"

# fio knows what it has written, and begins over and over again.
echo "fio"
make_image twoGbMaxExtentSparse --size=65M --extent-size=24M
start_nbdkit -P "$TMP/pid" -U "$TMP/sock" vmdk "$IMAGE"
part=$((64 * 1024 / connections / 4 * 4))k
(cd "$TMP" && fio --name=load --ioengine=nbd \
  --uri="nbd+unix:///?socket=$TMP/sock" --numjobs="$connections" --iodepth=16 \
  --rw=randrw --rwmixread=40 --blockalign=512 \
  --bssplit=512/20:4k/40:24k/20:64k/20 --fsync=50 \
  --size="$part" --offset_increment="$part" --loops=$((seconds / 3 + 1)) \
  --verify=crc32c --verify_fatal=1 --do_verify=1 --verify_state_save=0 \
  --group_reporting) | grep -E '(READ|WRITE):|err='
mib=$(awk '$1 == "VmHWM:" { print int($2 / 1024) }' \
        "/proc/$(cat "$TMP/pid")/status")
echo "memory: at most $mib MiB"
[ $max_mib -eq 0 ] || [ "$mib" -le $max_mib ] || fail "$mib MiB"
stop_nbdkit "$TMP/pid"
qemu-img check -f vmdk "$IMAGE"
