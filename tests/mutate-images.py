# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

"""Serve images of which something was changed at random.

Usage: mutate-images.py COUNT SEED MAX_MIB FOLDER

The folder holds folders, each with an image disk.vmdk that is good.  One after
the other is copied, 1 to 20 bytes or fields of its files are changed, and it is
served, mapped, read whole, and every second time written to.  The server must
not crash, nor take 10 seconds to start or for a request, nor need more than so
many MiB (0: any), nor change a file that is not the image's, and none at all
unless a client writes; what it refuses it refuses in one line; a client is told
errors and not disconnected.  What was written and flushed must be there after a
restart.
"""

import os
import random
import shutil
import struct
import sys
import threading
import time

import nbd
from writing import NotStarted, Server

# Valgrind makes all of it slower.
REQUEST_SECONDS = 60 if os.environ.get("NBDKIT_VALGRIND") == "1" else 10
WINDOW = 128 * 1024
MAX_READ = 16 * 1024 * 1024


class Broken(Exception):
    """Something that must not be."""


def interesting(rng, old, size):
    """A number that a check may have forgotten."""
    bits = 8 * size
    number = rng.choice([
        0, 1, 2, old + 1, old - 1, old * 2, old // 2, old ^ 1 << rng.randrange(
            bits), (1 << rng.randrange(bits)) - 1, 1 << rng.randrange(bits),
        (1 << bits) - 1, rng.getrandbits(bits)])
    return number & (1 << bits) - 1


def change(rng, data):
    """One change, where it hurts half of the time: in front, at the
    end, or where there is something."""
    if not data:
        return
    where = rng.randrange(4)
    if where == 0:
        at = rng.randrange(min(len(data), 512))
    elif where == 1:
        at = max(0, len(data) - 1 - rng.randrange(1536))
    elif where == 2:
        at = rng.randrange(len(data))
    else:
        at = rng.randrange(min(len(data), 65536))
        for sector in range(at // 512 * 512, min(len(data), 1 << 20), 512):
            if any(data[sector:sector + 512]):
                at = min(len(data) - 1, sector + rng.randrange(512))
                break
    size = rng.choice([1, 2, 4, 4, 8])
    at -= at % size
    if rng.randrange(3) == 0 or at + size > len(data):
        data[at] = rng.randrange(256)
        return
    old = int.from_bytes(data[at:at + size], "little")
    data[at:at + size] = interesting(rng, old, size).to_bytes(size, "little")


def mutate(rng, folder):
    names = sorted(os.listdir(folder))
    # Small numbers more often: more of them is less to get through.
    for _ in range(round(20 ** rng.random())):
        path = os.path.join(folder, rng.choice(names))
        with open(path, "rb") as f:
            data = bytearray(f.read())
        if rng.randrange(60) == 0:
            del data[rng.randrange(len(data) + 1):]
        else:
            change(rng, data)
        with open(path, "wb") as f:
            f.write(data)


class Client:
    """A connection whose requests must be answered in time."""

    def __init__(self, server):
        self.server = server
        self.late = False
        try:
            self.h = self.within(server.connect)
        except nbd.Error as e:
            self.alive(e)
            raise

    def alive(self, e):
        if self.late:
            raise Broken(f"no answer within {REQUEST_SECONDS} s")
        if self.server.process.poll() is not None:
            raise Broken(f"the server has ended: {e}")

    def kill(self):
        self.late = True
        self.server.process.kill()

    def within(self, function, *args):
        timer = threading.Timer(REQUEST_SECONDS, self.kill)
        timer.start()
        try:
            return function(*args)
        finally:
            timer.cancel()

    def call(self, function, *args):
        """What the function returns, or None if it failed as it may."""
        try:
            r = self.within(function, *args)
            return True if r is None else r
        except nbd.Error as e:
            self.alive(e)
            # Only a number that the server has sent is an answer.
            if not e.errno or not self.h.aio_is_ready():
                raise Broken(f"disconnected: {e}") from e
            return None


def map_and_read(c, rng, size):
    at = 0
    for _ in range(40):
        entries = []
        if at >= size or c.call(
                c.h.block_status, min(size - at, 1 << 31), at,
                lambda _c, _o, e, _e, to=entries: to.extend(e)) is None:
            break
        at += sum(entries[::2])
    if size <= MAX_READ:
        offsets = range(0, size, 1 << 20)
    else:
        offsets = [0, size - (1 << 20)] + [
            rng.randrange(size - (1 << 20)) for _ in range(10)]
    for offset in offsets:
        c.call(c.h.pread, min(1 << 20, size - offset), offset)


def write(c, rng, size):
    """Returns (offset, content) of what must be there after a restart, or
    None."""
    h = c.h
    count = min(size, WINDOW)
    start = rng.randrange(size - count + 1)
    window = c.call(h.pread, count, start)
    good = window is not None
    window = bytearray(window) if good else bytearray(count)
    for _ in range(6):
        n = rng.randint(1, min(count, 40000))
        at = rng.randrange(count - n + 1)
        what = rng.randrange(4)
        data = rng.randbytes(n) if what < 2 else bytes(n)
        if what < 2:
            done = c.call(h.pwrite, data, start + at)
        elif what == 2:
            done = c.call(h.zero, n, start + at)
        else:
            done = c.call(h.trim, n, start + at)
            data = c.call(h.pread, n, start + at)
        if done is None or data is None:
            good = False
        else:
            window[at:at + n] = data
    if c.call(h.flush) is None or not good:
        return None
    found = c.call(h.pread, count, start)
    if found is None or bytearray(found) != window:
        raise Broken("what was written is not read")
    return start, bytes(window)


def peak_mib(server):
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as f:
        for line in f:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) // 1024
    raise Broken("the server has ended")


def stop(server, max_mib):
    if max_mib and peak_mib(server) > max_mib:
        raise Broken(f"{peak_mib(server)} MiB of memory")
    timer = threading.Timer(30, server.process.kill)
    timer.start()
    server.process.terminate()
    status = server.process.wait()
    timer.cancel()
    # 119: a sanitizer's report, which functions.sh judges.
    if status not in (0, 119):
        raise Broken(f"the server ended with status {status}")


def errors(text):
    return [line for line in text.splitlines()
            if "error: " in line and "error: warning: " not in line]


def in_time(begin):
    seconds = time.monotonic() - begin
    if seconds > REQUEST_SECONDS:
        raise Broken(f"{seconds} s to start")


def serve(image, rng, readonly, max_mib, parameters, expected=None):
    begin = time.monotonic()
    try:
        server = Server(image, "cache-size=1M", *parameters,
                        options=["-r"] if readonly else [])
    except NotStarted as e:
        # 119: a sanitizer's report, which functions.sh judges.
        if e.status not in (1, 119):
            raise Broken(f"not started: {e.status}\n{e}") from e
        in_time(begin)
        if expected:
            raise Broken("what was written is refused") from e
        lines = errors(str(e))
        if len(lines) != 1:
            raise Broken(f"refused in {len(lines)} lines") from e
        return "refused", None
    try:
        in_time(begin)
        try:
            c = Client(server)
        except nbd.Error as e:
            raise Broken(f"cannot connect: {e}") from e
        size = c.h.get_size()
        wrote = None
        state = "read"
        if expected:
            offset, content = expected
            if c.call(c.h.pread, len(content), offset) != content:
                raise Broken("what was flushed is not there")
        else:
            map_and_read(c, rng, size)
            if not readonly and not c.h.is_read_only():
                wrote = write(c, rng, size)
                state = "written"
        c.h.shutdown()
        stop(server, max_mib)
        return state, wrote
    except Broken as e:
        raise Broken(f"{e}\n{server.messages()}") from e
    finally:
        server.kill()
        for path in server.log, server.socket:
            if os.path.exists(path):
                os.unlink(path)


def contents(folder):
    found = {}
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            with open(path, "rb") as f:
                found[name] = f.read()
        else:
            found[name] = None
    return found


def not_written(name, template, state):
    """Does no client write to this file of the folder?  Parents are never
    written."""
    return (state != "written" or name == "bystander" or
            name == "base.vmdk" and "chain" in template)


def main():
    count, seed, max_mib = (int(a) for a in sys.argv[1:4])
    templates = sorted(os.path.join(sys.argv[4], name)
                       for name in os.listdir(sys.argv[4]))
    work = os.path.join(os.environ["OUT"] + ".work")
    folder = os.path.join(work, "disk")
    os.mkdir(work)
    with open(os.path.join(work, "disk-flat.vmdk"), "wb") as f:
        f.write(struct.pack("<Q", 12345) * 8192)
    outside = None
    states = {"refused": 0, "read": 0, "written": 0}
    for number in range(seed, seed + count):
        rng = random.Random(number)
        template = templates[number % len(templates)]
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(template, folder)
        outside = outside or contents(work)
        mutate(rng, folder)
        shutil.copy(os.path.join(work, "disk-flat.vmdk"),
                    os.path.join(folder, "bystander"))
        image = os.path.join(folder, "disk.vmdk")
        parameters = rng.choice([[], [], ["salvage=true"],
                                 ["ignore-cid=true"], ["single-link=true"]])
        before = contents(folder)
        try:
            state, wrote = serve(image, rng, number // len(templates) % 2 == 0,
                                 max_mib, parameters)
            states[state] += 1
            after = contents(folder)
            if wrote:
                serve(image, rng, True, max_mib, parameters, wrote)
                if contents(folder) != after:
                    raise Broken("a reader has changed a file")
            changed = [name for name in before
                       if not_written(name, os.path.basename(template), state)
                       and after.get(name) != before[name]]
            if (contents(work) != outside or after.keys() != before.keys() or
                    changed):
                raise Broken(f"{state}, and a file was changed that may not "
                             f"be: {changed or after.keys() - before.keys()}")
        except Broken as e:
            sys.exit(f"seed {number}, {os.path.basename(template)} "
                     f"{parameters}: {e}")
    print(", ".join(f"{n} {state}" for state, n in states.items()))
    if count >= 100 and min(states.values()) < count // 20:
        sys.exit("there is nothing in that")


main()
