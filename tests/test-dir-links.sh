#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A file with very many names in a folder, each named by very many disks, is
# looked for in a time that neither number makes long.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/dir-functions.sh
. "$srcdir/dir-functions.sh"

skip_if_valgrind "it takes very long"
"$PYTHON" - "$TMP/many" <<'END'
import os
import sys

folder = sys.argv[1]
os.mkdir(folder)
with open(folder + "/extent", "wb") as f:
    f.write(bytes(512))
for i in range(60000):
    os.link(folder + "/extent", f"{folder}/{i}")
text = ('# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n'
        'createType="twoGbMaxExtentFlat"\n')
text += "".join(f'RW 1 FLAT "{i}" 0\n' for i in range(800))
for i in range(1000, 3000):
    with open(f"{folder}/disk-{i}", "w", encoding="ascii") as f:
        f.write(text)
END

# Seconds of CPU: a few are enough.  Marking all the names each time took
# minutes.
(
  ulimit -t 60
  lists dir="$TMP/many" "$(printf 'disk-%d ' {1000..2999} | sed 's/ $//')"
)
