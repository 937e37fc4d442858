#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# allow-dir=DIR lets extents be in more folders.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"
# shellcheck source=tests/image-functions.sh
. "$srcdir/image-functions.sh"
# shellcheck source=tests/confine-functions.sh
. "$srcdir/confine-functions.sh"

mkdir "$TMP/out/below" "$TMP/more" "$TMP/out-too"
for folder in out/below more out-too; do
  cp "$DATA" "$TMP/$folder/data"
done

served "$TMP/out/data" allow-dir="$TMP/out"
served "$TMP/out/data" allow-dir="$TMP/out/"
served ../out/data allow-dir="$TMP/out"
served "$TMP/out/below/data" allow-dir="$TMP/out"
served "$TMP/out/below/data" allow-dir="$TMP/out/below"
served "$TMP/out/data" allow-dir=/
served ../out/data allow-dir=/
served data allow-dir="$TMP/out"
# It is repeatable.
served "$TMP/more/data" allow-dir="$TMP/out" allow-dir="$TMP/more"
served "$TMP/out/data" allow-dir="$TMP/out" allow-dir="$TMP/more"
# It may be relative, also to a server that goes to the background.
cd "$TMP/more"
served ../out/data allow-dir=../out
served "$TMP/more/data" allow-dir=.
cd "$TMP"
served ../out/data allow-dir=out
if [ "${NO_OPENAT2:-}" != 1 ]; then
  # strace would wait for the server to end.
  start_nbdkit -P "$TMP/pid" -r -U "$TMP/sock" vmdk in/disk.vmdk allow-dir=out
  nbdinfo "nbd+unix://?socket=$TMP/sock"
fi
# It may be a link, and a link may lead there.
ln -s out "$TMP/allowed"
served ../out/data allow-dir="$TMP/allowed"
ln -s "$TMP/out/data" "$TMP/in/link"
served link allow-dir="$TMP/out"

denied "$TMP/more/data" allow-dir="$TMP/out"
denied "$TMP/out/data" allow-dir="$TMP/out/below"
denied "$TMP/out-too/data" allow-dir="$TMP/out"
denied "$TMP/out/../more/data" allow-dir="$TMP/out"
ln -s "$TMP/more/data" "$TMP/out/leads-away"
denied ../out/leads-away allow-dir="$TMP/out"

name_extent data
refuses_fast 'nowhere: No such file' vmdk "$disk" allow-dir="$TMP/nowhere"
refuses_fast 'data: Not a directory' vmdk "$disk" allow-dir="$TMP/out/data"
