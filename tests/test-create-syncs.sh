#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Before clients can connect, all that a new disk consists of is durable: each
# file after the last change of it, and their names.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires_strace

# What the client opens first.
export MARKER="$TMP/marker"
: >"$MARKER"

# check FILES PARAMETER...
check ()
{
  rm -rf "$TMP/disk"
  mkdir "$TMP/disk"
  strace -f -y -o "$TMP/strace" \
    -e trace=openat,pwrite64,ftruncate,fallocate,fdatasync,fsync \
    nbdkit -U - vmdk "$IMAGE" create=true "${@:2}" --run 'cat "$MARKER"'
  "$PYTHON" - "$TMP/disk" "$TMP/strace" "$1" <<'END'
import os
import re
import sys

folder, log, wanted = sys.argv[1:]
changed, made, named = {}, set(), True
with open(log, encoding="utf-8") as f:
    for line in f:
        if os.environ["MARKER"] in line:
            break
        made_now = re.search(r"O_CREAT.*= \d+<(.*)>$", line)
        call = re.search(r"(\w+)\(\d+<(.*?)>.*= (\d+)$", line)
        if made_now and made_now[1].startswith(folder + "/"):
            made.add(made_now[1])
            changed[made_now[1]], named = True, False
        elif call and call[2] == folder and call[1] == "fsync":
            named = True
        elif call and call[2] in changed:
            changed[call[2]] = call[1] not in ("fdatasync", "fsync")
    else:
        raise AssertionError("no client")
assert len(made) == int(wanted), made
assert not any(changed.values()), changed
assert named, "the folder was not synced"
END
}

check 1 create-size=1M
check 2 create-size=1M create-type=monolithic-flat
check 2 create-size=1M create-type=vmfs-sparse
check 4 create-size=5G create-type=split-sparse
check 4 create-size=5G create-type=split-flat
cp "$IMAGE" "$TMP/base.vmdk"
cp "$TMP"/disk/disk-f*.vmdk "$TMP"
check 4 create-parent="$TMP/base.vmdk" create-type=split-sparse
check 2 create-parent="$TMP/base.vmdk" create-type=vmfs-sparse
