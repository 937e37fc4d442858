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

serve_logged vmdk "$IMAGE"
slow True
connect
client=$!
wait_for logged 1 'large.vmdk: checking the grain tables: 20 %'
kill $client
wait $client || :
wait_for logged 1 'checking the grain tables: was interrupted'
cksum "$IMAGE" | diff - "$TMP/before"

# The next one begins anew.
connect
client=$!
wait_for logged 2 'large.vmdk: checking the grain tables$'
kill $server
wait_for logged 2 'checking the grain tables: was interrupted'
wait $server
rm "$TMP/pid"
wait $client || :
cksum "$IMAGE" | diff - "$TMP/before"

# The disk is as good as before.
slow False
# shellcheck disable=SC2016
nbdkit -v -U - vmdk "$IMAGE" --run \
  'nbdsh -u "$uri" -c "h.pwrite(bytes(512), 0); h.flush()"' 2>"$TMP/log"
wait_for logged 1 'checking the grain tables: 90 %'

# Requests that wait for the one that checks do not do it again, each for as
# long, when nobody waits for them.  nbdkit before 1.34 may abort when it
# answers several requests of a client that has gone; then not all of them have
# been seen, and another client comes.
was_seen_or_aborted ()
{
  logged 4 'was interrupted' || logged 1 'Assertion .sock >= 0. failed'
}

slow True
for ((try = 0; try < 8; try++)); do
  serve_logged vmdk "$IMAGE"
  nbdsh -c "
h.connect_unix('$TMP/sock')
for i in range(4):
    h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(512)), 512 * i)
while True:
    h.poll(-1)" &
  client=$!
  wait_for logged 1 'large.vmdk: checking the grain tables: 10 %'
  kill $client
  wait $client || :
  wait_for was_seen_or_aborted
  ! logged 4 'was interrupted' || break
done
logged 4 'was interrupted'
[ "$(grep -c 'large.vmdk: checking the grain tables$' "$TMP/log")" -eq 1 ]

# Nor do clients that wait to connect.
slow False
printf '\1' | dd of="$IMAGE" bs=1 seek=72 conv=notrunc status=none
slow True
serve_logged vmdk "$IMAGE"
clients=()
for i in 1 2 3; do
  nbdsh -c "h.connect_unix('$TMP/sock')" &
  clients+=($!)
done
wait_for logged 3 'debug: vmdk: open'
kill "${clients[@]}"
wait "${clients[@]}" || :
wait_for logged 3 'aborting sleep because of connection close'
[ "$(grep -c 'large.vmdk: checking the grain tables$' "$TMP/log")" -eq 1 ]
