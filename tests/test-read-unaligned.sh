#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Reads of every alignment at the first, a middle and the last extent, many at
# once, over several connections.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

# check OFFSET...: where extents, tables or grains meet.
check ()
{
  # shellcheck disable=SC2016
  BOUNDARIES="$*" nbdkit -U - vmdk "$IMAGE" --run \
    '"$PYTHON" "$srcdir/check-random-reads.py" "$uri" "$MODEL" $BOUNDARIES'
}

# Extents of 5 MiB and one sector, with grains of 4 KiB.
e=$((5 * 1024 * 1024 + 512))
make_image twoGbMaxExtentSparse --size=$((4 * e + 777 * 512)) --extent-size=$e \
  --grain=8 --gtes=128 --shuffle --zeroed
check $e $((2 * e)) $((4 * e)) $((128 * 4096)) $((2 * e + 128 * 4096))

make_image monolithicSparse --size=90001s
check $((32 * 1024 * 1024))

make_image twoGbMaxExtentFlat --size=$((4 * e + 777 * 512)) --extent-size=$e
check $e $((2 * e)) $((4 * e))
