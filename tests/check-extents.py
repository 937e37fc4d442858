# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

"""Ask for the allocation of windows of the disk and compare with the model.

Usage: check-extents.py URI MODEL.map [OFFSET:COUNT...]

Each answer must lie within the request and be all of it; with the flag
REQ_ONE it must be one extent, which ends where the model's run does or the
request.  Neighbours in an answer must differ.  Besides the windows given
there are some at each change in the map, and random ones.
"""

import bisect
import random
import sys

import nbd

MOST = 2**32 - 1
TYPES = {"data": 0, "error": 0, "hole,zero": 3}


def load(path):
    runs = []
    with open(path) as f:
        for line in f:
            words = line.split()
            start, length = int(words[0]), int(words[1])
            kind = TYPES[words[2]]
            if runs and runs[-1][2] == kind:
                runs[-1][1] = start + length
            else:
                runs.append([start, start + length, kind])
    return runs


def main():
    random.seed(7)
    uri, path = sys.argv[1:3]
    runs = load(path)
    starts = [r[0] for r in runs]
    size = runs[-1][1]

    h = nbd.NBD()
    h.add_meta_context("base:allocation")
    h.connect_uri(uri)
    assert h.get_size() == size, (h.get_size(), size)

    def expected(offset, count):
        answer = []
        i = bisect.bisect_right(starts, offset) - 1
        end = offset + count
        while offset < end:
            stop = min(runs[i][1], end)
            answer.append((stop - offset, runs[i][2]))
            offset = stop
            i += 1
        return answer

    def ask(offset, count, flags):
        answer = []

        def extent(context, where, entries, error):
            assert context == "base:allocation" and where == offset
            answer.extend(zip(entries[0::2], entries[1::2]))
            return 0

        h.block_status(count, offset, extent, flags)
        return answer

    def check(offset, count):
        want = expected(offset, count)
        got = ask(offset, count, 0)
        if got != want:
            sys.exit(f"{count} bytes at {offset}: {got[:9]}, not {want[:9]}")
        got = ask(offset, count, nbd.CMD_FLAG_REQ_ONE)
        if got != want[:1]:
            sys.exit(f"one of {count} bytes at {offset}: {got}, "
                     f"not {want[:1]}")

    for window in sys.argv[3:]:
        offset, count = (int(s) for s in window.split(":"))
        check(offset, count)
    check(0, min(size, MOST))
    check(size - min(size, MOST), min(size, MOST))
    check(0, 1)
    check(size - 1, 1)
    for start in random.sample(starts, min(len(starts), 50)):
        for offset in (start - 1, start, start + 1):
            for count in (1, 2, 511, 512, 4096, 100000, 2**27, MOST):
                if 0 <= offset < size:
                    check(offset, min(count, size - offset))
    for _ in range(200):
        offset = random.randrange(size)
        count = random.randint(1, min(size - offset, MOST))
        check(offset, count)
    h.shutdown()
    print(f"the map of {len(runs)} extents is right")


main()
