#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A descriptor has at most 65536 extents, and a chain twice as many.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

# make_chain EXTENTS...: a disk of so many lines, its parent, and so on.
make_chain ()
{
  rm -rf "$TMP/disk"
  mkdir "$TMP/disk"
  "$PYTHON" - "$IMAGE" "$@" <<'END'
import sys
image, *numbers = sys.argv[1:]
name = image
for i, n in enumerate(numbers):
    last = i == len(numbers) - 1
    with open(name, "w") as f:
        f.write('# Disk DescriptorFile\nversion=1\nCID=1\n')
        f.write('parentCID=%s\n' % ("ffffffff" if last else "1"))
        if not last:
            f.write('parentFileNameHint="%d"\n' % i)
        f.write('RW 1 ZERO\n' * int(n))
    name = image.replace("disk.vmdk", str(i))
END
}

# size_is BYTES
size_is ()
{
  # shellcheck disable=SC2016
  [ "$(serve_and "$IMAGE" 'nbdinfo --size "$uri"')" -eq "$1" ]
}

make_chain 65536
size_is $((65536 * 512))
make_chain 65537
refuses 'disk.vmdk: .*line 65541: more than 65536 extents' vmdk "$IMAGE"
make_chain 65536 65535 1
size_is $((65536 * 512))
make_chain 1 65536 65536
refuses_fast 'disk.vmdk: the chain .* more than 131072 extents' vmdk "$IMAGE"
