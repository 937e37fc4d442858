#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The map of the code in HACKING.md has each source file of the core and of the
# plugin once, and no other.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"

for folder in plugin vmdkcore; do
  (cd "$top_srcdir/$folder" && printf '%s\n' *.c) | sort >"$TMP/files"
  sed -n "/^| file of \`$folder\/\`/,/^\$/p" "$top_srcdir/HACKING.md" |
    sed -n 's/^| `\([^`]*\)` | .*/\1/p' | sort >"$TMP/map"
  [ -s "$TMP/files" ]
  diff -u "$TMP/files" "$TMP/map"
done
