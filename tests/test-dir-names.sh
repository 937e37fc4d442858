#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Whatever a client gives as the name of an export, it gets what is listed and
# nothing else.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/dir-functions.sh
. "$srcdir/dir-functions.sh"

make_disk base monolithicSparse
make_child snapshot monolithicSparse base
make_disk split twoGbMaxExtentSparse --extent-size=512K
make_disk 'with space %s %n' monolithicSparse
make_disk 'back\slash' monolithicSparse
make_disk 'grün' monolithicSparse
mkdir "$DIR/sub" "$DIR/back"
cp "$DIR/base.vmdk" "$DIR/.hidden.vmdk"
cp "$DIR/base.vmdk" "$DIR/sub"
cp "$DIR/base.vmdk" "$TMP/outside.vmdk"
cp "$DIR/base.vmdk" "$DIR/back/only.vmdk"
mkfifo "$DIR/fifo.vmdk"

"$PYTHON" - <<'END'
import os
from exports import Exports, load

folder, raws = os.environ["DIR"], os.environ["RAWS"]
good = ["back\\slash.vmdk", "grün.vmdk", "snapshot.vmdk", "split.vmdk",
        "with space %s %n.vmdk"]
for options in ["-r"], []:
    server = Exports("dir=" + folder, options=options)
    assert server.names() == good, server.names()
    for name in good:
        raw = load(f"{raws}/{name[:-5]}.raw")
        h = server.connect(name)
        assert h.pread(len(raw), 0) == raw
        h.shutdown()
    for name in ("base.vmdk", "split-s001.vmdk", "fifo.vmdk", ".hidden.vmdk",
                 "sub/base.vmdk", "./snapshot.vmdk", "snapshot.vmdk/",
                 "/snapshot.vmdk", "../outside.vmdk", "sub/../snapshot.vmdk",
                 "../dir/snapshot.vmdk", folder + "/snapshot.vmdk",
                 "/etc/passwd", "/dev/zero", "/proc/self/fd/0", ".", "..",
                 "/", "*", "*.vmdk", "snapshot?vmdk", "SNAPSHOT.VMDK",
                 "snapshot.vmdk ", " snapshot.vmdk", "none.vmdk", "sub",
                 "back\\only.vmdk", "sub\\base.vmdk", "%s%n%n", "x" * 4000,
                 "../" * 1000, "a\nb.vmdk", "\x1b[31m"):
        server.refuses(name, "there is no disk that is called '")
    # More than one disk: none of them is the default.
    server.refuses("")
    # Messages are lines that can be printed, whatever the name, and do not say
    # where the folder is.
    for line in server.messages().splitlines():
        assert line.startswith("nbdkit: ") and line.isprintable(), line
        assert folder not in line.replace(f"'{folder}/snapshot.vmdk'", ""), line
    server.connect("snapshot.vmdk").pread(512, 0)
    server.stop()
END
