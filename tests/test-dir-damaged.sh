#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A disk that cannot be opened keeps no other from being served.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/dir-functions.sh
. "$srcdir/dir-functions.sh"

make_disk good monolithicSparse
make_disk header monolithicSparse
printf '\377\377\377\377' |
  dd of="$DIR/header.vmdk" bs=1 seek=4 conv=notrunc status=none
make_disk short monolithicFlat
truncate -s 512 "$DIR/short-flat.vmdk"
make_disk missing twoGbMaxExtentSparse --extent-size=512K
rm "$DIR/missing-s002.vmdk"
head -c 100 "$DIR/good.vmdk" >"$DIR/cut.vmdk"
printf '# Disk DescriptorFile\nversion=1\nRW nonsense\n' >"$DIR/text.vmdk"
{ printf '# Disk DescriptorFile\nversion=1\n'; head -c 1100000 /dev/zero |
  tr '\0' '\n'; } >"$DIR/large.vmdk"
make_disk outside monolithicFlat
sed -i 's,"outside-flat.vmdk","/etc/passwd",' "$DIR/outside.vmdk"
rm "$DIR/outside-flat.vmdk"
make_disk base monolithicSparse
make_child lost monolithicSparse base
rm "$DIR/base.vmdk"

"$PYTHON" - <<'END'
import os
from exports import Exports, load

folder = os.environ["DIR"]
good = load(os.environ["RAWS"] + "/good.raw")
for options in ["-r"], []:
    server = Exports("dir=" + folder, options=options)
    assert server.names() == [
        "cut.vmdk", "good.vmdk", "header.vmdk", "large.vmdk", "lost.vmdk",
        "missing.vmdk", "outside.vmdk", "short.vmdk", "text.vmdk",
    ], server.names()
    kept = server.connect("good.vmdk")
    for name, words in (("cut.vmdk", "truncated"),
                        ("header.vmdk", "header.vmdk: "),
                        ("large.vmdk", "is too large"),
                        ("lost.vmdk", "its parent base.vmdk was found"),
                        ("missing.vmdk", "missing-s002.vmdk: No such file"),
                        ("outside.vmdk", "allow-dir=DIR would allow it"),
                        ("short.vmdk", "short-flat.vmdk"),
                        ("text.vmdk", "text.vmdk: ")):
        for _ in range(2):
            server.refuses(name, words)
        h = server.connect("good.vmdk")
        assert h.pread(len(good), 0) == good
        h.shutdown()
    assert kept.pread(len(good), 0) == good
    server.wait_until_open(folder, ["good.vmdk"])
    kept.shutdown()
    server.stop()
END
