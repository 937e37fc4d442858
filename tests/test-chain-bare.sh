#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The extent of a snapshot without its descriptor: the parent can be named.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/chain-functions.sh
. "$srcdir/chain-functions.sh"

make_base monolithicFlat --size=2M --fill=full
for kind in vmfsSparse seSparse; do
  make_child $kind --size=2M
  for extent in "$TMP"/disk/disk-*.vmdk; do
    mv "$extent" "$IMAGE"
  done
  check_image parent="$TMP/disk/base.vmdk"
  # shellcheck disable=SC2016
  serve_and "$IMAGE" 'true' 2>"$TMP/log"
  grep 'warning: .*without a descriptor' "$TMP/log"
done
