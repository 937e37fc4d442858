#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The ip filter lets in whom it is told to.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

requires_nbdcopy
requires_filter ip
requires "$PYTHON" -c 'import socket; socket.create_server(("127.0.0.1", 0))'

make_image monolithicSparse --size=8M

# serve PARAMETER...: on a port of the loopback device that is free.
serve ()
{
  local try

  for try in 1 2 3 4 5 6 7 8 9; do
    port=$((20000 + (RANDOM * 9 + try) % 30000))
    rm -f "$TMP/pid"
    if nbdkit -P "$TMP/pid" -i 127.0.0.1 -p $port --filter=ip -r vmdk \
      "$IMAGE" "$@"; then
      cleanup_fn stop_nbdkit "$TMP/pid"
      return 0
    fi
  done
  fail "no port is free"
}

# nbdkit 1.32.5 cannot read the address 127.0.0.1 here.
serve allow=anyipv4 deny=all
nbdcopy "nbd://127.0.0.1:$port" "$OUT"
cmp "$OUT" "$MODEL"
stop_nbdkit "$TMP/pid"
serve deny=anyipv4
fails nbdinfo "nbd://127.0.0.1:$port"
