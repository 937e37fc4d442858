# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

"""Kill servers under a client that writes, and look what is left.

Usage: write-until-killed.py ROUNDS

In each round a thread writes to $IMAGE at random places with a random mix of
requests, through two connections, until the server is killed, a random time
later.  What has been written since the last flush that has returned may be
there or not, sector by sector; all else must be.  $MODEL becomes what is there
in the end.
"""

import os
import sys
import threading
import time

import nbd
from writing import Model, Server, difference, rng

SECTOR = 512


class Client:
    """Writes until it cannot."""

    def __init__(self, server, flushed):
        self.flushed = flushed          # content of each sector that is sure
        self.maybe = {}                 # sector: what else it may hold
        self.clients = [server.connect(), server.connect()]
        self.flushes = 0
        self.newest = bytearray(flushed)

    def change(self, sector, count, data):
        """Before it is sent."""
        for i in range(count):
            at = i * SECTOR
            self.maybe.setdefault(sector + i, []).append(
                data[at:at + SECTOR])

    def run(self):
        try:
            while True:
                self.step(rng.choice(self.clients))
        except nbd.Error:
            pass

    def step(self, h):
        size = len(self.flushed)
        count = rng.choice((1, 1, 8, 8, 100, 300))
        sector = rng.randint(0, size // SECTOR - count)
        what = rng.random()
        offset, length = sector * SECTOR, count * SECTOR
        if what < 0.1:
            h.flush()
            self.durable()
            return
        if what < 0.8:
            data = rng.randbytes(length)
            fua = what < 0.12
            self.change(sector, count, data)
            h.pwrite(data, offset, nbd.CMD_FLAG_FUA if fua else 0)
            self.newest[offset:offset + length] = data
            if fua:
                self.durable(sector, count)
        elif what < 0.9:
            self.change(sector, count, bytes(length))
            h.zero(length, offset)
            self.newest[offset:offset + length] = bytes(length)
        else:
            self.change(sector, count, bytes(length))
            h.trim(length, offset)
            got = h.pread(length, offset)
            self.newest[offset:offset + length] = got

    def durable(self, sector=0, count=None):
        """What has returned before is sure now."""
        self.flushes += 1
        for s in (list(self.maybe) if count is None
                  else range(sector, sector + count)):
            at = s * SECTOR
            self.flushed[at:at + SECTOR] = self.newest[at:at + SECTOR]
            self.maybe.pop(s, None)

    def check(self, got):
        wanted = bytearray(self.flushed)
        for sector, contents in self.maybe.items():
            at = sector * SECTOR
            if got[at:at + SECTOR] in contents:
                wanted[at:at + SECTOR] = got[at:at + SECTOR]
        d = difference(bytes(got), bytes(wanted))
        assert d is None, f"{self.flushes} flushes, then killed: {d}"


def main():
    content = bytearray(Model.load().data)
    flushes = 0
    for i in range(int(sys.argv[1])):
        server = Server(os.environ["IMAGE"])
        client = Client(server, content)
        thread = threading.Thread(target=client.run)
        thread.start()
        time.sleep(rng.uniform(0, 0.4))
        server.kill()
        thread.join()
        flushes += client.flushes

        # A reader sees it, and the next writer.
        server = Server(os.environ["IMAGE"], options=["-r"] if i % 2 else [])
        h = server.connect()
        content = bytearray(h.pread(len(content), 0))
        client.check(content)
        h.shutdown()
        server.stop()
    print(flushes, "flushes")
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
