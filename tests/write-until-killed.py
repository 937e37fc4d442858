# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

"""Kill servers under clients that write, and look what is left.

Usage: write-until-killed.py ROUNDS

In each round four threads, each with a connection of its own, send random
mixes of requests to $IMAGE until the server is killed, a random time later.
The disk is cut into stripes that take turns and share grains; a thread writes
to its own stripes only, and so knows what they may hold.  What a thread has
written since its last flush that has returned may be there or not, sector by
sector; all else must be.  $MODEL becomes what is there in the end.
"""

import os
import random
import sys
import threading
import time

import nbd
from writing import Model, Server, difference, rng

SECTOR = 512
STRIPE = 75                     # sectors: no multiple of a grain
THREADS = 4


class Client:
    """Writes until it cannot."""

    def __init__(self, server, flushed, number):
        self.flushed = flushed          # content of each sector that is sure
        self.newest = bytearray(flushed)
        self.maybe = {}                 # sector: what else it may hold
        self.number = number
        self.rng = random.Random(rng.random())
        self.server = server
        self.h = server.connect()
        self.flushes = 0
        self.problem = None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            while True:
                self.step()
        except Exception as e:
            if not (isinstance(e, nbd.Error) and self.server.killed):
                self.problem = e

    def choose(self):
        """A range in one stripe: sector and number of sectors."""
        sectors = len(self.flushed) // SECTOR
        stripes = -(-sectors // STRIPE)
        stripe = self.rng.randrange(self.number, stripes, THREADS)
        start, end = stripe * STRIPE, min((stripe + 1) * STRIPE, sectors)
        count = min(self.rng.choice((1, 1, 8, 8, 30, STRIPE)), end - start)
        return self.rng.randint(start, end - count), count

    def step(self):
        what = self.rng.choices(
            (self.flush, self.write, self.zero, self.trim, self.read),
            (10, 60, 12, 12, 10))[0]
        if what == self.flush:
            self.flush()
            return
        sector, count = self.choose()
        fua = self.rng.random() < 0.08
        what(sector, count, nbd.CMD_FLAG_FUA if fua else 0)
        if fua and what != self.read:
            self.durable(range(sector, sector + count))

    def flush(self):
        self.h.flush()
        self.durable(list(self.maybe))

    def begin(self, sector, count, data):
        """Before it is sent."""
        for i in range(count):
            at = i * SECTOR
            self.maybe.setdefault(sector + i, []).append(
                data[at:at + SECTOR])

    def done(self, sector, data):
        offset = sector * SECTOR
        self.newest[offset:offset + len(data)] = data

    def write(self, sector, count, flags):
        data = self.rng.randbytes(count * SECTOR)
        self.begin(sector, count, data)
        self.h.pwrite(data, sector * SECTOR, flags)
        self.done(sector, data)

    def zero(self, sector, count, flags):
        data = bytes(count * SECTOR)
        self.begin(sector, count, data)
        self.h.zero(len(data), sector * SECTOR, flags |
                    self.rng.choice((0, nbd.CMD_FLAG_NO_HOLE)))
        self.done(sector, data)

    def trim(self, sector, count, flags):
        length = count * SECTOR
        self.begin(sector, count, bytes(length))
        self.h.trim(length, sector * SECTOR, flags)
        self.done(sector, self.h.pread(length, sector * SECTOR))

    def read(self, sector, count, _flags):
        offset, length = sector * SECTOR, count * SECTOR
        d = difference(bytes(self.h.pread(length, offset)),
                       bytes(self.newest[offset:offset + length]))
        assert d is None, f"read at {offset}: {d}"

    def durable(self, sectors):
        """What has returned before is sure now."""
        self.flushes += 1
        for s in sectors:
            at = s * SECTOR
            self.flushed[at:at + SECTOR] = self.newest[at:at + SECTOR]
            self.maybe.pop(s, None)

    def check(self, got):
        """Only this thread's stripes."""
        assert self.problem is None, self.problem
        wanted = bytearray(got)
        for start in range(self.number * STRIPE, len(got) // SECTOR,
                           THREADS * STRIPE):
            for s in range(start, min(start + STRIPE, len(got) // SECTOR)):
                at = s * SECTOR
                if got[at:at + SECTOR] not in self.maybe.get(s, []):
                    wanted[at:at + SECTOR] = self.flushed[at:at + SECTOR]
        d = difference(bytes(got), bytes(wanted))
        assert d is None, f"{self.flushes} flushes, then killed: {d}"


def kill_once(content):
    """Returns the clients, with what they know."""
    server = Server(os.environ["IMAGE"])
    server.killed = False
    clients = [Client(server, bytearray(content), i) for i in range(THREADS)]
    time.sleep(rng.uniform(0, 0.4))
    server.killed = True
    server.kill()
    for client in clients:
        client.thread.join()
    return clients


def main():
    content = bytearray(Model.load().data)
    flushes = 0
    for i in range(int(sys.argv[1])):
        clients = kill_once(content)
        flushes += sum(client.flushes for client in clients)

        # A reader sees it, and the next writer.
        server = Server(os.environ["IMAGE"], options=["-r"] if i % 2 else [])
        h = server.connect()
        content = bytearray(h.pread(len(content), 0))
        for client in clients:
            client.check(content)
        h.shutdown()
        server.stop()
    print(flushes, "flushes")
    assert flushes > 0
    server = Server(os.environ["IMAGE"])
    h = server.connect()
    h.pwrite(b"the end", 0)
    content[:7] = b"the end"
    model = Model(content)
    model.check(h)
    h.shutdown()
    server.stop()
    model.save(os.environ["MODEL"])


main()
