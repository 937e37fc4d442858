#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A file that was put in the stream's place while it was written stays, the
# server says so, and nothing of the stream is left.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/create-functions.sh
. "$srcdir/create-functions.sh"

make_raw $((3 << 20))
create_stream $((3 << 20))
status=0
# shellcheck disable=SC2016
nbdkit -U - vmdk "${create[@]}" \
  --run 'echo mine >"$STREAM" && nbdcopy "$RAW" "$uri"' \
  2>"$TMP/log" || status=$?
cat "$TMP/log"
grep 'new.vmdk.*exists' "$TMP/log"
[ "$(ls -A "$FOLDER")" = new.vmdk ]
[ "$(cat "$STREAM")" = mine ]
