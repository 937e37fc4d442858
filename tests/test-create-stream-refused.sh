#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# What cannot be created is refused in one sentence, and nothing is left; what
# exists already stays as it is.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/create-functions.sh
. "$srcdir/create-functions.sh"

create_stream 1M
echo "I was here before." >"$STREAM"
refuses 'new.vmdk.*exists' vmdk "${create[@]}"
[ "$(cat "$STREAM")" = "I was here before." ]

create_stream 1M
ln -s nowhere "$STREAM"
refuses 'new.vmdk.*exists' vmdk "${create[@]}"
[ "$(ls -A "$FOLDER")" = new.vmdk ]

create_stream 1M
mkdir "$STREAM"
refuses 'new.vmdk' vmdk "${create[@]}"
[ "$(ls -A "$FOLDER")" = new.vmdk ]

create_stream 1M
create[0]=$FOLDER/missing/new.vmdk
refuses 'missing' vmdk "${create[@]}"
nothing_left

for size in 0 1 511 513 1048577; do
  create_stream $size
  refuses 'size' vmdk "${create[@]}"
  nothing_left
done
create_stream 1M
refuses 'create-size' vmdk "${create[@]:0:3}"
nothing_left

# A stream has no parent, and only a stream is compressed.
make_raw $((1 << 20))
mkvmdk --from="$RAW" monolithicSparse "$TMP/base.vmdk"
create_stream 1M create-parent="$TMP/base.vmdk"
refuses 'parent' vmdk "${create[@]}"
nothing_left
create_stream 1M create-compress-level=3
create[2]="create-type=monolithic-sparse"
refuses 'create-compress-level' vmdk "${create[@]}"
nothing_left
