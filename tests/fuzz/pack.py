# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

"""Put the files of an image into one input of fuzz-image: see blob.h.

Usage: pack.py OPTIONS DISK.vmdk [OTHER FILE...] >INPUT
"""

import os
import struct
import sys

PIECE = 32768


def data_records(data):
    at = 0
    while at < len(data):
        if not any(data[at:at + 512]):
            at += 512
            continue
        end = at
        while (end < len(data) and end - at < PIECE
               and any(data[end:end + 512])):
            end += 512
        piece = data[at:min(end, len(data))]
        yield b"D" + struct.pack("<IH", at // 512, len(piece)) + piece
        at = end


def main():
    out = sys.stdout.buffer
    out.write(bytes([int(sys.argv[1])]))
    for path in sys.argv[2:]:
        name = os.path.basename(path).encode()
        with open(path, "rb") as f:
            data = f.read()
        out.write(b"F" + bytes([len(name)]) + name)
        for record in data_records(data):
            out.write(record)
        out.write(b"T" + struct.pack("<Q", len(data)))


main()
