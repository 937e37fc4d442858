#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# All tables of a disk are checked, which takes long as the file is slow.  The
# log tells how far that is; a client that goes away, and a signal, end it, and
# nothing has been changed.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/failing-disk-functions.sh
. "$srcdir/failing-disk-functions.sh"

# Two copies of 4 MiB, and the mark that a writer did not end.
IMAGE=$TMP/large.vmdk
nbdkit -U - vmdk "$IMAGE" create=true create-size=64G --run true
printf '\1' | dd of="$IMAGE" bs=1 seek=72 conv=notrunc status=none
cksum "$IMAGE" >"$TMP/before"

# wait_for N TEXT: until the log has so many lines with this.
wait_for ()
{
  local i

  for ((i = 0; i < 1200; i++)); do
    [ "$(grep -c "$2" "$TMP/log")" -lt "$1" ] || return 0
    sleep 0.1
  done
  fail "the log has not $1 times: $2"
}

# connect: a client, in the background.
connect ()
{
  nbdsh -c "h.connect_unix('$TMP/sock'); h.pread(512, 0); print('connected')" &
}

slow ()
{
  "$PYTHON" -c "from failing_disk import *
fail(*([('pread', 'large.vmdk', 0, END, -1000)] if $1 else []))"
}

# It is not forked, so that the log can be read.
nbdkit -fv -P "$TMP/pid" -U "$TMP/sock" vmdk "$IMAGE" 2>"$TMP/log" &
server=$!
cleanup_fn stop_nbdkit "$TMP/pid"
for ((i = 0; i < 600; i++)); do
  [ ! -s "$TMP/pid" ] || break
  sleep 0.1
done

slow True
connect
client=$!
wait_for 1 'large.vmdk: checking the grain tables: 20 %'
kill $client
wait $client || :
wait_for 1 'checking the grain tables: was interrupted'
cksum "$IMAGE" | diff - "$TMP/before"

# The next one begins anew.
connect
client=$!
wait_for 2 'large.vmdk: checking the grain tables$'
kill $server
wait_for 2 'checking the grain tables: was interrupted'
wait $server
wait $client || :
cksum "$IMAGE" | diff - "$TMP/before"

# The disk is as good as before.
slow False
# shellcheck disable=SC2016
nbdkit -v -U - vmdk "$IMAGE" --run \
  'nbdsh -u "$uri" -c "h.pwrite(bytes(512), 0); h.flush()"' 2>"$TMP/log"
wait_for 1 'checking the grain tables: 90 %'

# Requests that wait for the one that checks do not do it again, each for as
# long, when nobody waits for them.
slow True
nbdkit -fv -P "$TMP/pid2" -U "$TMP/sock2" vmdk "$IMAGE" 2>"$TMP/log" &
cleanup_fn stop_nbdkit "$TMP/pid2"
for ((i = 0; i < 600; i++)); do
  [ ! -s "$TMP/pid2" ] || break
  sleep 0.1
done
nbdsh -c "
h.connect_unix('$TMP/sock2')
for i in range(4):
    h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(512)), 512 * i)
while True:
    h.poll(-1)" &
client=$!
wait_for 1 'large.vmdk: checking the grain tables: 10 %'
kill $client
wait $client || :
wait_for 4 'was interrupted'
[ "$(grep -c 'large.vmdk: checking the grain tables$' "$TMP/log")" -eq 1 ]

# Nor do clients that wait to connect.
slow False
stop_nbdkit "$TMP/pid2"
printf '\1' | dd of="$IMAGE" bs=1 seek=72 conv=notrunc status=none
slow True
nbdkit -fv -P "$TMP/pid3" -U "$TMP/sock3" vmdk "$IMAGE" 2>"$TMP/log" &
cleanup_fn stop_nbdkit "$TMP/pid3"
for ((i = 0; i < 600; i++)); do
  [ ! -s "$TMP/pid3" ] || break
  sleep 0.1
done
clients=()
for i in 1 2 3; do
  nbdsh -c "h.connect_unix('$TMP/sock3')" &
  clients+=($!)
done
wait_for 3 'debug: vmdk: open'
kill "${clients[@]}"
wait "${clients[@]}" || :
wait_for 3 'aborting sleep because of connection close'
[ "$(grep -c 'large.vmdk: checking the grain tables$' "$TMP/log")" -eq 1 ]
