# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

"""For nbdsh: write to the disk in which it differs from a raw file.

NBD_URI is the disk, NEW the raw file, of the same size.
"""

import os

CHUNK = 1 << 20


def overlay(h, new):
    """Bytes written, in pieces of 4 KiB that differ."""
    written = 0
    size = h.get_size()
    assert os.path.getsize(new) == size
    with open(new, "rb") as f:
        for offset in range(0, size, CHUNK):
            count = min(CHUNK, size - offset)
            wanted = f.read(count)
            found = h.pread(count, offset)
            if wanted == found:
                continue
            for i in range(0, count, 4096):
                piece = wanted[i:i + 4096]
                if piece != found[i:i + 4096]:
                    h.pwrite(piece, offset + i)
                    written += len(piece)
    h.flush()
    return written
