#!/usr/bin/env bash
# nbdkit-vmdk
# Copyright The nbdkit-vmdk authors
# SPDX-License-Identifier: BSD-3-Clause

# --help and the manual page have the same parameters, and the page has them
# in alphabetical order.

# shellcheck source=tests/functions.sh
. "${srcdir:?run this with make check}/functions.sh"

pod=$top_srcdir/nbdkit-vmdk-plugin.pod

nbdkit vmdk --help >"$TMP/help"
cat "$TMP/help"
# They fit into a terminal.
grep -E '^\[?[-a-z]+=' "$TMP/help" >"$TMP/lines"
fails grep -E '^.{81}' "$TMP/lines"

# "[file=]<PATH>   Text" is "file=PATH (magic)".
sed -nE -e 's/^\[([-a-z0-9]+=)\]<([A-Z]+)>  .*/\1\2 (magic)/p' \
  -e 's/^([-a-z0-9]+=)<([A-Z]+)>  .*/\1\2/p' \
  -e 's/^([-a-z0-9]+=)([a-z]+)  .*/\1\2/p' "$TMP/help" >"$TMP/from-help"
sed -n '/^=head1 PARAMETERS/,/^=head1 [^P]/p' "$pod" |
  sed -nE -e 's/^=item \[B<([-a-z0-9]+=)>\]([A-Z]+)$/\1\2 (magic)/p' \
    -e 's/^=item B<([-a-z0-9]+=)>([A-Za-z]+)$/\1\2/p' >"$TMP/from-pod"

[ -s "$TMP/from-help" ]
sort -c -t= -k1,1 "$TMP/from-pod"
diff -u <(sort -t= -k1,1 "$TMP/from-help") "$TMP/from-pod"

# The synopsis has them too.
synopsis=$(sed -n '/^=head1 SYNOPSIS/,/^=head1 DESC/p' "$pod")
while read -r parameter _; do
  grep -F -- "${parameter%%=*}=" <<<"$synopsis"
done <"$TMP/from-pod"
