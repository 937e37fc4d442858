#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# The manual page has no errors, neither in its source nor as a page.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"

requires command -v podchecker
pod=$top_srcdir/nbdkit-vmdk-plugin.pod

podchecker -warnings -warnings "$pod"
# pod2man makes an X of each character that is not ASCII.
fails grep -E 'E<(ge|le|[^gl][a-z]*)>' "$pod"

requires command -v groff
page=$top_builddir/nbdkit-vmdk-plugin.1
[ -e "$page" ] || skip "pod2man was not found when this was configured"
groff -K utf8 -man -Tutf8 -wall "$page" >"$TMP/page" 2>"$TMP/warnings"
cat "$TMP/warnings"
[ ! -s "$TMP/warnings" ]
grep -a 'nbdkit-vmdk-plugin' "$TMP/page"
