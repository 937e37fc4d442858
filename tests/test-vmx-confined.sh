#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The disks of a virtual machine are confined as what a descriptor names is.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/dir-functions.sh
. "$srcdir/dir-functions.sh"

mkdir "$TMP/out" "$DIR/sub"
mkvmdk --size=1M monolithicSparse "$TMP/out/secret.vmdk"
make_disk good monolithicSparse
ln -s ../out/secret.vmdk "$DIR/link.vmdk"
ln -s ../good.vmdk "$DIR/sub/link.vmdk"
mkfifo "$DIR/fifo.vmdk"
ln -s /dev/zero "$DIR/device.vmdk"

n=0
for name in good.vmdk ../out/secret.vmdk "$TMP/out/secret.vmdk" link.vmdk \
  sub/link.vmdk fifo.vmdk device.vmdk '..\\out\\secret.vmdk'; do
  printf 'scsi0:%d.present = "TRUE"\nscsi0:%d.fileName = "%s"\n' "$n" "$n" \
    "${name//\\\\/\\}" >>"$DIR/guest.vmx"
  n=$((n + 1))
done

"$PYTHON" - <<'END'
import os
from exports import Exports

folder, raws = os.environ["DIR"], os.environ["RAWS"]
out = raws + "/out/secret.vmdk"
server = Exports("file=" + folder + "/guest.vmx", options=["-r"])
assert len(server.names()) == 8, server.names()
server.connect("good.vmdk").pread(512, 0)
server.connect("sub/link.vmdk").pread(512, 0)
for name in "../out/secret.vmdk", out, "link.vmdk", "..\\out\\secret.vmdk":
    server.refuses(name, "allow-dir=DIR would allow it")
for name in "fifo.vmdk", "device.vmdk":
    server.refuses(name)
server.stop()

server = Exports("file=" + folder + "/guest.vmx", f"allow-dir={raws}/out",
                 options=["-r"])
for name in "../out/secret.vmdk", out, "link.vmdk", "..\\out\\secret.vmdk":
    server.connect(name).pread(512, 0)
server.refuses("device.vmdk", "allow-dir=DIR would allow it")
server.stop()
END
