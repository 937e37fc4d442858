#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# What the server keeps of the grain tables of a sparse disk is bounded by
# cache-size=.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

skip_if_valgrind "it takes memory of its own"
skip_if_sanitizers "they take memory of their own"

# 256 MiB of tables.
make_image_without_model monolithicSparse --size=2T --grain=64 --fill=edges

cat >"$TMP/reads.py" <<'END'
import random
import sys
import nbd

random.seed(1)
h = nbd.NBD()
h.connect_uri(sys.argv[1])
for _ in range(3000):
    h.pread(512, random.randrange(h.get_size() - 512))
h.shutdown()
END

# peak NAME [PARAMETER...]: sets kib to the most memory that the server took for
# reads all over the disk and a map of all.  NAME is for its files.
peak ()
{
  local uri="nbd+unix://?socket=$TMP/sock.$1"

  start_nbdkit -P "$TMP/pid.$1" -U "$TMP/sock.$1" vmdk "$IMAGE" "${@:2}"
  "$PYTHON" "$TMP/reads.py" "$uri"
  nbdinfo --map "$uri" >"$OUT.map"
  kib=$(awk '/^VmHWM:/ { print $2 }' "/proc/$(cat "$TMP/pid.$1")/status")
  stop_nbdkit "$TMP/pid.$1"
}

peak default
[ "$kib" -lt $((90 * 1024)) ]
peak small cache-size=8M
[ "$kib" -lt $((32 * 1024)) ]
