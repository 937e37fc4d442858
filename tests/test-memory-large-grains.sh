#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# What large grains have been inflated into does not stay in memory when many
# clients have read from them.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"

skip_if_valgrind "it takes memory of its own"
skip_if_sanitizers "they take memory of their own"
requires_nbdsh
# It would touch all that is allocated.
export NBDKIT_PERTURB=

mkvmdk --size=512M --grain=32768 --fill=full --data=text streamOptimized \
  "$TMP/disk.vmdk"
start_nbdkit -P "$TMP/pid" -U "$TMP/sock" vmdk "$TMP/disk.vmdk" cache-size=1M

# rss: of the server, in KiB.
rss ()
{
  awk '$1 == "VmRSS:" { print $2 }' "/proc/$(cat "$TMP/pid")/status"
}

before=$(rss)
"$PYTHON" - "$TMP/sock" <<'END'
import random
import sys
import nbd

random.seed(1)
clients = [nbd.NBD() for _ in range(16)]
cookies = []
for h in clients:
    h.connect_unix(sys.argv[1])
size = clients[0].get_size()
for _ in range(4):
    for h in clients:
        cookies.append((h, h.aio_pread(nbd.Buffer(512),
                                       random.randrange(size - 512))))
for h, cookie in cookies:
    while not h.aio_command_completed(cookie):
        h.poll(-1)
END
after=$(rss)
echo "$after KiB, $before KiB before"
[ "$after" -lt $((before + 32 * 1024)) ]
