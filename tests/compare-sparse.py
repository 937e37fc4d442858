# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

"""Compare two large files with few bytes, fast.

Usage: compare-sparse.py FILE FILE

They must have the same size and the same bytes.  What is a hole of both is not
read.
"""

import errno
import os
import sys

CHUNK = 1 << 20


def chunks(fd):
    """The numbers of the chunks in which there is data."""
    found = set()
    at = 0
    while True:
        try:
            at = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as e:
            if e.errno != errno.ENXIO:
                raise
            return found
        end = os.lseek(fd, at, os.SEEK_HOLE)
        found.update(range(at // CHUNK, (end - 1) // CHUNK + 1))
        at = end


def main():
    a, b = (os.open(name, os.O_RDONLY) for name in sys.argv[1:])
    sizes = [os.fstat(fd).st_size for fd in (a, b)]
    if sizes[0] != sizes[1]:
        sys.exit(f"{sizes[0]} and {sizes[1]} bytes")
    for i in sorted(chunks(a) | chunks(b)):
        if os.pread(a, CHUNK, i * CHUNK) != os.pread(b, CHUNK, i * CHUNK):
            sys.exit(f"they differ behind byte {i * CHUNK}")


main()
