#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Many clients read a little of many grains.  Those who wait until they may
# inflate one need no memory for it, and what large grains have been inflated into
# does not stay there.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"

skip_if_valgrind "it takes memory of its own"
skip_if_sanitizers "they take memory of their own"
requires_nbdsh
# It would touch all that is allocated.
export NBDKIT_PERTURB=

# in_status KEY: of the server, in KiB.
in_status ()
{
  awk -v key="$1:" '$1 == key { print $2 }' "/proc/$(cat "$TMP/pid")/status"
}

# check SECTORS MIB: the size of a grain, and how much memory they may need.
check ()
{
  local before

  rm -f "$TMP"/{disk.vmdk,pid,sock}
  mkvmdk --size=512M --grain="$1" --fill=full --data=text streamOptimized \
    "$TMP/disk.vmdk"
  start_nbdkit -P "$TMP/pid" -U "$TMP/sock" vmdk "$TMP/disk.vmdk" cache-size=1M
  before=$(in_status VmRSS)
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
for _ in range(8):
    for h in clients:
        cookies.append((h, h.aio_pread(nbd.Buffer(512),
                                       random.randrange(size - 512))))
for h, cookie in cookies:
    while not h.aio_command_completed(cookie):
        h.poll(-1)
END
  echo "$(in_status VmHWM) KiB, $(in_status VmRSS) KiB after, $before KiB before"
  [ "$(in_status VmHWM)" -lt $((before + $2 * 1024)) ]
  [ "$(in_status VmRSS)" -lt $((before + 32 * 1024)) ]
  stop_nbdkit "$TMP/pid"
}

check 128 20
check 512 20
check 1024 20
check 32768 64
