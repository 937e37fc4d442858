# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

"""Write at random to a stream that is being created.

Usage: write-stream.py SEED THREADS STEPS IMAGE PARAMETER...

Each thread has a connection of its own.  Requests that are under way at the
same time never overlap, but share grains and sectors.  What is read in between
and at the end must be what is in a model in memory, which is saved as $RAW.
"""

import os
import random
import sys
import threading

import nbd
from writing import Model, Server, difference

GRAIN = 65536


class Ranges:
    """Of requests that are under way."""

    def __init__(self):
        self.lock = threading.Lock()
        self.busy = []

    def take(self, start, end):
        with self.lock:
            if any(s < end and start < e for s, e in self.busy):
                return False
            self.busy.append((start, end))
            return True

    def give(self, start, end):
        with self.lock:
            self.busy.remove((start, end))


def choose(rng, size, position):
    """A range; half of them follow each other, for most writers go forward."""
    kind = rng.random()
    length = rng.choice((1, 511, 512, 4096, 12345, GRAIN - 1, GRAIN,
                         3 * GRAIN, 10 * GRAIN + 77, rng.randint(1, GRAIN)))
    length = min(length, size)
    start = position if kind < 0.5 else rng.randint(0, size - length)
    if kind > 0.75:
        start = start // GRAIN * GRAIN
    if start >= size:
        start = 0
    return start, min(size, start + length)


def content(rng, length):
    kind = rng.randrange(4)
    if kind == 0:
        return bytes(length)
    if kind == 1:
        return (b"%d words " % rng.randrange(1000) * length)[:length]
    if kind == 2:
        return bytes(length - 1) + b"\1"
    return rng.randbytes(length)


def check_map(h, model, start, end):
    """What it calls zeroes must be zeroes; of the sectors in part of which
    others may be writing it may say what it likes."""
    start, end = -(-start // 512) * 512, end // 512 * 512

    def extent(_context, at, entries, _error):
        for length, flags in zip(entries[::2], entries[1::2]):
            if flags & nbd.STATE_ZERO:
                data = model.data[max(at, start):min(at + length, end)]
                assert not any(data), f"map at {at}: no zeroes"
            at += length

    if start < end:
        h.block_status(end - start, start, extent)


def step(rng, h, model, start, end):
    what, length = rng.random(), end - start
    if what < 0.55:
        data = content(rng, length)
        h.pwrite(data, start,
                 nbd.CMD_FLAG_FUA if rng.random() < 0.05 else 0)
        model.data[start:end] = data
    elif what < 0.65:
        model.zero(h, length, start, rng.choice((0, nbd.CMD_FLAG_NO_HOLE)))
    elif what < 0.75:
        model.trim(h, length, start)
    elif what < 0.77:
        h.flush()
    elif what < 0.82:
        check_map(h, model, start, end)
    else:
        d = difference(h.pread(length, start), bytes(model.data[start:end]))
        assert d is None, f"read at {start}: {d}"


def run(number, seed, steps, server, model, ranges, failures):
    rng = random.Random(seed * 1000 + number)
    try:
        h = server.connect()
        position = model.size // 16 * number
        for _ in range(steps):
            start, end = choose(rng, model.size, position)
            if not ranges.take(start, end):
                continue
            try:
                step(rng, h, model, start, end)
            finally:
                ranges.give(start, end)
            position = end
        h.shutdown()
    except Exception as e:
        failures.append(f"connection {number}: {e!r}")


def main():
    seed, threads, steps = map(int, sys.argv[1:4])
    print(f"seed {seed}, {threads} threads", flush=True)
    server = Server(sys.argv[4], *sys.argv[5:])
    # It stays, so that the stream is completed when all is checked.
    last = server.connect()
    model, ranges, failures = Model(bytes(last.get_size())), Ranges(), []
    last.pwrite(b"x", 0)
    model.data[:1] = b"x"
    writers = [threading.Thread(target=run, args=(
        i, seed, steps, server, model, ranges, failures))
        for i in range(threads)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not failures, failures
    model.check(last)
    assert not os.path.exists(os.environ["STREAM"])
    last.shutdown()
    server.stop()
    model.save(os.environ["RAW"])


main()
