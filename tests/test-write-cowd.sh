#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A COWD disk without tables gets them where it is written: the header, which
# QEMU overwrites then, is whole, freeSector is behind all that is in use, and QEMU
# reads what was written.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires_qemu_img
export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

# check [OPTION OF MKVMDK...]
check ()
{
  make_image vmfsSparse --fill=empty "$@"
  "$PYTHON" - "$TMP/disk/disk-delta.vmdk" <<'END'
import os
import sys
from writing import Model, Server, Sparse

path = sys.argv[1]
MIB = 1 << 20


def header(s):
    """All but freeSector and the mark."""
    return s.bytes[:28] + s.bytes[32:1648] + s.bytes[1652:2048]


old = Sparse(path)
assert not any(old.directories[0])
model = Model.load()
server = Server(os.environ["IMAGE"])
h = server.connect()
table = 4096 * 512 * old.grain
model.write(h, 3, 100)
model.write(h, 70000, table - 30000)    # in two tables
model.write(h, 5, model.size - 5)
h.flush()
s = Sparse(path)
assert s.free_sector >= s.end()
assert header(s) == header(old)
h.shutdown()
server.stop()

s = Sparse(path).check()
assert header(s) == header(old) and s.unclean == 0
tables = s.directories[0]
assert tables[0] and tables[1] and tables[-1]
assert sum(gde != 0 for gde in tables) <= 3, tables
assert s.free_sector == s.end(), (s.free_sector, s.end())
assert (s.free_sector - 1) * 512 < len(s.bytes) <= s.free_sector * 512

# More grains, and fewer.
server = Server(os.environ["IMAGE"])
h = server.connect()
model.check(h)
model.zero(h, MIB, table - 30000)
h.flush()
model.write(h, 100000, 5 * table // 2)
model.write(h, 100000, 50000)
h.shutdown()
server.stop()
s = Sparse(path).check()
assert s.free_sector >= s.end() and header(s) == header(old)

# A freeSector that is lower than what is in use is no reason to use that again.
with open(path, "r+b") as f:
    f.seek(28)
    f.write(old.free_sector.to_bytes(4, "little"))
server = Server(os.environ["IMAGE"])
h = server.connect()
model.write(h, 200000, 3 * table)
model.check(h)
h.shutdown()
server.stop()
s = Sparse(path).check()
assert s.free_sector >= s.end()
server = Server(os.environ["IMAGE"], options=["-r"])
h = server.connect()
model.check(h)
h.shutdown()
server.stop()
model.save(os.environ["MODEL"])
END
  qemu-img convert -f vmdk -O raw "$IMAGE" "$OUT.raw"
  cmp "$OUT.raw" "$MODEL"
}

check --size=20001s
check --size=200003s --grain=8

# The end of a grain that ends at 2 TiB is too large for the field, which must
# not tell others to write grains over the header.
rm -rf "$TMP/disk"
mkdir "$TMP/disk"
truncate -s 2T "$TMP/disk/data.vmdk" || exit 0
"$PYTHON" - "$IMAGE" "$TMP/disk/data.vmdk" <<'END'
import struct
import sys
from writing import Server

image, path = sys.argv[1:]
sectors = 4096 * 8
with open(path, "r+b") as f:
    header = bytearray(2048)
    header[:4] = b"COWD"
    for offset, value in ((4, 1), (8, 3), (12, sectors), (16, 8), (20, 4),
                          (24, 1), (28, 0xffffffff)):
        struct.pack_into("<I", header, offset, value)
    f.write(header + struct.pack("<I", 5).ljust(512, b"\0") +
            struct.pack("<I", (1 << 32) - 8))
with open(image, "w", encoding="ascii") as f:
    f.write("# Disk DescriptorFile\nversion=1\nCID=12345678\n"
            'parentCID=ffffffff\ncreateType="vmfsSparse"\n'
            f'RW {sectors} VMFSSPARSE "data.vmdk"\n')


def check():
    with open(path, "rb") as f:
        f.seek(28)
        assert f.read(4) == b"\xff\xff\xff\xff"


server = Server(image)
h = server.connect()
h.pwrite(b"a" * 4096, 0)
h.pwrite(b"b" * 4096, 8192)
h.flush()
check()
assert h.pread(4096, 0) == b"a" * 4096
assert h.pread(4096, 8192) == b"b" * 4096
h.shutdown()
server.stop()
check()
END
