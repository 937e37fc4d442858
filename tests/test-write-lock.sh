#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Locks, against other servers and against QEMU: one writer and nobody else, or
# any number of readers; until the client disconnects or the program ends.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires_qemu_img
requires qemu-io --version
requires qemu-nbd --version
export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1

# check KIND [OPTION OF MKVMDK...]
check ()
{
  make_image "$@"
  "$PYTHON" - <<'END'
import os
import subprocess
import time
import nbd
from writing import Model, NotStarted, Server

image = os.environ["IMAGE"]
NBD_SOCKET = os.environ["OUT"] + ".qn.sock"
model = Model.load()


def run(*words):
    return subprocess.run(words, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60, text=True)


def refused(*words):
    r = run(*words)
    assert r.returncode != 0, (words, r.stdout)
    assert 'Failed to get' in r.stdout and "lock" in r.stdout, r.stdout


def allowed(*words):
    r = run(*words)
    assert r.returncode == 0 and "ailed" not in r.stdout, (words, r.stdout)


# To open it for writing is enough: QEMU writes not every kind well.
WRITERS = (("qemu-io", "-f", "vmdk", "-c", "read 0 512", image),
           ("qemu-nbd", "-f", "vmdk", "-t", "-k", NBD_SOCKET, image))
READERS = (("qemu-io", "-r", "-f", "vmdk", "-c", "read 0 512", image),
           ("qemu-img", "info", "-f", "vmdk", image),
           ("qemu-img", "compare", "-f", "vmdk", "-F", "vmdk", image, image))


def qemu(writers, readers):
    """Are QEMU's programs let in?"""
    if writers:
        allowed(*WRITERS[0])
        stop(qemu_nbd())
    else:
        for words in WRITERS:
            refused(*words)
    for words in READERS:
        (allowed if readers else refused)(*words)


def qemu_nbd():
    """It listens before it opens the disk: only one that answers has it."""
    p = subprocess.Popen(WRITERS[1])
    while p.poll() is None:
        h = nbd.NBD()
        try:
            h.connect_unix(NBD_SOCKET)
        except nbd.Error:
            time.sleep(0.02)
            continue
        h.shutdown()
        return p
    raise AssertionError("qemu-nbd has ended")


def stop(p):
    p.terminate()
    p.wait(60)
    if os.path.exists(NBD_SOCKET):
        os.unlink(NBD_SOCKET)


def qemu_io(*options):
    """It has the disk open until it is told to quit."""
    p = subprocess.Popen(["qemu-io", *options, "-f", "vmdk", image],
                         text=True, stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE)
    p.stdin.write("read 0 512\n")
    p.stdin.flush()
    while "ops" not in p.stdout.readline():
        pass
    return p


def connection_refused(server, words="is in use by another program"):
    try:
        server.connect()
    except nbd.Error:
        pass
    else:
        raise AssertionError("a second writer was let in")
    assert words in server.messages(), server.messages()


def server_refused(options=()):
    try:
        Server(image, options=options)
    except NotStarted as e:
        assert "is in use by another program" in str(e), e
    else:
        raise AssertionError("a server started")


def eventually(function):
    """The server sees that its client has gone a little later."""
    for _ in range(600):
        try:
            return function()
        except NotStarted:
            time.sleep(0.1)
    return function()


# While there is a client that may write, nobody else may even read.
first, second = Server(image), Server(image)
reader = Server(image, options=["-r"])
connection_refused(first)       # others read it
reader.stop()
connection_refused(first)
second.stop()
h = first.connect()
server_refused()
server_refused(["-r"])
qemu(writers=False, readers=False)
model.write(h, 70000, 1234)
qemu(writers=False, readers=False)
# More clients of the same server.
other = first.connect()
h.shutdown()
qemu(writers=False, readers=False)
model.check(other)
other.shutdown()

# When it has gone, readers may come, of all kinds.
second = eventually(lambda: Server(image, options=["-r"]))
third = Server(image, options=["-r"])
for server in (second, third):
    server.connect()
    model.check(server.connect())
qemu(writers=False, readers=True)
connection_refused(first)
second.stop()
third.stop()
model.check(first.connect())
# All is released by a server that ends, and by one that is killed.
first.stop()
qemu(writers=True, readers=True)
server = Server(image)
h = server.connect()
server_refused()
server.kill()
server = Server(image)
h = server.connect()
model.check(h)
h.shutdown()
server.stop()

# And the other way round: QEMU writes,
p = qemu_io()
server_refused()
server_refused(["-r"])
p.communicate("quit\n")
assert p.returncode == 0
p = qemu_nbd()
try:
    server_refused()
    server_refused(["-r"])
finally:
    stop(p)

# or reads.
p = qemu_io("-r")
server = Server(image, options=["-r"])
model.check(server.connect())
server.stop()
server = Server(image)
connection_refused(server)
p.communicate("quit\n")
h = server.connect()
model.write(h, 5, 5)
h.shutdown()
server.stop()
END
}

check monolithicSparse --size=3M
check twoGbMaxExtentSparse --size=3M --extent-size=1M
check monolithicFlat --size=3M
check vmfsSparse --size=3M

# A parent of a disk that is being written may be read, but not written; two
# snapshots of it may be written at once.
make_image monolithicSparse --size=3M
mv "$IMAGE" "$TMP/disk/base.vmdk"
for child in "$IMAGE" "$TMP/disk/second.vmdk"; do
  mkvmdk --parent="$TMP/disk/base.vmdk" --size=3M monolithicSparse "$child"
done
"$PYTHON" - "$TMP/disk/base.vmdk" "$TMP/disk/second.vmdk" <<'END'
import os
import subprocess
import sys
import nbd
from writing import Server

base, second = sys.argv[1:]
first = Server(os.environ["IMAGE"])
h = first.connect()
h.pwrite(b"x", 0)
other = Server(second)
other.connect().pwrite(b"x", 0)
for options, wanted in (["-r"], 0), ([], 1):
    r = subprocess.run(["qemu-io", *options, "-f", "vmdk", "-c",
                        "read 0 512", base], check=False)
    assert r.returncode == wanted
reader = Server(base, options=["-r"])
reader.connect().pread(1, 0)
reader.stop()
writer = Server(base)
try:
    writer.connect()
except nbd.Error:
    assert "is in use" in writer.messages(), writer.messages()
else:
    sys.exit("the parent may be written")
writer.stop()
h.shutdown()
other.stop()
first.stop()
END
