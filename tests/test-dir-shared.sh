#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Clients of a disk share it, and those of other disks do not notice; when the
# last has gone the disk is closed, and other programs can have it.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/dir-functions.sh
. "$srcdir/dir-functions.sh"

requires qemu-io --version
make_disk one monolithicSparse
make_disk two monolithicFlat
make_disk three twoGbMaxExtentSparse --extent-size=512K

"$PYTHON" - <<'END'
import os
import subprocess
import threading
from exports import Exports, load

SIZE = 1024 * 1024
folder, raws = os.environ["DIR"], os.environ["RAWS"]
models = {name: bytearray(load(f"{raws}/{name}.raw"))
          for name in ("one", "two", "three")}


def qemu_gets(name):
    r = subprocess.run(["qemu-io", "-f", "vmdk", "-c", "read 0 512",
                        f"{folder}/{name}.vmdk"], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, timeout=60,
                       check=False)
    assert r.returncode == 0 or "lock" in r.stdout, r.stdout
    return r.returncode == 0


server = Exports("dir=" + folder)
assert server.has_open(folder) == []

# Two clients of each of two disks, all at once; each has a half of its disk.
handles = {name: [server.connect(name + ".vmdk") for _ in range(2)]
           for name in ("one", "two")}
assert server.has_open(folder) == ["one.vmdk", "two-flat.vmdk", "two.vmdk"]


def write(name, half):
    h = handles[name][half]
    for i in range(60):
        at = half * SIZE // 2 + i * 8192 + 100
        data = bytes([i + 1 + 100 * half]) * 5000
        h.pwrite(data, at)
        models[name][at:at + len(data)] = data


threads = [threading.Thread(target=write, args=(name, half))
           for name in handles for half in (0, 1)]
for t in threads:
    t.start()
for t in threads:
    t.join()
for name, both in handles.items():
    for h in both:
        assert h.pread(SIZE, 0) == models[name], name

# One lock for both clients, and none on what nobody uses.
assert not qemu_gets("one")
assert qemu_gets("three")
handles["one"][0].shutdown()
assert handles["one"][1].pread(SIZE, 0) == models["one"]
assert not qemu_gets("one")
handles["one"][1].shutdown()
server.wait_until_open(folder, ["two-flat.vmdk", "two.vmdk"])
assert qemu_gets("one")
assert not qemu_gets("two")

# A disk that another program has is refused, and no other.
p = subprocess.Popen(["qemu-io", "-f", "vmdk", folder + "/three.vmdk"],
                     text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
p.stdin.write("read 0 512\n")
p.stdin.flush()
while "ops" not in p.stdout.readline():
    pass
server.refuses("three.vmdk", "is in use by another program")
assert server.has_open(folder) == ["two-flat.vmdk", "two.vmdk"]
assert server.connect("one.vmdk").pread(SIZE, 0) == models["one"]
p.communicate("quit\n")
assert server.connect("three.vmdk").pread(SIZE, 0) == models["three"]
for h in handles["two"]:
    h.shutdown()
server.stop()

# All is in the files.
server = Exports("dir=" + folder, options=["-r"])
for name, model in models.items():
    h = server.connect(name + ".vmdk")
    assert h.is_read_only()
    assert h.pread(SIZE, 0) == model, name
    h.shutdown()
server.wait_until_open(folder, [])
server.stop()
END
