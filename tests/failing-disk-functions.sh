# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# shellcheck shell=bash

# For tests of disks that die under a running server.  Source it behind
# functions.sh and image-functions.sh; Python then has failing_disk.py.

requires_nbdsh
export PYTHONPATH=$srcdir PYTHONDONTWRITEBYTECODE=1
export FAILING_DISK="$TMP/failing-disk"
export NBDKIT_PRELOAD="$builddir/.libs/failing-disk.so"
: >"$FAILING_DISK"

# serve_logged ARGUMENT...: run nbdkit with the socket "$TMP/sock", not in the
# background by itself, so that "$TMP/log" can be read meanwhile.  "$server" is
# its process, which stop_logged ends; so does the next serve_logged.
serve_logged ()
{
  local i

  stop_logged
  rm -f "$TMP/sock"
  nbdkit -fv -P "$TMP/pid" -U "$TMP/sock" "$@" 2>"$TMP/log" &
  # shellcheck disable=SC2034
  server=$!
  for ((i = 0; i < 600; i++)); do
    [ ! -s "$TMP/pid" ] || break
    sleep 0.1
  done
}

# It may have ended already.
stop_logged ()
{
  [ ! -e "$TMP/pid" ] || stop_nbdkit "$TMP/pid"
  rm -f "$TMP/pid"
}

cleanup_fn stop_logged

# logged N TEXT: does that log have so many lines with this?
logged ()
{
  [ "$(grep -c "$2" "$TMP/log")" -ge "$1" ]
}

# wait_for COMMAND...: until the command succeeds.
wait_for ()
{
  local i

  for ((i = 0; i < 1200; i++)); do
    ! "$@" || return 0
    sleep 0.1
  done
  fail "it did not happen: $*"
}
