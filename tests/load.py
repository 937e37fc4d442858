# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

"""Many clients at once, each with many requests.

Usage: load.py SECONDS CONNECTIONS MAX_MIB

$IMAGE, whose content is $MODEL, is served.  Each client has a part of the disk
of its own, with 16 slots, and one request for each slot under way: reads, which
must give what was written last, writes, zeroes, trims, flushes, and questions
about the allocation.  Meanwhile other clients come, write to a part that is
nobody's, and are killed, with requests under way unless nbdkit is older than
1.34 and may end then, by a fault of its own that the manual page tells of.  The
server's memory must stay below so many MiB (0: not looked at), and not grow
between the middle and the end.  In the end the server is told to stop while all
are busy: its files must be in order, and what had been acknowledged must be
there when the disk is opened again.
"""

import errno
import os
import random
import subprocess
import sys
import threading
import time

import nbd
from writing import Model, Server, Sparse, connect, files

SLOTS = 16
# From now on connections may end.
terminating = threading.Event()


class Slot:
    def __init__(self, offset, data):
        self.offset = offset
        self.data = data
        self.known = True
        self.busy = False


class Client(threading.Thread):
    """One connection, in a thread of its own."""

    def __init__(self, uri, number, offset, count, model):
        super().__init__()
        self.h = connect(uri)
        self.rng = random.Random(number)
        size = count // SLOTS
        self.slots = [Slot(at, bytearray(model[at:at + size]))
                      for at in range(offset, offset + SLOTS * size, size)]
        self.stopping = self.stopped_by_server = False
        self.requests = 0
        self.error = None

    def fail(self, text):
        self.error = self.error or text

    def start_request(self, slot):
        size = len(slot.data)
        n = self.rng.randint(1, size)
        at = self.rng.randrange(size - n + 1)
        what = self.rng.randrange(100)
        slot.busy = True
        self.requests += 1
        if what < 35 or not slot.known:
            self.read(slot)
        elif what < 70:
            data = self.rng.randbytes(n)
            self.submit(slot, self.h.aio_pwrite, data, slot.offset + at,
                        change=(at, data))
        elif what < 80:
            self.submit(slot, self.h.aio_zero, n, slot.offset + at,
                        change=(at, bytes(n)))
        elif what < 90:
            self.submit(slot, self.h.aio_trim, n, slot.offset + at,
                        change=(at, None))
        elif what < 95:
            self.submit(slot, self.h.aio_flush)
        else:
            self.submit(slot, self.h.aio_block_status, size, slot.offset,
                        lambda *_: 0)

    def submit(self, slot, function, *args, change=None):
        def done(error):
            slot.busy = False
            if error.value:
                self.failed(error.value)
                slot.known = slot.known and change is None
            elif change:
                at, data = change
                if data is None:
                    slot.known = False      # old or zeroes: a read will tell
                else:
                    slot.data[at:at + len(data)] = data
            return 1
        function(*args, done)

    def read(self, slot):
        # nbd.Buffer is never freed, in libnbd 1.14.
        data = bytearray(len(slot.data))

        def done(error):
            slot.busy = False
            if error.value:
                self.failed(error.value)
                return 1
            if slot.known and data != slot.data:
                self.fail(f"read at {slot.offset}: not what was written")
            slot.data, slot.known = data, True
            return 1
        self.h.aio_pread(data, slot.offset, done)

    def failed(self, number):
        if not terminating.is_set():
            self.fail(f"a request failed: {errno.errorcode.get(number)}")
        self.stopped_by_server = True

    def run(self):
        try:
            while True:
                more = not (self.stopping or self.stopped_by_server)
                for slot in self.slots:
                    if more and not slot.busy:
                        self.start_request(slot)
                if not any(s.busy for s in self.slots):
                    break
                self.h.poll(1000)
            self.h.shutdown()
        except nbd.Error as e:
            if not terminating.is_set():
                self.fail(str(e))
            self.stopped_by_server = True
        for slot in self.slots:
            if slot.busy:
                slot.known = False


# At least one, and until its input ends; it prints a line for each that has
# died.
VICTIMS = """
import os, random, select, signal, sys, nbd
offset, count, wait = (int(a) for a in sys.argv[2:])
for number in range(sys.maxsize):
    pid = os.fork()
    if pid == 0:
        rng = random.Random(number)
        h = nbd.NBD()
        h.connect_uri(sys.argv[1])
        cookies = []
        for _ in range(rng.randrange(1, 20)):
            n = rng.randint(1, min(count, 100000))
            at = offset + rng.randrange(count - n + 1)
            what = rng.randrange(5)
            if what == 0:
                cookies.append(h.aio_zero(n, at))
            elif what == 1:
                cookies.append(h.aio_pread(bytearray(n), at))
            else:
                cookies.append(h.aio_pwrite(rng.randbytes(n), at))
            if rng.randrange(3) == 0:
                h.poll(1)
        if not wait:
            del cookies[rng.randrange(len(cookies)):]
        for cookie in cookies:
            while not h.aio_command_completed(cookie):
                h.poll(1000)
        os.kill(os.getpid(), signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == 9, status
    print(number, flush=True)
    if select.select([sys.stdin], [], [], 0)[0]:
        break
"""


class Memory(threading.Thread):
    """What the server needs, as it goes on."""

    def __init__(self, server):
        super().__init__()
        self.server = server
        self.samples = []
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(0.05):
            self.samples.append(rss_mib(self.server))

    def check(self, max_mib):
        samples, third = self.samples, len(self.samples) // 3
        middle, end = max(samples[third:2 * third]), max(samples[2 * third:])
        print(f"memory: at most {max(samples):.1f} MiB, {len(samples)} times; "
              f"{middle:.1f} and then {end:.1f}")
        assert max(samples) <= max_mib, f"{max(samples)} MiB"
        assert third >= 5, "too short to tell whether it grows"
        # Each of a thousand threads has a buffer of nbdkit's as large as its
        # largest request, and those of new clients have had none.
        assert end <= middle * 1.2 + 4, f"grows from {middle} to {end} MiB"


def is_fragile():
    """Must clients not disappear before they have their answers?"""
    version = subprocess.check_output(["nbdkit", "--version"]).split()[1]
    return tuple(int(n) for n in version.split(b".")[:2]) < (1, 34)


def check_files(folder):
    """The files that were written are in order, and closed."""
    for path in files(folder):
        with open(path, "rb") as f:
            magic = f.read(4)
        if (os.path.basename(path).startswith("disk") and
                magic in (b"KDMV", b"COWD")):
            assert Sparse(path).check().unclean == 0, path


def rss_mib(server):
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as f:
        for line in f:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    raise AssertionError("the server has ended")


def main():
    seconds, connections, max_mib = (int(a) for a in sys.argv[1:])
    image = os.environ["IMAGE"]
    model = Model.load()
    part = model.size // (connections + 1) // 512 * 512
    server = Server(image)
    clients = [Client(server.uri, i, i * part, part, model.data)
               for i in range(connections)]
    for c in clients:
        c.start()
    memory = Memory(server)
    memory.start()
    victims = subprocess.Popen(
        [sys.executable, "-c", VICTIMS, server.uri, str(connections * part),
         str(part), str(int(is_fragile()))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    end = time.monotonic() + seconds
    while time.monotonic() < end and not any(c.error for c in clients):
        time.sleep(0.1)
    killed = len(victims.communicate(b"end")[0].splitlines())
    memory.ended.set()
    memory.join()
    # It stops when the last client has gone.
    terminating.set()
    server.process.terminate()
    time.sleep(0.2)
    for c in clients:
        c.stopping = True
    for c in clients:
        c.join(60)
        assert not c.is_alive(), "a client waits for ever"
    status = server.process.wait(120)
    wrong = [c.error for c in clients if c.error]
    assert not wrong, wrong
    assert status in (0, 119), (status, server.messages())
    print(f"{sum(c.requests for c in clients)} requests, {killed} clients "
          "killed")
    assert victims.returncode == 0 and killed > 0, (victims.returncode, killed)
    if max_mib:
        memory.check(max_mib)
    check_files(os.path.dirname(image))

    server = Server(image, options=["-r"])
    h = server.connect()
    known = 0
    for c in clients:
        for slot in c.slots:
            if slot.known:
                known += 1
                assert h.pread(len(slot.data), slot.offset) == slot.data, (
                    f"{slot.offset}: lost")
    print(f"{known} of {connections * SLOTS} slots were known, and right")
    with open(os.environ["MODEL"], "wb") as f:
        f.write(b"".join(h.pread(min(1 << 20, model.size - at), at)
                         for at in range(0, model.size, 1 << 20)))
    h.shutdown()
    server.stop()


main()
