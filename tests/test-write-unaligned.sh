#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Writes of any alignment and size, from 1 byte to 3 MiB, across the ends of
# grains, tables and extents, up to the last byte of the disk.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires_qemu_img
export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

# Can QEMU read $IMAGE?
qemu_reads=yes

# write [BOUNDARY...]: the boundaries are in sectors.
write ()
{
  "$PYTHON" "$srcdir/write-unaligned.py" "$@"
  [ "$qemu_reads" = no ] ||
    qemu-img compare -f vmdk -F raw "$IMAGE" "$MODEL"
  case $(head -c 4 "$IMAGE") in
    KDMV) qemu-img check -f vmdk "$IMAGE" ;;
  esac
}

# Boundaries of grains, of a table of 32 MiB, of a size that is no whole
# number of grains.
make_image monolithicSparse --size=70001s
write 128 256 65536
make_image monolithicSparse --size=70001s --fill=empty --no-rgd
write 128 256 65536
# Tables of 128 grains of 4 KiB.
make_image monolithicSparse --size=7001s --grain=8 --gtes=128 --shuffle
write 8 1024 2048 3072
# Three extents, the second smaller than a table.
make_image custom --extents=SPARSE:4096s,SPARSE:1000s:8,SPARSE:2905s
qemu_reads=no
write 4096 4104 4224 5096 5224
qemu_reads=yes
make_image twoGbMaxExtentSparse --size=7001s --extent-size=2048s
write 2048 2176 4096 4224 6144
make_image monolithicFlat --size=7001s
write 1000
make_image twoGbMaxExtentFlat --size=7001s --extent-size=3001s
write 3001 6002
qemu_reads=no
make_image monolithicFlat --size=7001s --flat-offset=333s
write 1000
qemu_reads=yes
# Tables of 4096 grains of 512 bytes.
make_image vmfsSparse --size=9001s
write 1 4096 8192
make_image vmfsSparse --size=9001s --grain=8 --fill=empty
write 8 4096
