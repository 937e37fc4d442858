# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

"""Write at every kind of offset and length, and read it back.

Usage: write-unaligned.py [BOUNDARY...]

$IMAGE is written around each boundary, in sectors, and at random
places.  What was written is read at once through the same connection and
through another one, all of it in the end, and again from another server.
$MODEL becomes what the disk holds.
"""

import os
import sys

from writing import Model, Server, rng

DELTAS = (-65537, -65536, -4097, -513, -512, -511, -1, 0, 1, 511, 512, 513,
          4097, 65536, 65537)
LENGTHS = (1, 2, 511, 512, 513, 4095, 4096, 65535, 65536, 65537, 200000,
           1024 * 1024, 3 * 1024 * 1024)


def requests(size, boundaries):
    found = set()
    for b in boundaries:
        ends = [b + d for d in DELTAS if 0 <= b + d <= size]
        found |= {(s, e - s) for s in ends for e in ends if s < e}
    found = rng.sample(sorted(found), min(len(found), 250))
    found += [(size - 1, 1), (0, 1), (size - 512, 512), (size - 513, 513)]
    for length in LENGTHS:
        if length <= size:
            found += [(rng.randint(0, size - length), length)
                      for _ in range(4)]
            found.append((size - length, length))
    rng.shuffle(found)
    return found


def main():
    model = Model.load()
    server = Server(os.environ["IMAGE"])
    clients = [server.connect() for _ in range(3)]
    boundaries = [0, model.size] + [512 * int(a) for a in sys.argv[1:]]
    for i, (offset, count) in enumerate(requests(model.size, boundaries)):
        h, other = rng.sample(clients, 2)
        if i % 7 == 6:
            model.zero(h, count, offset)
        else:
            model.write(h, count, offset)
        for reader in (h, other):
            model.check(reader, count + 1026, offset - 513)
        if i % 50 == 49:
            other.flush()
    for h in clients:
        model.check(h)
        h.shutdown()
    server.stop()
    assert "error" not in server.messages(), server.messages()

    server = Server(os.environ["IMAGE"], options=["-r"])
    h = server.connect()
    model.check(h)
    h.shutdown()
    server.stop()
    model.save(os.environ["MODEL"])


main()
