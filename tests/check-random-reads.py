# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

"""Read at every kind of offset, many requests at once, and compare.

Usage: check-random-reads.py URI MODEL.raw [BOUNDARY...]

Each boundary, an offset in bytes, gets requests that end before it, at it
and behind it, and that begin there, for several alignments.  Then there are
random requests.  Several connections have 16 requests in flight each.
"""

import random
import sys

import nbd

CONNECTIONS = 4
IN_FLIGHT = 16
RANDOM = 3000


def requests(size, boundaries):
    deltas = (-65537, -65536, -4097, -4096, -513, -512, -511, -1, 0, 1, 511,
              512, 513, 4095, 4096, 65535, 65536, 65537)
    found = set()
    for b in boundaries:
        ends = [b + d for d in deltas if 0 <= b + d <= size]
        for start in ends:
            for end in ends:
                if start < end:
                    found.add((start, end - start))
    found = sorted(found)
    random.shuffle(found)
    yield from found
    for _ in range(RANDOM):
        # Few of the long ones, which take most of the time.
        longest = random.choices((1, 512, 4096, 70000, 300000, 3000000),
                                 (20, 20, 20, 20, 5, 1))[0]
        length = min(size, random.randint(1, longest))
        offset = random.randint(0, size - length)
        if random.random() < 0.5:
            offset -= offset % 512
        yield offset, length


def main():
    random.seed(20)
    uri, model_path = sys.argv[1:3]
    with open(model_path, "rb") as f:
        model = f.read()
    size = len(model)
    boundaries = [0, size] + [int(s) for s in sys.argv[3:]]
    pending = requests(size, boundaries)
    wrong = []
    done = 0

    handles = []
    for _ in range(CONNECTIONS):
        h = nbd.NBD()
        h.connect_uri(uri)
        assert h.get_size() == size
        assert h.can_multi_conn()
        handles.append(h)

    def submit(h):
        request = next(pending, None)
        if request is None:
            return False
        offset, length = request
        buf = nbd.Buffer(length)

        def completed(error):
            nonlocal done
            done += 1
            if error.value != 0:
                wrong.append((offset, length, f"error {error.value}"))
            elif buf.to_bytearray() != model[offset:offset + length]:
                wrong.append((offset, length, "wrong bytes"))
            return 1

        h.aio_pread(buf, offset, completed)
        return True

    more = True
    while more or any(h.aio_in_flight() for h in handles):
        for h in handles:
            while more and h.aio_in_flight() < IN_FLIGHT:
                more = submit(h)
        for h in handles:
            if h.aio_in_flight():
                h.poll(-1)
        # Nothing more, but wait for what is in flight.
        more = more and not wrong
    for h in handles:
        h.shutdown()
    if wrong:
        sys.exit(f"wrong: {wrong[:5]}")
    print(f"{done} requests were right")


main()
