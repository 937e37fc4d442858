# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

"""Servers, clients and models for the tests that write.

A test that uses it sets PYTHONPATH to $srcdir, and has IMAGE, MODEL and OUT
from image-functions.sh.
"""

import atexit
import errno
import hashlib
import os
import random
import signal
import struct
import subprocess
import time

import nbd

rng = random.Random(1)
CHUNK = 16 * 1024 * 1024


def connect(uri):
    h = nbd.NBD()
    h.add_meta_context("base:allocation")
    h.set_full_info(True)
    h.connect_uri(uri)
    return h


class NotStarted(Exception):
    """nbdkit has ended with this status, or is not ready after a minute (None),
    with these messages."""

    def __init__(self, messages, status):
        super().__init__(messages)
        self.status = status


class Server:
    """An nbdkit that serves an image until it is stopped or killed; with
    the parameters that are in PARAMETERS too."""

    count = 0

    def __init__(self, image, *parameters, options=()):
        Server.count += 1
        base = f"{os.environ['OUT']}.{os.getpid()}.{Server.count}"
        self.socket, self.log = base + ".sock", base + ".log"
        self.uri = "nbd+unix:///?socket=" + self.socket
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["nbdkit", "-f", "--exit-with-parent", *options,
                 "-P", base + ".pid", "-U", self.socket, "vmdk", image,
                 *os.environ.get("PARAMETERS", "").split(), *parameters],
                stderr=log)
        atexit.register(self.kill)
        for _ in range(3000):
            if os.path.exists(base + ".pid"):
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        status = self.process.poll()
        self.kill()
        raise NotStarted(self.messages(), status)

    def connect(self):
        return connect(self.uri)

    def messages(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self):
        """End it as a user would: nothing must be lost."""
        self.process.send_signal(signal.SIGTERM)
        # 119 is a report of a sanitizer, which functions.sh judges: nbdkit
        # itself may leak a connection.
        assert self.process.wait(60) in (0, 119), self.messages()

    def kill(self):
        """End it as a crash would."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def difference(got, wanted):
    """Where two strings of bytes are not the same."""
    if len(got) != len(wanted):
        return f"length {len(got)}, not {len(wanted)}"
    low, high = 0, len(got)
    if got == wanted:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if got[low:middle] != wanted[low:middle]:
            high = middle
        else:
            low = middle
    return f"at byte {low}: {got[low:low + 16]!r}, not {wanted[low:low + 16]!r}"


class Model:
    """What a disk must hold."""

    def __init__(self, data):
        self.data = bytearray(data)
        self.size = len(self.data)

    @classmethod
    def load(cls, path=None):
        with open(path or os.environ["MODEL"], "rb") as f:
            return cls(f.read())

    def save(self, path):
        with open(path, "wb") as f:
            f.write(self.data)

    def write(self, h, count, offset, flags=0):
        data = rng.randbytes(count)
        h.pwrite(data, offset, flags)
        self.data[offset:offset + count] = data
        return data

    def zero(self, h, count, offset, flags=0):
        h.zero(count, offset, flags)
        self.data[offset:offset + count] = bytes(count)

    def trim(self, h, count, offset, flags=0):
        """Each sector stays as it is, or is zeroes; sectors that are
        trimmed in part can only stay where they are not trimmed."""
        old = bytes(self.data[offset:offset + count])
        h.trim(count, offset, flags)
        new = read(h, count, offset)
        at = 0
        while at < count:
            end = min(count, at + 512 - (offset + at) % 512)
            if new[at:end] != old[at:end] and any(new[at:end]):
                raise AssertionError(f"trim at {offset + at}: new content")
            at = end
        self.data[offset:offset + count] = new

    def check(self, h, count=None, offset=0):
        if count is None:
            assert h.get_size() == self.size
            count = self.size
        end = min(self.size, offset + count)
        for at in range(max(0, offset), end, CHUNK):
            n = min(CHUNK, end - at)
            d = difference(h.pread(n, at), bytes(self.data[at:at + n]))
            assert d is None, f"read at {at}: {d}"


def read(h, count, offset):
    return b"".join(h.pread(min(CHUNK, offset + count - at), at)
                    for at in range(offset, offset + count, CHUNK))


def fails(number, function, *args):
    """The call must fail with this errno."""
    try:
        function(*args)
    except nbd.Error as e:
        assert e.errnum == number, (e, errno.errorcode[number])
        return
    raise AssertionError(f"{function} {args[1:]} did not fail")


def allocation(h, count, offset):
    """The map of a range: [start, end, is hole], neighbours merged."""
    runs = []

    def add(_context, at, entries, _error):
        for length, flags in zip(entries[::2], entries[1::2]):
            hole = flags == nbd.STATE_HOLE | nbd.STATE_ZERO
            assert hole or flags == 0, flags
            end = min(at + length, offset + count)
            if runs and runs[-1][2] == hole:
                runs[-1][1] = end
            else:
                runs.append([at, end, hole])
            at += length

    at = offset
    while at < offset + count:
        h.block_status(offset + count - at, at, add)
        at = runs[-1][1]
    return runs


def is_hole(h, count, offset):
    return allocation(h, count, offset) == [[offset, offset + count, True]]


def is_data(h, count, offset):
    return allocation(h, count, offset) == [[offset, offset + count, False]]


def checksums(*paths):
    sums = {}
    for path in paths:
        with open(path, "rb") as f:
            sums[path] = hashlib.sha256(f.read()).hexdigest()
    return sums


def files(folder):
    return sorted(os.path.join(folder, name) for name in os.listdir(folder))


class Sparse:
    """The header and tables in a hosted sparse or COWD file, as they are
    now."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.bytes = f.read()
        self.is_cowd = self.bytes[:4] == b"COWD"
        if self.is_cowd:
            self.capacity, self.grain, gd, n = self.words(12, 4)
            self.free_sector = self.words(28, 1)[0]
            self.unclean = self.words(1648, 1)[0]
            self.entries, self.overhead = 4096, gd + (n * 4 + 511) // 512
            directories = [gd]
        else:
            assert self.bytes[:4] == b"KDMV", self.bytes[:4]
            self.capacity, self.grain = struct.unpack_from("<QQ", self.bytes,
                                                           12)
            self.entries, rgd, gd, self.overhead = struct.unpack_from(
                "<IQQQ", self.bytes, 44)
            self.unclean = self.bytes[72]
            directories = [gd, rgd] if rgd else [gd]
        self.grains = -(-self.capacity // self.grain)
        tables = -(-self.grains // self.entries)
        self.directories = [self.words(512 * d, tables) for d in directories]
        self.copies = [self.load(d) for d in self.directories]

    def words(self, offset, n):
        return list(struct.unpack_from(f"<{n}I", self.bytes, offset))

    def load(self, directory):
        entries = []
        for gde in directory:
            entries += (self.words(512 * gde, self.entries) if gde
                        else [0] * self.entries)
        return entries[:self.grains]

    def end(self):
        """The first sector behind everything that is in use."""
        last = [self.overhead]
        table = -(-self.entries // 128)
        for d, copy in zip(self.directories, self.copies):
            last += [gde + table for gde in d if gde]
            last += [gte + self.grain for gte in copy if gte > 1]
        return max(last)

    def check(self):
        """Both copies are the same, and nothing lies upon another thing."""
        assert all(c == self.copies[0] for c in self.copies), "RGT != GT"
        table = -(-self.entries // 128)
        used = []
        for d in self.directories:
            used += [(gde, gde + table) for gde in d if gde]
        used += [(gte, gte + self.grain) for gte in self.copies[0] if gte > 1]
        used.sort()
        for (start, end), (after, _) in zip(used, used[1:]):
            assert end <= after, f"sector {after} belongs to two things"
        if used:
            assert used[-1][1] * 512 <= len(self.bytes) + self.grain * 512
            assert (used[-1][1] - self.grain) * 512 < len(self.bytes)
        return self
