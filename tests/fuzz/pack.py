# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

"""Put the files of an image into inputs of fuzz-image: see blob.h.

Usage: pack.py INPUT OPTIONS DISK.vmdk [OTHER FILE...]

OPTIONS are numbers, and there is an input INPUT-O for each number O.
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
    packed = b""
    for path in sys.argv[3:]:
        name = os.path.basename(path).encode()
        with open(path, "rb") as f:
            data = f.read()
        packed += b"F" + bytes([len(name)]) + name
        packed += b"".join(data_records(data))
        packed += b"T" + struct.pack("<Q", len(data))
    for options in sys.argv[2].split():
        with open(f"{sys.argv[1]}-{options}", "wb") as f:
            f.write(bytes([int(options)]) + packed)


main()
