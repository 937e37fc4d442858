#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A link in the folder leads out of it only where allow-dir= permits, also if it
# is made while the disk is being opened.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/dir-functions.sh
. "$srcdir/dir-functions.sh"

mkdir "$TMP/out"
mkvmdk --model="$TMP/secret.raw" --size=1M --seed=7 monolithicSparse \
  "$TMP/out/secret.vmdk"
make_disk swapped monolithicSparse
ln -s ../out/secret.vmdk "$DIR/link.vmdk"
ln -s "$TMP/out" "$DIR/folder"
printf '# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\n' \
  >"$DIR/extent.vmdk"
printf 'createType="custom"\nRW 2048 SPARSE "../out/secret.vmdk"\n' \
  >>"$DIR/extent.vmdk"

lists dir="$DIR" 'extent.vmdk swapped.vmdk'
lists dir="$DIR" 'extent.vmdk swapped.vmdk' allow-dir="$DIR"
# The link leads to an extent.
lists dir="$DIR" 'extent.vmdk swapped.vmdk' allow-dir="$TMP/out"
rm "$DIR/extent.vmdk"
lists dir="$DIR" 'link.vmdk swapped.vmdk' allow-dir="$TMP/out"
lists dir="$DIR" 'link.vmdk swapped.vmdk' allow-dir=/

"$PYTHON" - <<'END'
import os
import threading
import nbd
from exports import Exports, load

folder, raws = os.environ["DIR"], os.environ["RAWS"]
inside, secret = load(raws + "/swapped.raw"), load(raws + "/secret.raw")
assert inside != secret

server = Exports("dir=" + folder, options=["-r"])
for name in "link.vmdk", "folder/secret.vmdk", "folder":
    server.refuses(name, "there is no disk that is called")

# The name is the disk and a link to the secret, by turns.
disk, kept, link, new = (f"{folder}/{name}" for name in
                         ("swapped.vmdk", ".kept", ".link", ".new"))
os.rename(disk, kept)
os.symlink("../out/secret.vmdk", link)
enough = threading.Event()


def swap():
    while not enough.is_set():
        for source in link, kept:
            os.link(source, new, follow_symlinks=False)
            os.rename(new, disk)


thread = threading.Thread(target=swap)
thread.start()
opened = refused = 0
try:
    for _ in range(300):
        try:
            h = server.connect("swapped.vmdk")
        except nbd.Error:
            refused += 1
            continue
        assert h.pread(len(inside), 0) == inside
        h.shutdown()
        opened += 1
        assert set(server.names()) <= {"swapped.vmdk"}
finally:
    enough.set()
    thread.join()
assert opened > 0, refused
print(opened, "opened", refused, "refused")
server.stop()

server = Exports("dir=" + folder, "allow-dir=" + raws + "/out", options=["-r"])
assert server.connect("link.vmdk").pread(len(secret), 0) == secret
server.stop()
END
