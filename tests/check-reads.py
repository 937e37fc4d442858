# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

"""Read a damaged disk and compare it with its model.

Usage: check-reads.py [--right-or-error] URI MODEL.raw MODEL.map

What the map calls an error must fail with EIO, alone and together with its
neighbours; everything else must be right, before and after that.  With
--right-or-error it is enough that all is either right or fails.
"""

import errno
import sys

import nbd

CHUNK = 256 * 1024


def main():
    args = sys.argv[1:]
    lenient = args[0] == "--right-or-error"
    if lenient:
        args = args[1:]
    uri, model_path, map_path = args
    with open(model_path, "rb") as f:
        model = f.read()
    runs = []
    with open(map_path) as f:
        for line in f:
            words = line.split()
            runs.append((int(words[0]), int(words[1]), words[2]))

    h = nbd.NBD()
    h.connect_uri(uri)
    if h.get_size() != len(model):
        sys.exit(f"size is {h.get_size()}, not {len(model)}")

    def read(offset, length):
        try:
            got = h.pread(length, offset)
        except nbd.Error as e:
            if e.errnum != errno.EIO:
                sys.exit(f"{length} bytes at {offset}: {e}, not EIO")
            return False
        if got != model[offset:offset + length]:
            sys.exit(f"wrong bytes in {length} at {offset}")
        return True

    def good(offset, length):
        if not read(offset, length) and not lenient:
            sys.exit(f"{length} bytes at {offset} cannot be read")

    def bad(offset, length):
        if read(offset, length) and not lenient:
            sys.exit(f"{length} bytes at {offset} were read, but are missing")

    # Twice: an error must not change what comes after it.
    for _ in range(2):
        for offset, length, kind in runs:
            check = bad if kind == "error" else good
            for at in range(offset, offset + length, CHUNK):
                check(at, min(CHUNK, offset + length - at))
            if length > 1:
                check(offset, 1)
                check(offset + length - 1, 1)
            if kind == "error" and offset > 0:
                bad(offset - 1, 2)
            if kind == "error" and offset + length < len(model):
                bad(offset + length - 1, 2)
    h.shutdown()


main()
