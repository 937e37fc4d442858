#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# Killed at whatever point of writing, the server leaves nothing under the
# stream's name; killed while it completes, nothing or all of it.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/create-functions.sh
. "$srcdir/create-functions.sh"

# Whatever is there, nobody must take it.
nothing_usable ()
{
  [ -e "$STREAM" ] || return 0
  ! qemu-img info -f vmdk "$STREAM" || fail "qemu-img took it"
  ! 7z t -tvmdk "$STREAM" || fail "7-Zip took it"
  ! vmdkinfo "$STREAM" || fail "vmdkinfo took it"
  ! nbdkit -r -U - vmdk "$STREAM" --run 'nbdinfo "$uri"' || fail "we took it"
}

make_raw $((24 << 20)) 2
for pieces in 0 1 5 17 24; do
  for cache in 64M 2M; do
    create_stream $((24 << 20)) cache-size=$cache
    "$PYTHON" - $pieces "${create[@]}" <<'END'
import os, sys
from writing import Server

with open(os.environ["RAW"], "rb") as f:
    raw = f.read()
server = Server(sys.argv[2], *sys.argv[3:])
h = server.connect()
order = list(range(24))[::-1 if int(sys.argv[1]) % 2 else 1]
for i in order[:int(sys.argv[1])]:
    h.pwrite(raw[i << 20:(i + 1) << 20], i << 20)
h.flush()
server.kill()
END
    nothing_usable
    # A hidden one is all that may be left where files without names are not
    # to be had, and nobody takes that either.
    rm -f "$STREAM"
    for file in "$FOLDER"/.[!.]*; do
      [ -e "$file" ] || continue
      mv "$file" "$STREAM"
      nothing_usable
      rm -f "$STREAM"
    done
    nothing_left
  done
done

# After eight waits, longer ones only until one is long enough, and none at all
# only until that is short enough.
nothing=0
all=0
n=0
for ms in 0 10 20 30 40 50 60 70 140 280 560 1120 2240 4480 8960 \
  0 0 0 0 0 0 0 0; do
  n=$((n + 1))
  [ $n -le 8 ] || [ $((ms > 0 ? all : nothing)) -eq 0 ] || continue
  create_stream $((24 << 20))
  "$PYTHON" - $ms "${create[@]}" <<'END'
import os, sys, time
from writing import Server

with open(os.environ["RAW"], "rb") as f:
    raw = f.read()
server = Server(sys.argv[2], *sys.argv[3:])
h = server.connect()
h.pwrite(raw, 0)
h.shutdown()
time.sleep(int(sys.argv[1]) / 1000)
server.kill()
END
  if [ -e "$STREAM" ]; then
    check_stream
    all=$((all + 1))
  else
    nothing=$((nothing + 1))
  fi
done
echo "there was nothing $nothing times, and all $all times"
[ $nothing -gt 0 ]
[ $all -gt 0 ]
