#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# A damaged image that opens is put right and written, or not changed by a
# single byte.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"

skip_if_valgrind "the same code is run without nbdkit"

# try DAMAGE KIND [OPTION OF MKVMDK...]
try ()
{
  local before

  rm -rf "$TMP"/disk*
  make_damaged "$@" || return 0
  before=$(cat "$TMP"/disk/* | cksum)
  core write-model "$IMAGE" 3 100 4 >"$TMP/log" 2>&1 || {
    cat "$TMP/log"
    fail "$*"
  }
  if grep '^read-only: ' "$TMP/log"; then
    refused=$((refused + 1))
    [ "$(cat "$TMP"/disk/* | cksum)" = "$before" ] ||
      fail "$*: was refused, and changed"
  else
    written=$((written + 1))
  fi
}

refused=0
for kind in monolithicSparse twoGbMaxExtentSparse vmfsSparse monolithicFlat; do
  written=0
  list_damages open $kind
  for damage in $damages; do
    case $kind in
      twoGbMaxExtentSparse) try "$damage" $kind --size=9M --extent-size=4M ;;
      *) try "$damage" $kind --size=9M ;;
    esac
  done
  echo "$kind: $written were written"
  # Of flat disks there is little that can be damaged.
  [ $written -ge 3 ]
done
echo "$refused were left alone"
[ $refused -ge 5 ]
