#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Memory stays within bounds when disks that have far more tables than fit are
# read at random.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

skip_if_valgrind "it takes memory of its own"
skip_if_sanitizers "they take memory of their own"
requires nbdsh -c 'import struct'

# 16 TiB of seSparse and 2 TiB of COWD in which every grain table exists: the
# tables alone are 32 GiB and 16 GiB of holes.
mkdir "$TMP/disk"
"$PYTHON" - "$TMP/disk" <<'END'
import struct, sys
folder = sys.argv[1]

def descriptor(name, kind, word, sectors):
    with open(f"{folder}/{name}.vmdk", "w") as f:
        f.write("# Disk DescriptorFile\nversion=1\nCID=1\n"
                f'parentCID=ffffffff\ncreateType="{kind}"\n'
                f'RW {sectors} {word} "{name}-data.vmdk"\n')

sectors = 16 << 40 >> 9
tables = sectors // 8 // 4096
gd, gd_size = 4096, tables * 8 // 512
gt, gt_size = gd + gd_size, tables * 64
header = bytearray(512)
for offset, value in ((0, 0xcafebabe), (8, 0x200000001), (16, sectors),
                      (24, 8), (32, 64), (80, 1), (88, 1), (128, gd),
                      (136, gd_size), (144, gt), (152, gt_size),
                      (192, gt + gt_size), (200, sectors)):
    struct.pack_into("<Q", header, offset, value)
with open(f"{folder}/sesparse-data.vmdk", "wb") as f:
    f.write(header + struct.pack("<Q", 0xcafecafe).ljust(512, b"\0"))
    f.seek(gd * 512)
    f.write(b"".join(struct.pack("<Q", 1 << 60 | i) for i in range(tables)))
    f.truncate((gt + gt_size) * 512)
descriptor("sesparse", "seSparse", "SESPARSE", sectors)

sectors = (2 << 40 >> 9) - 1
tables = -(-sectors // 4096)
gt = 4 + tables * 4 // 512
header = bytearray(2048)
header[:4] = b"COWD"
for offset, value in ((4, 1), (8, 3), (12, sectors), (16, 1), (20, 4),
                      (24, tables), (28, gt + 32 * tables)):
    struct.pack_into("<I", header, offset, value)
with open(f"{folder}/cowd-data.vmdk", "wb") as f:
    f.write(header)
    f.write(b"".join(struct.pack("<I", gt + 32 * i) for i in range(tables)))
    f.truncate((gt + 32 * tables) * 512)
descriptor("cowd", "vmfsSparse", "VMFSSPARSE", sectors)
END

# A stream of 256 MiB, read in small pieces.
mkvmdk --size=256M --fill=full --data=text streamOptimized \
  "$TMP/disk/stream.vmdk"

# peak DISK PARAMETER...: sets used to the peak memory of the server in KiB.
peak ()
{
  start_nbdkit -P "$TMP/pid" -U "$TMP/sock" vmdk "$TMP/disk/$1.vmdk" "${@:2}"
  "$PYTHON" - "$TMP/sock" <<'END'
import nbd, random, sys
h = nbd.NBD()
h.connect_unix(sys.argv[1])
random.seed(1)
size = h.get_size()
buffers = [nbd.Buffer(4096) for _ in range(16)]
for _ in range(1500):
    cookies = [h.aio_pread(b, random.randrange(size - 4096)) for b in buffers]
    while cookies:
        cookies = [c for c in cookies if not h.aio_command_completed(c)]
        if cookies:
            h.poll(-1)
END
  used=$(awk '$1 == "VmHWM:" { print $2 }' "/proc/$(cat "$TMP/pid")/status")
  stop_nbdkit "$TMP/pid"
  rm -f "$TMP/pid" "$TMP/sock"
}

# What a server needs without any of this: nbdkit's own memory.
peak sesparse cache-size=1M
base=$used
for disk in sesparse cowd stream; do
  for size in 8 32; do
    peak $disk cache-size=${size}M
    echo "$disk: $used KiB with cache-size=${size}M, $base KiB without"
    [ "$used" -lt $((base + size * 1024 + 4096)) ]
  done
done
